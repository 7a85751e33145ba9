"""Divide raw rows into valid rows and rejected rows with their reason.

The contract has the rules, and pandera applies them. This module knows one frame: it reads no file and knows no split.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from pipeline.runtime.contract import LONGEST, Column, Contract
from pipeline.runtime.dataset import refuse_absent

OFFSET = r"(?:Z|\d[T ]\d.*[+-]\d\d(?::?\d\d)?)$"  # a time with an offset is no local time, and callers send local times
TRUE = {"true", "1", "1.0", "yes"}
FALSE = {"false", "0", "0.0", "no"}


class RuleViolation(NamedTuple):
    """One rule of one column, and the raw values that violate it, by row number."""

    column: str
    rule: str
    action: str
    values: "pd.Series[Any]"


class CleanedFrame(NamedTuple):
    """Valid typed rows, rejected raw rows with a `reason`, and every violation."""

    frame: pd.DataFrame
    rejected: pd.DataFrame
    violations: list[RuleViolation]


def with_outcome(raw: pd.DataFrame, target: str) -> pd.DataFrame:
    """The rows whose outcome is there: a model can neither be trained nor be evaluated on the others."""
    if target not in raw:
        return raw
    outcome = raw[target]
    return raw[outcome.notna() & (outcome.astype("string").str.strip() != "").fillna(False)]


def clean(raw: pd.DataFrame, contract: Contract) -> CleanedFrame:
    """Apply every rule to every declared column that `raw` has to bring.

    Rows without an outcome are left out.

    A violation rejects its row or, with the action `nullify`, sets the value to missing. Raises DataError if a declared
    column is absent.
    """
    declared = {name: column for name, column in contract.columns.items() if column.brought}
    refuse_absent({name: name for name in declared}, map(str, raw), contract.dataset)
    raw = with_outcome(raw.reset_index(drop=True), contract.target)  # the others keep their numbers
    typed = pd.DataFrame({name: as_kind(raw[name], column) for name, column in declared.items()})
    untyped = list(type_violations(raw, typed, declared))
    violations = [*untyped, *rule_violations(raw, typed, declared, untyped)]

    reasons: dict[int, list[str]] = {}
    for violation in violations:
        if violation.action == "nullify":
            missing_value = pd.NA if typed[violation.column].dtype == object else np.nan
            typed.loc[violation.values.index, violation.column] = missing_value
            continue

        for row, value in violation.values.items():
            example = "" if violation.rule == "missing" else f": {value}"
            reasons.setdefault(int(str(row)), []).append(f"{violation.column}: {violation.rule}{example}")

    rows = sorted(reasons)
    rejected = raw.loc[rows].assign(reason=["; ".join(reasons[row]) for row in rows])
    return CleanedFrame(typed.drop(index=rows).reset_index(drop=True), rejected, violations)


def violation_counts(cleaned: CleanedFrame, contract: Contract) -> list[dict[str, Any]]:
    """List every rule of the contract with its action and the number of rows that violate it."""
    rows = {(violation.column, violation.rule): len(violation.values) for violation in cleaned.violations}
    counts: list[dict[str, Any]] = []
    for name, column in contract.columns.items():
        if not column.brought:
            continue

        for rule in ["type", *checks(column)]:
            action = column.on_violation.get(rule, "reject")
            counts.append({"column": name, "rule": rule, "action": action, "rows": rows.get((name, rule), 0)})
    return counts


def profile(frame: pd.DataFrame, contract: Contract, time: str | None) -> dict[str, Any]:
    """Count the rows, the missing values of each declared column, and the rows of each month of the column `time`."""
    names = [name for name, column in contract.columns.items() if column.brought]
    missing = {name: int(is_missing(frame[name]).sum()) for name in names}
    months = {}
    if time:
        month = as_kind(frame[time], contract.columns[time]).dropna().to_numpy().astype("datetime64[M]")
        distinct, rows = np.unique(month, return_counts=True)
        months = dict(zip(distinct.astype(str).tolist(), rows.tolist(), strict=True))
    return {"rows": len(frame), "missing": missing, "months": months}


def is_missing(values: "pd.Series[Any]") -> "pd.Series[bool]":
    """Whether a value is missing; empty text is."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_dtype(values):
        return values.isna()
    return values.isna() | values.isin([""])


