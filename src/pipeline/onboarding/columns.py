"""What each column of a table is, by its values: its kind, what stands for missing, and why it is left out.

It knows text and no model. Every decision that a person may see otherwise has a note.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.data.clean import OFFSET
from pipeline.data.notation import DATED, ISO, format_of
from pipeline.datasets.table import MISSING, is_one_of, missing_words
from pipeline.onboarding.names import GROUPS, NUMBERED, UNNAMED, field_name, last_word
from pipeline.runtime.contract import FLOAT32_MAX, LONGEST

if TYPE_CHECKING:
    import pandas as pd

EVERYWHERE = ("?", "-", "--")  # stand for a missing value among words too
UNKNOWN = (*EVERYWHERE, *MISSING, "n/a", ".")  # and these among numbers and dates
SENTINELS = (-1, -9, -99, -999, -9999, 99, 999, 9999, 99999)
MONEY = r"(?=.*[,$€£%])[$€£]?\s?[-+]?\d{1,3}(,\d{3})*(\.\d+)?\s?[$€£%]?"
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
        keys, note, left_out = kind_of(header, values)
        is_key = left_out.startswith("an identifier") and "nullable" not in keys

        same = earlier.setdefault(hash(tuple(values)), name)
        if same != name and not left_out:
            left_out = f"the same as {same}"
        if UNNAMED.fullmatch(header):
            note = note or "has no name in the file: give it one, and say what it means"
        if name != header:
            keys["source"] = header
        guesses.append(Guess(name, header, keys, note, left_out, is_key))
    return guesses


def is_missing(values: "pd.Series[str]", keys: Mapping[str, Any]) -> "pd.Series[bool]":
    """Which values are missing in a column with these keys: blanks, marks, and NA where it has no words."""
    import pandas as pd

    plain = values.str.strip()
    marks = [*missing_words(keys["kind"] == "category"), *EVERYWHERE, *map(str, keys.get("missing", []))]
    absent = plain.isin(marks)
    if keys["kind"] in ("integer", "number"):
        absent |= is_one_of(pd.to_numeric(plain, errors="coerce"), marks)  # -999.0 is -999
    return absent


def kind_of(header: str, text: "pd.Series[str]") -> Kind:
    """What a column is by its values, and by its name where they may be numbers of rows."""
    values = text.str.strip()
    known = values[~values.isin(UNKNOWN)]
    keys: dict[str, Any] = {"kind": "category"}
    if len(known) < len(values):
        keys["nullable"] = True

    if known.empty:
        return keys, "", "always empty"
    if values.nunique() == 1:
        return keys, "", f"always {known.iloc[0][:40]}"
    if has_offsets(known):
        return keys, "", "times with an offset: a column of local times, without one, can be used"
    if marks := marks_of(text, MISSING):
        keys["missing"] = marks
    if date_format := format_of(known):
        return date_keys(known, date_format, keys)

    if (numbers := as_numbers(known)) is not None:
        return number_keys(header, numbers, keys)
    if known.str.fullmatch(MONEY).all():
        return keys, "", f"numbers with other signs, such as {known.iloc[0]}: write plain ones to use it"
    if set(known.str.lower()) <= {"true", "false"}:
        keys["kind"] = "boolean"
        return keys, "", ""
    return text_keys(text)


def has_offsets(known: "pd.Series[str]") -> bool:
    """Whether these are dates and times, some of them with an offset."""
    with_offset = known[known.str.contains(OFFSET)]
    is_dated = known.str.contains(DATED).all()
    return bool(is_dated and len(with_offset) and with_offset.str.contains(":").all())


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


def marks_of(text: "pd.Series[str]", understood: Sequence[str]) -> list[str]:
    """The marks for a missing value that stand there, without those that a config has by itself or under data."""
    marks = {value for value in text.unique() if value.strip() in UNKNOWN}
    return sorted(marks - {*understood, *EVERYWHERE})


def as_numbers(known: "pd.Series[str]") -> "pd.Series[float] | None":
    """The values as numbers, infinite ones too; None where one is none, or is a code such as 007."""
    import pandas as pd

    numbers = pd.to_numeric(known, errors="coerce")
    is_code = known.str.match(r"0\d").any()
    return None if is_code or numbers.isna().any() else numbers


def number_keys(header: str, numbers: "pd.Series[float]", keys: dict[str, Any]) -> Kind:
    beyond = too_large(numbers)
    if len(beyond):
        return beyond_keys(numbers, beyond, keys)
    whole = bool((numbers % 1 == 0).all())
    keys["kind"] = "integer" if whole else "number"

    if whole and UNNAMED.fullmatch(header) and (numbers.is_unique or (numbers.diff() == 1).mean() > MOSTLY):
        return keys, "", "numbers the rows: an index that was written without a name"
    if whole and "nullable" not in keys and numbers.is_unique:
        if numbers.max() - numbers.min() == len(numbers) - 1:
            return keys, "", "counts the rows"
        if last_word(header) in {*GROUPS, *NUMBERED, "index", "code"}:
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


def too_large(numbers: "pd.Series[float]") -> "pd.Series[float]":
    """The numbers that a model cannot take: infinite, or too large for a float32."""
    return numbers[numbers.abs() > FLOAT32_MAX]


def beyond_keys(numbers: "pd.Series[float]", beyond: "pd.Series[float]", keys: dict[str, Any]) -> Kind:
    """Keys of a number with values that are too large for a model: these are missing, if they are few."""
    fact = (
        f"infinite or too large for a float32 in {len(beyond):,} of {len(numbers):,} rows, such as {beyond.iloc[0]:g}"
    )
    keys |= {"kind": "number", "nullable": True, "on_violation": {"range": "nullify"}}
    if len(beyond) > MOSTLY * len(numbers):
        return keys, "", f"{fact}: write their logarithm, or another unit, to use it"
    return keys, f"{fact}: taken as missing", ""


def sentinel(numbers: "pd.Series[float]") -> int | None:
    """A number such as -999 that stands there several times, farther from the others than they are from one another."""
    for value in (numbers.min(), numbers.max()):
        rest = numbers[numbers != value]
        if value in SENTINELS and len(rest) and (numbers == value).sum() > 1:
            gap = min(abs(rest.min() - value), abs(rest.max() - value))
            if gap > rest.max() - rest.min():
                return int(value)
    return None


def text_keys(text: "pd.Series[str]") -> Kind:
    """Keys of a category. A dash and a question mark are missing; NA may be a word."""
    keys: dict[str, Any] = {"kind": "category"}
    absent = is_missing(text, keys)
    known = text[~absent]
    if absent.any():
        keys["nullable"] = True
    if marks := marks_of(text[absent], [""]):
        keys["missing"] = marks
    if known.str.len().max() > LONGEST:
        return keys, "", f"text: up to {known.str.len().max():,} characters"
    if known.nunique() > MOSTLY * len(known) and known.nunique() > 10:
        kind = "an identifier" if known.is_unique and known.str.fullmatch(r"\S+").all() else "text"
        return keys, "", f"{kind}: {known.nunique():,} different values in {len(known):,} rows"
    names = alike(known)
    note = f"{names} count as different values: write them alike in the file if they are one"
    return keys, note if names else "", ""


def alike(known: "pd.Series[str]") -> str:
    """Values that differ only in capitals or blanks, the most frequent of them; empty if there are none."""
    counts = known.value_counts()
    folded = counts.index.str.casefold().str.split().str.join(" ")
    again = folded[folded.duplicated()]
    if again.empty:
        return ""
    return " and ".join(map(repr, counts.index[folded == again[0]]))
