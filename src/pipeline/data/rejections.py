"""The message for too many rejected rows: a line for every column and rule, with the keys that accept such values.

This module knows raw values and their columns. It reads no file and changes no row.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from pipeline.config.config import Config
from pipeline.config.splits import GroupSplit, TimeSplit
from pipeline.data.clean import OFFSET, CleanedFrame, RuleViolation
from pipeline.data.notation import format_of, positive_of
from pipeline.errors import DataError
from pipeline.runtime.contract import FLOAT32_MAX, LONGEST, Column

EXAMPLES = 3
LISTED = 10  # different values that a line of the config may name
COMMA_DECIMAL = r"[-+]?\d+,\d+"
NOT_OF_KIND = {
    "number": "not a number",
    "integer": "not a whole number",
    "boolean": "neither yes nor no",
    "datetime": "not a date",
}


class Case(NamedTuple):
    """A column, the values that violate one of its rules, all its values, and whether a row may lack one."""

    column: Column
    invalid: "pd.Series[Any]"
    values: "pd.Series[Any]"
    optional: bool


def refuse_too_many(cleaned: CleanedFrame, raw: pd.DataFrame, config: Config, listed: str) -> None:
    """Raise DataError if more than the share `data.max_rejected` of the rows is rejected, or if there are none.

    `listed` is the path of the file with the rejected rows, for the message.
    """
    if raw.empty:
        raise DataError("the data has no rows")
    total = len(cleaned.frame) + len(cleaned.rejected)
    if not total:
        raise DataError(f"{config.target}: is missing in all {len(raw)} rows: there is nothing to learn from")

    limit = config.data.max_rejected
    if len(cleaned.rejected) <= limit * total:
        return
    rejecting = [violation for violation in cleaned.violations if violation.action == "reject"]
    rejecting.sort(key=lambda violation: len(violation.values), reverse=True)
    lines = [f"  {describe(violation, raw, config)}" for violation in rejecting]
    raise DataError(
        f"{len(cleaned.rejected)} of {total} rows were rejected, more than data.max_rejected {limit:g} allows "
        f"({int(limit * total)} rows):\n" + "\n".join(lines) + f"\nAll of them: {listed}. Where the values are right, "
        "change the config as above; where they are wrong, the data; or raise data.max_rejected"
    )


def describe(violation: RuleViolation, raw: pd.DataFrame, config: Config) -> str:
    """One line: the column, the fact with its count, examples with their rows, and what to write in the config."""
    name = violation.column
    invalid = violation.values
    case = Case(config.columns[name], invalid, raw[name], name not in required(config))
    fact, remedy = REMEDIES[violation.rule](case)

    count = f"{len(invalid):,} rows" if len(invalid) > 1 else "1 row"
    examples = [f"{repr(value)[:40]} (row {row})" for row, value in distinct(invalid).head(EXAMPLES).items()]
    such_as = "" if violation.rule == "missing" else f", such as {', '.join(examples)}"
    return f"{name}: {fact} in {count}{such_as}. {remedy}"


def required(config: Config) -> set[str]:
    """The columns that no row may lack, whatever the model does with missing values."""
    names = {config.target, *config.data.key}
    if isinstance(config.split, TimeSplit):
        names.add(config.split.time)
    if isinstance(config.split, GroupSplit):
        names.add(config.split.group)
    if config.timing:
        names |= {config.timing.time, config.timing.known or config.target}
    return names


def distinct(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """The first row of each different value."""
    return values[~values.astype(str).duplicated()]


def as_missing(case: Case, values: "pd.Series[Any]") -> str:
    """What to write where these values stand for a missing one."""
    if case.column.nullable or not case.optional:
        nullable = ""
    else:
        nullable = ", nullable: true"
    words = distinct(values).tolist()
    if len(words) > LISTED:
        return f"Write on_violation: {{type: nullify}}{nullable}" if case.optional else "Mend or remove these rows"
    texts = [word if isinstance(word, int) else str(word) for word in words]
    return f"Write missing: {json.dumps([*case.column.missing, *texts], ensure_ascii=False)}{nullable}"


def type_remedy(case: Case) -> tuple[str, str]:
    """For values that are not of the column's kind."""
    kind = case.column.kind
    remedies: dict[str, Callable[[Case], str]] = {"boolean": yes_and_no, "datetime": date_format}
    return NOT_OF_KIND[kind], remedies.get(kind, number)(case)