def as_kind(values: "pd.Series[Any]", column: Column) -> "pd.Series[Any]":
    """Convert values to the type of their kind: object, float64 or datetime64. Other values become missing."""
    kind = column.kind
    if kind == "category":
        text = whole(values).astype("string")
        return text.astype(object).where(values.notna() & (text != ""), None)

    if kind == "datetime":
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            return pd.Series(pd.NaT, index=values.index)
        if not pd.api.types.is_datetime64_dtype(values):
            text = values.astype("string").str.strip()
            values = text.mask(text.str.contains(OFFSET, na=False))
        return pd.to_datetime(values, errors="coerce", format=column.format or "ISO8601")

    if kind == "boolean":
        text = values.astype("string").str.strip()
        if not column.positive:
            text = text.str.lower()
        yes = column.positive or TRUE
        no = column.negative or FALSE
        return text.map({**dict.fromkeys(yes, 1.0), **dict.fromkeys(no, 0.0)}).astype(float)

    numbers = as_numbers(values)
    return numbers.where(numbers % 1 == 0) if kind == "integer" else numbers


def whole(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Whole numbers as integers where pandas stores them as floats, because some are missing: 7.0 was 7."""
    if not pd.api.types.is_float_dtype(values):
        return values
    known = values.dropna()
    is_whole = (known % 1 == 0).all() and (known.abs() < 2**63).all()  # what an integer of 64 bits can be
    return values.astype("Int64") if is_whole else values


def as_numbers(values: "pd.Series[Any]") -> "pd.Series[float]":
    """The values as float64; missing where one is no number."""
    try:
        return pd.to_numeric(values, errors="coerce").astype(float)
    except OverflowError:  # pandas keeps an integer of hundreds of digits as an object
        return pd.to_numeric(values.astype("string"), errors="coerce").astype(float)


def type_violations(raw: pd.DataFrame, typed: pd.DataFrame, declared: dict[str, Column]) -> Iterator[RuleViolation]:
    """Yield one violation per column with values that cannot be converted to the column's kind."""
    for name, column in declared.items():
        unconverted = raw.loc[typed[name].isna() & raw[name].notna(), name]
        unconverted = unconverted[unconverted.astype("string") != ""]  # an empty cell is missing and violates no type
        if len(unconverted):
            yield RuleViolation(name, "type", column.on_violation.get("type", "reject"), unconverted)


def rule_violations(
    raw: pd.DataFrame, typed: pd.DataFrame, declared: dict[str, Column], untyped: list[RuleViolation]
) -> Iterator[RuleViolation]:
    """Yield one violation per column and rule. Rows that are in `untyped` already are left out."""
    untyped_rows = {violation.column: violation.values.index for violation in untyped}
    columns = {}
    for name, column in declared.items():
        columns[name] = pa.Column(nullable=True, checks=list(checks(column).values()))

    try:
        pa.DataFrameSchema(columns).validate(typed, lazy=True)
    except pa.errors.SchemaErrors as errors:
        for (name, rule), cases in errors.failure_cases.groupby(["column", "check"], sort=False):
            rows = pd.Index(cases["index"].astype(int)).difference(untyped_rows.get(name, pd.Index([])))
            if len(rows):
                yield RuleViolation(name, rule, declared[name].on_violation.get(rule, "reject"), raw.loc[rows, name])


def checks(column: Column) -> dict[Any, pa.Check]:
    """Return the column's rules beyond its type, by name."""
    rules: dict[Any, pa.Check] = {}

    if not column.nullable:
        rules["missing"] = pa.Check(lambda values: values.notna(), ignore_na=False, error="missing")
    if column.kind in ("number", "integer"):
        rules["range"] = pa.Check.in_range(*column.limits, error="range")
    if column.kind == "category":
        rules["length"] = pa.Check.str_length(max_value=LONGEST, error="length")
    if column.values:
        rules["values"] = pa.Check.isin(list(column.values), error="values")
    if column.pattern:
        rules["pattern"] = pa.Check.str_matches(rf"(?:{column.pattern})\Z", error="pattern")

    return rules


def frame_to_columns(frame: pd.DataFrame, contract: Contract) -> dict[str, NDArray[Any]]:
    """Convert valid rows to columns [rows]: all columns that the data brings, in the same arrays as a request."""
    kinds = {name: column.kind for name, column in contract.columns.items() if column.brought}
    return {name: _array(frame[name], kind) for name, kind in kinds.items()}


def _array(values: "pd.Series[Any]", kind: str) -> NDArray[Any]:
    if kind == "category":
        return np.asarray(values.fillna(""), dtype=object)
    if kind == "datetime":
        return np.asarray(values, dtype="datetime64[s]")
    return np.asarray(values, dtype=np.float64)
