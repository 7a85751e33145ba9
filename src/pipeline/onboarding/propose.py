"""What fits a table: how its rows are split, and kinds of model and settings for so many rows."""

import re
from typing import Any, NamedTuple

import pandas as pd

from pipeline.onboarding.columns import Guess
from pipeline.onboarding.look import Table

HOLDOUT = 0.2  # share of the rows, or of the days
FEWEST_DAYS = 20  # of a split by time
GROUP = re.compile(
    r"(^|_)(id|customer|user|patient|client|account|household|session|device)(_?id)?$|[a-z]Id$", re.IGNORECASE
)
REPEATED = (0.02, 0.8)  # different values of a column that names groups, as a share of the rows
MANY = 10_000  # rows from which on trees are larger, and each of a forest sees fewer of the rows


class Split(NamedTuple):
    """The keys of `split:`, the column that the time or the group of a row is in, and a sentence about it."""

    keys: dict[str, Any]
    column: str
    note: str

    @property
    def is_by_time(self) -> bool:
        return bool(self.keys["by"] == "time")


def split_of(table: Table, guesses: list[Guess]) -> Split:
    """By time where there is one, by group where an identifier repeats, else by row."""
    for guess in guesses:
        if days := days_of(table, guess):
            keys = {"by": "time", "time": guess.name, "holdout": span(days), "folds": 3, "fold_length": span(days)}
            note = f"by time ({guess.name}): the model is judged on rows that are newer than those it learned from"
            return Split(keys, guess.name, note)

    for guess in guesses:
        if names_groups(table, guess):
            keys = {"by": "group", "group": guess.name, "holdout": HOLDOUT, "folds": 5}
            return Split(keys, guess.name, f"by group ({guess.name}): the rows of one {guess.name} stay together")

    note = "by row, which hides what rows with a time, or several rows of one person, would show: declare those"
    return Split({"by": "row", "holdout": HOLDOUT, "folds": 5}, "", note)


def days_of(table: Table, guess: Guess) -> float:
    """The length in days of a column that may be the rows' time; 0 for any other."""
    is_time = guess.keys["kind"] == "datetime" and not guess.left_out and "birth" not in guess.name.lower()
    if not is_time or guess.keys.get("nullable"):
        return 0.0
    times = pd.to_datetime(table.frame[guess.header], format=guess.keys.get("format", "ISO8601"))
    days = float((times.max() - times.min()).days)
    return days if min(days, times.dt.normalize().nunique()) >= FEWEST_DAYS else 0.0


def span(days: float) -> str:
    """The length of the holdout, and of each fold."""
    return f"{max(1, round(days * HOLDOUT))} days"


def names_groups(table: Table, guess: Guess) -> bool:
    """Whether a column identifies something that several rows are of."""
    values = table.frame[guess.header]
    share = values.nunique() / len(values)
    is_complete = guess.keys["kind"] in ("category", "integer") and not guess.keys.get("nullable")
    return bool(GROUP.search(guess.name)) and is_complete and REPEATED[0] < share < REPEATED[1]


def models_for(rows: int) -> dict[str, Any]:
    """The candidates, their search and `train.rare`: few rows need small trees with small leaves."""
    many = rows >= MANY
    leaf = max(5, min(50, rows // 100))
    forest = {"n_estimators": 60, "max_depth": 14, "min_samples_leaf": max(2, leaf // 4), "max_features": 0.3}
    forest["max_samples"] = 0.3 if many else 0.8
    boosting = {"max_iter": 150 if many else 100, "learning_rate": 0.1 if many else 0.05}
    boosting |= {"max_leaf_nodes": 31 if many else 15, "min_samples_leaf": leaf}
    boosting |= {"l2_regularization": 1.0, "max_features": 0.5}

    rates = {"low": 0.03, "high": 0.3, "log": True}
    sizes = {"low": 7, "high": 63, "log": True}
    leaves = {"low": max(2, leaf // 3), "high": leaf * 3, "log": True}
    penalties = {"low": 0.01, "high": 10, "log": True}
    kinds = {
        "linear": {"trials": 3, "space": {"C": penalties}},
        "boosting": {
            "trials": 8,
            "space": {"learning_rate": rates, "max_leaf_nodes": sizes, "min_samples_leaf": leaves},
        },
    }
    return {
        "candidates": {"linear": {"C": 1.0}, "forest": forest, "boosting": boosting},
        "search": {"kinds": kinds},
        "train": {"rare": max(2, min(50, rows // 100))},
    }
