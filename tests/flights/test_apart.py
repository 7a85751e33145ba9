"""The flights are an example: nothing knows a column of theirs, and nothing stands on them that is not in one place."""

import ast

import pytest

from tests.support import ROOT

SOURCES = sorted(path for folder in ("src/pipeline", "serve") for path in (ROOT / folder).rglob("*.py"))


def test_nothing_outside_the_flights_knows_a_column_of_theirs() -> None:
    names = {
        "carrier", "scheduled_departure", "scheduled_minutes", "visib", "wind_dir", "dep_delay", "arr_delay", "dest",
    }  # fmt: skip
    for path in SOURCES:
        if path != ROOT / "src/pipeline/datasets/flights.py":
            constants = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
            assert not {node.value for node in constants} & names, path


@pytest.mark.parametrize(
    "folder",
    ["pipeline", "serve", "project", "support", *("system/" + path.name for path in (ROOT / "tests/system").iterdir())],
)
def test_the_flights_can_be_taken_away_with_their_folder(folder: str) -> None:
    """No other test stands on their files: src, configs, tests/flights. A suite that does goes with them."""
    theirs = ("datasets.flights", "datasets import flights", "configs/flights", "=smoke", '"flights.yaml"', "/bench")
    if folder in ("system/broken", "system/renamed"):
        return
    tests = [path for path in (ROOT / "tests" / folder).rglob("*.py") if path.name != "test_rename.py"]
    assert [path.name for path in tests if any(word in path.read_text(encoding="utf-8") for word in theirs)] == []
