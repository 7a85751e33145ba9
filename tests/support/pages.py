"""Pages of Markdown: their marked parts, their trees of files, and the commands that they name."""

import re
from pathlib import Path

from tests.support import ROOT

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def part(text: str, name: str) -> str:
    """The part of a page that a run writes."""
    marked = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert marked, f"there is no part {name}"
    return marked[1]


def named_targets(text: str) -> set[str]:
    """The targets of make that a page names."""
    return set(re.findall(r"(?:`|^|\$ )make ([a-z-]+)", text, re.MULTILINE))


def tree(text: str, heading: str) -> list[str]:
    """The paths of the tree below a heading, folders with a slash at the end."""
    block = text.split(heading)[1].split("```text\n")[1].split("```")[0]
    folders: list[str] = []
    paths = []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        paths.append("".join(folders[:depth]) + name)
        if name.endswith("/"):
            folders = [*folders[:depth], name]
    return paths


def broken_links(name: str) -> list[str]:
    """Links of a page inside the repository that lead to no file, or to no heading of a page."""
    links = re.findall(r"(?:\]\(|src(?:set)?=\")([^)\"#:]*)(#[^)\"]*)?[)\"]", page(name))
    return [f"{path}{anchor}" for path, anchor in links if not leads_somewhere(name, path, anchor)]


def leads_somewhere(name: str, path: str, anchor: str) -> bool:
    target = ((ROOT / name).parent / path if path else ROOT / name).resolve()
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor.removeprefix("#") in anchors(target)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
