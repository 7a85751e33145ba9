"""What each column of a table is, by its values: its kind, what stands for missing, and why it is left out.

It knows text and no model. Every decision that a person may see otherwise has a note.
"""

import re
from collections.abc import Collection, Sequence
from itertools import chain, count
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from pipeline.data.clean import OFFSET
from pipeline.data.notation import ISO, format_of
from pipeline.datasets.table import MISSING
from pipeline.runtime.contract import LONGEST

if TYPE_CHECKING:
    import pandas as pd

EVERYWHERE = ("?", "-", "--")  # stand for a missing value among words too
UNKNOWN = (*EVERYWHERE, *MISSING, "n/a", ".")  # and these among numbers and dates
SENTINELS = (-1, -9, -99, -999, -9999, 99, 999, 9999, 99999)
MONEY = r"(?=.*[,$€£%])[$€£]?\s?[-+]?\d{1,3}(,\d{3})*(\.\d+)?\s?[$€£%]?"
IDENTIFIER = re.compile(r"(^|[_ ])(id|no|nr|number|key|index|uuid|code|customer|user)$|.*[a-z]Id$", re.IGNORECASE)
MOSTLY = 0.5  # values that differ, of the rows: text with more says nothing of a new row
Kind = tuple[dict[str, Any], str, str]  # the keys of a column, a note, and why it is left out


class Guess(NamedTuple):
    """A column of the file: its name as a field, its header, its keys in the config, and what to know of it.

    `left_out` is why it is no feature; `is_key` says that its values are unique and never missing.
    """

    name: str
    header: str
    keys: dict[str, Any]
    note: str = ""
    left_out: str = ""
    is_key: bool = False


def describe(frame: "pd.DataFrame", target: str) -> list[Guess]:
    """A guess for each column but the target. A copy of an earlier column is left out."""
    taken = {field_name(target)}
    earlier: dict[int, str] = {}
    guesses = []

    for header in frame.columns.drop(target):
        values = frame[header]
        name = field_name(header, taken)
        taken.add(name)
        keys, note, left_out = kind_of(name, values)
        is_key = left_out.startswith("an identifier") and "nullable" not in keys

        same = earlier.setdefault(hash(tuple(values)), name)
        if same != name and not left_out:
            left_out = f"the same as {same}"
        if name != header:
            keys["source"] = header
        guesses.append(Guess(name, header, keys, note, left_out, is_key))
    return guesses


def field_name(header: str, taken: Collection[str] = ()) -> str:
    """The header as a name that a field can have: letters, digits and underscores, none of pydantic's own."""
    name = re.sub(r"[^a-zA-Z0-9]+", "_", header).strip("_") or "column"
    if not name[0].isalpha():
        name = f"column_{name}"
    if hasattr(BaseModel, name) or name == "Config":
        name = f"{name}_value"
    numbered = (f"{name}_{number}" for number in count(2))
    return next(unique for unique in chain([name], numbered) if unique not in taken)


def kind_of(name: str, values: "pd.Series[str]") -> Kind:
    """What a column is by its values, and by its name where they may be numbers of rows."""
    known = values[~values.isin(UNKNOWN)]
    keys: dict[str, Any] = {"kind": "category"}
    if len(known) < len(values):
        keys["nullable"] = True

    if known.empty:
        return keys, "", "always empty"
    if values.nunique() == 1:
        return keys, "", f"always {known.iloc[0][:40]}"
    if known.str.contains(OFFSET).all() and known.str.contains(":").all():
        return keys, "", "times with an offset: a column of local times, without one, can be used"
    if marks := marks_of(values, MISSING):
        keys["missing"] = marks
    if date_format := format_of(known):
        return date_keys(known, date_format, keys)

    if (numbers := as_numbers(known)) is not None:
        return number_keys(name, numbers, keys)
    if known.str.fullmatch(MONEY).all():
        return keys, "", f"numbers with other signs, such as {known.iloc[0]}: write plain ones to use it"
    return text_keys(values)


