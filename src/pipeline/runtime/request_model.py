"""The pydantic model of one request row, built from the contract.

The server, its OpenAPI document and the registered MLflow model all validate rows with it.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from pipeline.runtime.contract import LONGEST, Column, Contract

# The dates and times from 1900 to 2199 that exist, as an exact regular expression, so that clients can generate values.
# Data cleaning reads the same texts: those of ISO 8601, and those that pandas writes.
LONG = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"  # months with 31 days
SHORT = "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"  # months with 30 days
DAYS = f"{LONG}|{SHORT}|02-(?:0[1-9]|1[0-9]|2[0-8])"
LEAP = "(?:(?:19|20|21)(?:0[48]|[2468][048]|[13579][26])|2000)-02-29"
DATE = f"(?:(?:19|20|21)[0-9]{{2}}-(?:{DAYS})|{LEAP})"
MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
TIME = rf"[T ]{MINUTE}(?::[0-5][0-9](?:\.[0-9]{{1,9}})?)?"
LOCAL_TIME = f"^{DATE}{TIME}$"
LOCAL_DATE = f"^{DATE}(?:{TIME})?$"  # of a column without times of day
WHOLE_SECOND = re.compile(f"{DATE}T{MINUTE}(?::[0-5][0-9])?", re.ASCII)
EXISTS = re.compile(LOCAL_TIME, re.ASCII)
DATE_EXISTS = re.compile(DATE, re.ASCII)
LARGEST = 2**53  # float64 represents every integer up to this one


def request_model(contract: Contract) -> type[BaseModel]:
    """Build the strict pydantic model of one request row: required fields first, unknown fields are an error.

    No field accepts NaN. Replace NaN by None with `without_nan` before validation where NaN means missing.
    """
    ordered = sorted(contract.request.items(), key=lambda item: item[1].nullable)
    fields: dict[str, Any] = {name: (value_type(column), _field(column)) for name, column in ordered}

    config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())
    model: type[BaseModel] = create_model("Row", __config__=config, **fields)
    return model


def without_nan(rows: Sequence[Any]) -> list[Any]:
    """Replace NaN by None in every row that is an object; other rows stay as they are."""
    result = []
    for row in rows:
        if not isinstance(row, dict):
            result.append(row)
            continue
        clean = dict(row)
        for name, value in row.items():
            if value != value:  # only NaN is unequal to itself
                clean[name] = None
        result.append(clean)
    return result


def _field(column: Column) -> Any:
    """Return the pydantic field of a column: description, example, pattern, and None as default where nullable."""
    text = column.meaning if column.unit is None else f"{column.meaning} [{column.unit}]"
    if column.rolling:
        text += "; looked up if a request lacks it"

    examples = None if column.example is None else [column.example]
    pattern = column.pattern and f"^(?:{column.pattern})$"
    if column.kind == "datetime":
        pattern = LOCAL_DATE if column.is_date else LOCAL_TIME
    extra: Any = {"pattern": pattern} if pattern else None
    default: Any = None if column.nullable else ...
    return Field(default, description=text, examples=examples, json_schema_extra=extra)


def value_type(column: Column) -> Any:
    """Return the type of a column with its limits, allowed values or pattern; nullable columns also take None."""
    low, high = column.limits
    whole: Any = {"ge": max(int(low), -LARGEST), "le": min(int(high), LARGEST)}
    text: Any = Annotated[str, Field(min_length=1, max_length=LONGEST)]
    category = text
    if column.pattern is not None:
        category = Annotated[text, _matching(column.pattern)]

    kinds: dict[str, Any] = {
        "category": category,
        "number": Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)],
        "integer": Annotated[int, Field(**whole), BeforeValidator(integral)],
        "boolean": bool,
        "datetime": Annotated[str, AfterValidator(_date_exists if column.is_date else _exists)],
    }
    kind = Literal[tuple(column.values)] if column.values else kinds[column.kind]
    if column.nullable:
        kind = kind | None
    return Annotated[kind, BeforeValidator(partial(without_mark, column.missing))] if column.missing else kind


def without_mark(marks: Sequence[Any], value: Any) -> Any:
    """Replace a value that stands for a missing one, such as -999, by None, as data cleaning does."""
    return None if value in marks and not isinstance(value, bool) else value


def _matching(pattern: str) -> Any:
    """Return a validator that the whole value matches the pattern, as data cleaning does with Python's `re`.

    Where `re` and pydantic's engine agree on a pattern, pydantic's is used, because it is faster.
    """
    if "\\" not in pattern and "(?" not in pattern and pattern.isascii():
        return Field(pattern=f"^(?:{pattern})$")
    compiled = re.compile(pattern)

    def match(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"Should match the pattern {pattern}")
        return value

    return AfterValidator(match)


def integral(value: Any) -> Any:
    """Convert a float such as 18.0 to an integer, as JSON Schema does. Any other value is returned unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _exists(value: str) -> str:
    """Return a local date and time that exists, in ISO 8601 and whole seconds. Raises ValueError for any other text.

    A fraction of a second is cut off, as in training: everything else in the project counts whole seconds.
    """
    if WHOLE_SECOND.fullmatch(value):
        return value
    if not EXISTS.fullmatch(value):
        raise ValueError("Should be a date and time that exists, such as 2024-03-01T17:30, without an offset")
    return value.replace(" ", "T").partition(".")[0]


def _date_exists(value: str) -> str:
    """Return the midnight at which a date begins, as cleaning reads it. Raises ValueError for any other text."""
    if DATE_EXISTS.fullmatch(value):
        return f"{value}T00:00"
    if not EXISTS.fullmatch(value):
        raise ValueError("Should be a date that exists, such as 2024-03-01")
    return _exists(value)
