"""The message for too many rejected rows: a line for every column and rule, with the keys that accept such values.

This module knows raw values and their columns. It reads no file and changes no row.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.config.config import Config
from pipeline.config.splits import GroupSplit
from pipeline.data.clean import OFFSET, CleanedFrame, RuleViolation, as_numbers
from pipeline.data.notation import COMMA_DECIMAL, ISO, format_of, positive_of
from pipeline.errors import DataError
from pipeline.runtime.contract import FLOAT32_MAX, LONGEST, Column

EXAMPLES = 3
LISTED = 10  # different values that a line of the config may name
NEEDED = "Fill or leave out these rows: data.key, split or timing needs the column"


class Case(NamedTuple):
    """A column, the values that violate one of its rules, all its values, and whether a row may lack one.

    Rows without the target are left out: it need not be nullable for that. A column `is_key` if rows are grouped by its
    values: it cannot be a number then.
    """

    column: Column
    rule: str
    invalid: "pd.Series[Any]"
    values: "pd.Series[Any]"
    optional: bool
    is_target: bool
    is_key: bool


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
    largest_first = sorted(cleaned.violations, key=lambda violation: -len(violation.values))
    lines = [f"  {describe(violation, raw, config)}" for violation in largest_first if violation.action == "reject"]
    raise DataError(
        f"{len(cleaned.rejected)} of {total} rows were rejected, more than data.max_rejected {limit:g} allows "
        f"({int(limit * total)} rows):\n"
        + "\n".join(lines)
        + f"\nAll rejected rows: {listed}. Where the values are right, "
        "change the config as above; where they are wrong, the data; or raise data.max_rejected"
    )


def describe(violation: RuleViolation, raw: pd.DataFrame, config: Config) -> str:
    """One line: the column, the fact with its count, examples with their rows, and what to write in the config."""
    name = violation.column
    invalid = violation.values
    case = Case(
        column=config.columns[name],
        rule=violation.rule,
        invalid=invalid,
        values=raw[name],
        optional=name not in required(config),
        is_target=name == config.target,
        is_key=name in grouping(config),
    )
    fact, remedy = REMEDIES[violation.rule](case)

    count = f"{len(invalid):,} rows" if len(invalid) > 1 else "1 row"
    examples = [f"{repr(value)[:40]} (row {row})" for row, value in distinct(invalid).head(EXAMPLES).items()]
    such_as = "" if violation.rule == "missing" else f", such as {', '.join(examples)}"
    return f"{name}: {fact} in {count}{such_as}. {remedy}"


def required(config: Config) -> set[str]:
    """The columns that no row may lack, whatever the model does with missing values."""
    timing = config.timing
    times = {timing.time, timing.known or timing.time} if timing else set()
    keys = {getattr(config.split, part, config.target) for part in ("time", "group")}
    return {config.target, *config.data.key, *times, *keys}


def grouping(config: Config) -> set[str]:
    """The columns by whose values rows are grouped."""
    group = {config.split.group} if isinstance(config.split, GroupSplit) else set()
    return group.union(*(rule.by for rule in config.contract.rolling.values()))


def distinct(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """The first row of each different value."""
    return values[~values.astype(str).duplicated()]


def as_missing(case: Case, values: "pd.Series[Any]") -> str:
    """The keys with which these values stand for a missing one."""
    if not case.optional and not case.is_target:
        return NEEDED

    marks = [mark if isinstance(mark, int | float) and abs(mark) < np.inf else str(mark) for mark in distinct(values)]
    nullable = "" if case.column.nullable or case.is_target else ", nullable: true"
    if len(marks) <= LISTED:
        return f"Write missing: {json.dumps([*case.column.missing, *marks], ensure_ascii=False)}{nullable}"
    if case.is_target:
        return "Mend these rows, or leave them out"
    return f"Write on_violation: {{{case.rule}: nullify}}{nullable}"


def type_remedy(case: Case) -> tuple[str, str]:
    """For values that are not of the column's kind."""
    kind = case.column.kind
    remedies: dict[str, Callable[[Case], str]] = {"boolean": yes_and_no, "datetime": date_format}
    return f"no {kind}", remedies.get(kind, number)(case)


def number(case: Case) -> str:
    is_number = np.isfinite(as_numbers(case.invalid))
    marks = case.invalid[~is_number].astype(str)
    kind = "kind: category" if case.is_key else "kind: number"  # numbers are invalid only where they should be whole
    if marks.empty:
        return f"Write {kind}"
    if marks.str.fullmatch(COMMA_DECIMAL).all():
        more = f", and {kind}" if case.column.kind == "integer" else ""
        return f'Write decimal: "," in data{more}'
    if len(marks) > len(case.values) / 2:
        return "Write kind: category, or plain numbers in the file"

    remedy = as_missing(case, marks)
    if not is_number.any():
        return remedy
    return f"{remedy}, {kind}" if remedy.startswith("Write") else f"Write {kind}. For the others: {remedy}"


def yes_and_no(case: Case) -> str:
    """The two lists, where no value is understood yet."""
    counts = case.values.dropna().astype(str).str.strip().value_counts()
    names = sorted(name for name in counts.index if name)
    if case.column.positive:
        return f"Add {', '.join(map(repr, distinct(case.invalid)))} to positive or to negative"
    if len(case.invalid) < counts.sum() or len(names) == 1:
        return as_missing(case, case.invalid)
    if len(names) > LISTED:
        return f"It has {len(names)} values: write another kind"

    positive = positive_of(names, counts) if len(names) == 2 else names[0]
    negative = [name for name in names if name != positive]
    return f"Write, as it is meant, positive: {json.dumps([positive])}, negative: {json.dumps(negative)}"


def date_format(case: Case) -> str:
    text = case.invalid.astype("string")
    if text.str.contains(OFFSET).any():
        return "Write local times in the file, without an offset"
    form = format_of(case.values.dropna().astype("string"))
    if form == ISO:
        return "Remove format: the dates are ISO 8601"
    if form:
        return f'Write format: "{form}"'
    if format_of(text):
        return "The other rows write dates in another way: write all in one"
    return as_missing(case, case.invalid)


def range_remedy(case: Case) -> tuple[str, str]:
    """For numbers beyond a bound. One number in several rows may stand for a missing value."""
    numbers = as_numbers(case.invalid)
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
    if len(numbers) > 1 and numbers.nunique() == 1:
        remedy += f". Where it stands for a missing value: {as_missing(case, case.invalid)}"
    return " or ".join(facts), remedy


def values_remedy(case: Case) -> tuple[str, str]:
    names = [str(value) for value in distinct(case.invalid)]
    remedy = f"Remove values, or add these {len(names)}"
    if len(names) <= LISTED:
        remedy = f"Add to values: {json.dumps({name: name for name in names}, ensure_ascii=False)}"
    return "not one of its values", remedy


REMEDIES: dict[str, Callable[[Case], tuple[str, str]]] = {
    "type": type_remedy,
    "range": range_remedy,
    "values": values_remedy,
    "missing": lambda case: ("missing", "Write nullable: true" if case.optional else NEEDED),
    "pattern": lambda case: (f"unlike the pattern {case.column.pattern}", "Write another pattern, or none"),
    "length": lambda _: (f"longer than {LONGEST} characters", "Shorten them, or leave the column out"),
}
