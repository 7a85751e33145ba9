"""The commands that README and docs/ show, and who runs them.

A block ```sh holds commands, a block ```console also what they print, and no other block holds any. tests/system/docs
runs a block, unless a comment before it says otherwise:

    <!-- run by: make test SUITE=dask -->      another step of `make ci`, or a file of tests
    <!-- not run: needs a cloud -->            nobody, and why
"""

import re
from typing import NamedTuple

from tests.support import ROOT
from tests.support.pages import page

PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))]
HOLD_COMMANDS = ("sh", "console")
HOLD_NONE = ("json", "markdown", "mermaid", "python", "sql", "text", "yaml")
BLOCK = re.compile(
    r"(?P<comments>(?:^ *<!-- [^\n]* -->\n)*)^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
MARK = re.compile(r"<!-- (run by|not run): (.+) -->")


class Shown(NamedTuple):
    """A command, and the lines that a page shows below it."""

    command: str
    printed: list[str]


class Block(NamedTuple):
    """A fenced block of a page. `mark` is what a comment before it says of its commands: "run by", "not run" or ""."""

    place: str
    language: str
    text: str
    mark: str
    reason: str

    @property
    def commands(self) -> list[Shown]:
        if self.language == "console":
            return session(self.text)
        return [Shown(command, []) for command in script(self.text)] if self.language == "sh" else []


def blocks(name: str) -> list[Block]:
    text = page(name)
    found = []
    for match in BLOCK.finditer(text):
        mark = MARK.search(match["comments"])
        kind, reason = mark.groups() if mark else ("", "")
        line = text.count("\n", 0, match.start("language")) + 1
        content = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        found.append(Block(f"{name}:{line}", match["language"], content, kind, reason))
    return found


def script(text: str) -> list[str]:
    """The commands of a block; a backslash at the end of a line joins it with the next."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def session(text: str) -> list[Shown]:
    """The commands of a block, each after `$ `, with what is shown below them."""
    found: list[Shown] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append(Shown(line.removeprefix("$ "), []))
        elif found:
            found[-1].printed.append(line)
    return found


def same_but_for_numbers(line: str) -> str:
    """A line without what differs from run to run and machine to machine: numbers, digests, widths of columns."""
    return " ".join(re.sub(r"\b[0-9a-f]{16,32}\b|[+-]?\d[\d.,:]*(e-?\d+)?", "#", line).split())


def not_printed(shown: list[str], output: str) -> list[str]:
    """The lines that a page shows and a command did not print, in this order. `…` stands for lines or the end of one."""
    left = iter([same_but_for_numbers(line) for line in output.splitlines()])
    wanted = [line for line in shown if line.strip() not in ("", "…")]
    return [line for line in wanted if not any(fits(line, printed) for printed in left)]


def fits(line: str, printed: str) -> bool:
    start = same_but_for_numbers(line.removesuffix("…"))
    return printed.startswith(start) if line.endswith("…") else printed == start
