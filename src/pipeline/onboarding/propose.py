"""How the rows of a table are split."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from pipeline.data.notation import ISO
from pipeline.onboarding.columns import Guess, is_missing
from pipeline.onboarding.look import Table
from pipeline.onboarding.names import GROUPS, is_identifier, last_word

HOLDOUT = 0.2  # share of the rows, or of the days
FEWEST_DAYS = 20  # of a split by time
LATER = re.compile(r"birth|until|(^|_)(end|due)|expir|close|resolve|deliver|return|update", re.IGNORECASE)
MANY = 0.02  # different values of an identifier of what several rows are of, as a share of the rows
FEW = 10  # of them are never many
ENOUGH = 100  # more of them are always many
REPEATED = 0.8  # share of different values from which on a split by group would be one by row


class Split(NamedTuple):
    """The keys of `split:`, the column that the time or the group of a row is in, and a sentence about it."""

    keys: dict[str, Any]
    column: str
    note: str


def split_of(table: Table, guesses: list[Guess]) -> Split:
    """By time where there is one, by group where an identifier repeats, else by row."""
    for guess in guesses:
        if days := days_of(table, guess):
            length = f"{round(days * HOLDOUT)} days"
            keys = {"by": "time", "time": guess.name, "holdout": length, "folds": 3, "fold_length": length}
            note = f"by time ({guess.name}): the model is evaluated on rows that are newer than those it was trained on"
            return Split(keys, guess.name, note)

    for guess in guesses:
        if names_groups(table, guess):
            keys = {"by": "group", "group": guess.name, "holdout": HOLDOUT, "folds": 5}
            return Split(keys, guess.name, f"by group ({guess.name}): the rows of one {guess.name} stay together")

    note = "by row, which hides what rows with a time, or several rows of one person, would show: declare those"
    return Split({"by": "row", "holdout": HOLDOUT, "folds": 5}, "", note)


def days_of(table: Table, guess: Guess) -> int:
    """The days from the first to the last of a column that may be the rows' time; 0 for any other."""
    is_time = guess.keys["kind"] == "datetime" and not guess.left_out and not LATER.search(guess.name)
    if not is_time or guess.keys.get("nullable"):
        return 0
    times = pd.to_datetime(table.frame[guess.header].str.strip(), format=guess.keys.get("format", ISO))
    days: int = (times.max() - times.min()).days
    return days if min(days, times.dt.normalize().nunique()) >= FEWEST_DAYS else 0


def names_groups(table: Table, guess: Guess) -> bool:
    """Whether a column identifies something that several rows are of."""
    is_complete = last_word(guess.header) in GROUPS and not guess.keys.get("nullable")
    return is_complete and has_many(table, guess) and distinct(table, guess) < REPEATED * len(table.frame)


def has_many(table: Table, guess: Guess) -> bool:
    """Whether a column is an identifier by its name, and has so many values that a new row may well have another."""
    many = max(FEW, min(ENOUGH, MANY * len(table.frame)))
    may_be_one = guess.keys["kind"] in ("category", "integer") and is_identifier(guess.header)
    return may_be_one and distinct(table, guess) > many


def distinct(table: Table, guess: Guess) -> int:
    """The number of different values."""
    values = table.frame[guess.header]
    return int(values[~is_missing(values, guess.keys)].nunique())


def beside_split(table: Table, guesses: list[Guess], split: Split) -> Iterator[Guess]:
    """The guesses, without columns that only name what several rows are of, and with a question about other dates."""
    for guess in guesses:
        is_date = guess.keys["kind"] == "datetime" and guess.name != split.column
        if guess.left_out:
            yield guess
        elif has_many(table, guess):
            count = f"{distinct(table, guess):,}"
            yield guess._replace(left_out=f"names what several rows are of ({count}): a new one would be unknown")
        elif is_date and not guess.note:
            yield guess._replace(note="is this date known before the outcome? Else take it out of the features")
        else:
            yield guess
