"""The flights are an example: nothing knows a column of theirs, and nothing stands on them that is not in one place."""

import ast
import re

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


def test_the_flights_can_be_taken_away_with_their_folder() -> None:
    """No other test stands on their files; what is tried with the smoke model goes with them, and the tests of a rename."""
    theirs = (
        "datasets.flights",
        "datasets import flights",
        "configs/flights",
        "configs/smoke",
        "MODEL=smoke",
        '"flights.yaml"',
        "/bench",
    )
    go_too = re.compile("tests/(flights/|system/broken/|system/renamed/|system/runner/test_events|project/test_rename)")
    standing_on_them = []
    for path in (ROOT / "tests").rglob("*.py"):
        short = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        if not go_too.match(short) and any(word in text for word in theirs):
            standing_on_them.append(short)
    assert standing_on_them == []
