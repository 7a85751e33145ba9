"""README is the flights' page: it names what there is, it is short, and a run has made its numbers.

Who writes a README of their own takes these tests away with the rest of the folder.
"""

import re

import pytest

from tests.support import ROOT
from tests.support.pages import TARGETS, broken_links, named_targets, page, part, tree

README = page("README.md")
COMMANDS = page("docs/commands.md")


def test_every_make_target_that_readme_names_exists() -> None:
    assert named_targets(README) <= TARGETS


def test_readme_is_one_page_and_its_tree_exists() -> None:
    assert len([line for line in README.splitlines() if not line.startswith("<!--")]) <= 200
    assert [path for path in tree(README, "## What is in here") if not (ROOT / path).exists()] == []
    assert broken_links("README.md") == []


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        ("README.md", ["train", "serve", "figures"]),
        ("docs/commands.md", ["train"]),
        ("docs/loop.md", ["replay", "skew", "worth"]),
    ],
)
def test_the_marked_parts_hold_the_output_of_a_run(name: str, marked: list[str]) -> None:
    for part_name in marked:
        assert len(part(page(name), part_name).split()) > 10


def test_the_numbers_of_readme_are_those_of_its_runs() -> None:
    """And of the benchmarks: the holdout's metrics, the digest of the champion, the size of the image."""
    benchmarks = page("docs/benchmarks.md")
    for name, row in {"ROC AUC": "roc_auc", "log loss": "log_loss"}.items():
        stated = re.search(rf"^\| {name}\b[^|]*\| ([\d.]+ \([\d.]+ to [\d.]+\))", part(README, "figures"), re.MULTILINE)
        run = re.search(rf"^{row} +([\d.]+) +([\d.]+) to ([\d.]+)$", part(COMMANDS, "train"), re.MULTILINE)
        assert stated
        assert run
        numbers = [float(number) for number in re.findall(r"[\d.]+", stated[1])]
        assert numbers == pytest.approx([float(number) for number in run.groups()], abs=6e-4)  # rounded twice
        assert stated[1] in benchmarks
    assert part(page("docs/loop.md"), "worth").partition("days: ")[2].rstrip(".\n") in benchmarks

    shown = [part(README, name) for name in ("figures", "train", "serve")] + [part(COMMANDS, "train")]
    digests = {digest for text in shown for digest in re.findall(r"\b[0-9a-f]{16}\b", text)}
    assert len(digests) == 1
    sizes = re.findall(r"(\d+) MB over `python:3.13-slim`", page("docs/deploy.md"))
    assert sizes == re.findall(r"\| 200 MB, 0.8 s \| (\d+) MB", benchmarks)
