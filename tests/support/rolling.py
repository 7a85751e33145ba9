"""The tiny contract with a rolling feature, six rows worked out by hand, and the table of their third day."""

from typing import Any

import numpy as np

from pipeline.runtime import rolling_features
from pipeline.runtime.contract import Contract

REMEMBERS = [
    "columns.share={kind: number, known: before, nullable: true, meaning: Share of yeses lately, "
    'rolling: {by: [colour], days: 2, weight: 2, text: "{share} of {colour} ones"}}',
    "columns.told={kind: datetime, known: after, meaning: When it was known}",
    "timing={time: when, known: told, known_at: 6, ahead: 1}",
    "features=[colour, size, legs, hour, share]",
]


def rows(*lines: str) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Columns, outcomes and the times at which they were known, of lines such as `red 01T10 1 01T12`."""
    colour, when, good, told = zip(*(line.split() for line in lines), strict=True)
    columns: dict[str, Any] = {
        "colour": np.array(colour, dtype=object),
        "when": np.array([f"2013-01-{each}" for each in when], dtype="datetime64[s]"),
    }
    return columns, np.array(good, float), np.array([f"2013-01-{each}" for each in told], dtype="datetime64[s]")


SIX = [
    "red  01T10 1 01T12",  # in the tables of the 2nd and 3rd
    "red  01T20 1 02T05",  # known before six on the 2nd: the same
    "red  01T22 1 02T07",  # known an hour too late for the 2nd: in that of the 3rd
    "blue 01T10 0 01T11",
    "red  02T10 0 02T11",  # from the 3rd on
    "red  03T10 1 03T11",  # never in a table of its own day
]


def shares(contract: Contract, lines: list[str], prior: float = 0.5) -> list[float]:
    columns, good, told = rows(*lines)
    found = rolling_features.training_features(
        columns, rolling_features.count_outcomes(columns, good, contract, told), contract, {"share": prior}
    )["share"]
    return [float(value) for value in found]


def tables(contract: Contract) -> rolling_features.Table:
    columns, good, told = rows(*SIX)
    return rolling_features.build_table(
        rolling_features.count_outcomes(columns, good, contract, told),
        contract,
        rolling_features.day_number("2013-01-03"),
        {"share": 0.5},
    )