def date_keys(known: "pd.Series[str]", date_format: str, keys: dict[str, Any]) -> Kind:
    """Keys of a date. ISO 8601 needs a format only where it has no time of day: requests have none either then."""
    keys["kind"] = "datetime"
    note = ""
    if date_format != ISO:
        keys["format"] = date_format
        note = f"dates are read as {date_format}, such as {known.iloc[0]}"
    elif known.str.len().max() == len("2024-03-01"):
        keys["format"] = "%Y-%m-%d"
    return keys, note, ""


def marks_of(values: "pd.Series[str]", understood: Sequence[str]) -> list[str]:
    """The marks for a missing value that stand there, without those that a config has by itself or under data."""
    return sorted({*UNKNOWN} & {*values} - {*understood, *EVERYWHERE})


def as_numbers(known: "pd.Series[str]") -> "pd.Series[float] | None":
    """The values as numbers; None where one is none, or is a code such as 007."""
    import pandas as pd

    numbers = pd.to_numeric(known, errors="coerce")
    is_code = known.str.match(r"0\d").any()
    return None if is_code or not np.isfinite(numbers).all() else numbers


def number_keys(name: str, numbers: "pd.Series[float]", keys: dict[str, Any]) -> Kind:
    whole = bool((numbers % 1 == 0).all())
    keys["kind"] = "integer" if whole else "number"

    if whole and "nullable" not in keys and numbers.is_unique:
        if numbers.max() - numbers.min() == len(numbers) - 1:
            return keys, "", "counts the rows"
        if IDENTIFIER.search(name):
            return keys, "", "an identifier: no two rows share a value"
        if numbers.is_monotonic_increasing or numbers.is_monotonic_decreasing:
            return keys, "", "goes on from row to row, as numbers of rows do"
        return keys, "no two rows share a value: take it out of the features if it is an identifier", ""

    mark = sentinel(numbers)
    if mark is None:
        return keys, "", ""
    times = (numbers == mark).sum()
    keys["missing"] = [*keys.get("missing", []), mark]
    keys["nullable"] = True
    return keys, f"{mark} stands there {times} times, far from all others: taken as missing", ""


def sentinel(numbers: "pd.Series[float]") -> int | None:
    """A number such as -999 that stands there several times, farther from the others than they are from one another."""
    for value in (numbers.min(), numbers.max()):
        rest = numbers[numbers != value]
        if value in SENTINELS and len(rest) and (numbers == value).sum() > 1:
            gap = min(abs(rest.min() - value), abs(rest.max() - value))
            if gap > rest.max() - rest.min():
                return int(value)
    return None


def text_keys(values: "pd.Series[str]") -> Kind:
    """Keys of a category. A dash and a question mark are missing; NA may be a word."""
    known = values[~values.isin(["", *EVERYWHERE])]
    keys: dict[str, Any] = {"kind": "category"}
    if len(known) < len(values):
        keys["nullable"] = True
    if set(known.str.lower()) <= {"true", "false"}:
        keys["kind"] = "boolean"
        return keys, "", ""

    if known.str.len().max() > LONGEST:
        return keys, "", f"text: up to {known.str.len().max():,} characters"
    if known.nunique() > MOSTLY * len(known) and known.nunique() > 10:
        kind = "an identifier" if known.is_unique and known.str.fullmatch(r"\S+").all() else "text"
        return keys, "", f"{kind}: {known.nunique():,} different values in {len(known):,} rows"
    return keys, alike(known), ""


def alike(known: "pd.Series[str]") -> str:
    """A note where values differ only in capitals or blanks, with the most frequent of them."""
    counts = known.value_counts()
    folded = counts.index.str.casefold().str.split().str.join(" ")
    again = folded[folded.duplicated()]
    if again.empty:
        return ""
    names = " and ".join(map(repr, counts.index[folded == again[0]]))
    return f"{names} count as different values: write them alike in the file if they are one"