def number(case: Case) -> str:
    numbers = pd.to_numeric(case.invalid, errors="coerce")
    words = case.invalid[numbers.isna()].astype(str)
    if words.empty:
        return "Write kind: number"
    if words.str.fullmatch(COMMA_DECIMAL).all():
        return 'Write decimal: "," in data'
    if len(words) > len(case.values) / 2:
        return "Write kind: category"
    return as_missing(case, words) + (", kind: number" if len(words) < len(case.invalid) else "")


def yes_and_no(case: Case) -> str:
    counts = case.values.dropna().astype(str).str.strip().value_counts()
    names = sorted(name for name in counts.index if name)
    if case.column.positive:
        return f"Add {', '.join(map(repr, distinct(case.invalid)))} to positive or to negative"
    if len(names) != 2:
        return as_missing(case, case.invalid)
    positive = positive_of(names, counts)
    negative = next(name for name in names if name != positive)
    return f"Write positive: {json.dumps([positive])}, negative: {json.dumps([negative])}"


def date_format(case: Case) -> str:
    text = case.invalid.astype("string")
    if text.str.contains(OFFSET).any():
        return "Write local times in the file, without an offset"
    form = format_of(case.values.dropna().astype("string"))
    if form == "ISO 8601":
        return "Remove format: the dates are ISO 8601"
    if form:
        return f'Write format: "{form}"'
    if format_of(text):
        return "The other rows write dates in another way: write all in one"
    return as_missing(case, case.invalid)


def range_remedy(case: Case) -> tuple[str, str]:
    """For numbers beyond a bound. One number in several rows may stand for a missing value."""
    numbers = pd.to_numeric(case.invalid)
    low, high = case.column.limits
    if numbers.abs().max() > FLOAT32_MAX:
        return "infinite, or too large for a float32,", as_missing(case, case.invalid)

    facts = []
    bounds = []
    if numbers.min() < low:
        facts.append(f"below minimum {low:.9g}")
        bounds.append(f"minimum: {numbers.min():.9g}")
    if numbers.max() > high:
        facts.append(f"above maximum {high:.9g}")
        bounds.append(f"maximum: {numbers.max():.9g}")
    remedy = f"Write {', '.join(bounds)}"
    if case.optional and len(numbers) > 1 and numbers.nunique() == 1:
        remedy += f". If it stands for a missing value: {as_missing(case, numbers.astype(case.invalid.dtype))}"
    return " or ".join(facts), remedy


def values_remedy(case: Case) -> tuple[str, str]:
    words = [str(value) for value in distinct(case.invalid)]
    if len(words) > LISTED:
        return "not one of its values", f"Remove values, or add these {len(words)}"
    entries = json.dumps({word: word for word in words}, ensure_ascii=False)
    return "not one of its values", f"Add to values: {entries}"


def missing_remedy(case: Case) -> tuple[str, str]:
    is_needed = "Fill or remove these rows: the target, data.key, split and timing need the column"
    return "missing", "Write nullable: true" if case.optional else is_needed


REMEDIES: dict[str, Callable[[Case], tuple[str, str]]] = {
    "type": type_remedy,
    "range": range_remedy,
    "values": values_remedy,
    "missing": missing_remedy,
    "pattern": lambda case: (f"unlike the pattern {case.column.pattern}", "Write another pattern, or none"),
    "length": lambda _: (f"longer than {LONGEST} characters", "Shorten them, or leave the column out"),
}
