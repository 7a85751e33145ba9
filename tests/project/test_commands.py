"""Every command that README or a page shows is run by a suite, or its block says by whom, or why by nobody."""

import re

import pytest

from tests.project.test_ci import steps_here
from tests.support import ROOT
from tests.support.commands import HOLD_COMMANDS, HOLD_NONE, PAGES, blocks, not_printed, script, session

NOT_RUN = "`make readme` writes here what the command prints."  # where a rename took away the example


@pytest.mark.parametrize("name", PAGES)
def test_a_block_says_whether_it_holds_commands(name: str) -> None:
    """So that none is left out. Trees and outputs are `text`."""
    assert [block.place for block in blocks(name) if block.language not in (*HOLD_COMMANDS, *HOLD_NONE)] == []
    fences = [
        line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line.lstrip().startswith("```")
    ]
    assert len(fences) == 2 * len(blocks(name))


@pytest.mark.parametrize("name", PAGES)
def test_who_runs_a_block_exists(name: str) -> None:
    """A step of `make ci`, or a file of tests."""
    runners = [
        (block.place, runner) for block in blocks(name) if block.mark == "run by" for runner in block.reason.split(", ")
    ]
    steps = steps_here()
    unknown = [
        (place, runner)
        for place, runner in runners
        if runner not in steps
        and not (re.fullmatch(r"tests/[\w/]+/test_\w+\.py", runner) and (ROOT / runner).is_file())
    ]
    assert unknown == []


@pytest.mark.parametrize("name", PAGES)
def test_a_comment_about_commands_stands_before_commands(name: str) -> None:
    """Anywhere else it would say nothing."""
    text = (ROOT / name).read_text(encoding="utf-8")
    marks = re.findall(r"^ *<!-- (?:run by|not run): .*\n(?: *<!-- .*\n)*(.*)", text, re.MULTILINE)
    assert [line for line in marks if line.lstrip()[:5] not in ("```sh", "```co") and line != NOT_RUN] == []


def test_commands_are_read_as_a_shell_reads_them() -> None:
    assert script("# first\nmake a \\\n  B=1  # why\n\nmake b\n") == ["make a    B=1  # why", "make b"]
    assert session("$ make a\none\n\n$ make b\n") == [("make a", ["one", ""]), ("make b", [])]


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (["   2.2 s  Read: 344 rows", "…", "linear *   0.98"], []),
        (["   2.2 s  Read: 344 …"], []),
        (["models/penguins/0bf8b45787931350, version 2"], []),
        (["linear *   0.98", "0.5 s  Read: 1 rows"], ["0.5 s  Read: 1 rows"]),
        (["forest     0.97"], ["forest     0.97"]),
    ],
    ids=["numbers", "end-of-a-line", "digest", "order", "another-word"],
)
def test_what_a_page_shows_is_what_was_printed_but_for_numbers(shown: list[str], missing: list[str]) -> None:
    output = "   0.5 s  Read: 12 rows\nboosting 0.9\nlinear *  0.97\nmodels/penguins/82c3c11e2e87ec4e, version 1\n"
    assert not_printed(shown, output) == missing
