"""The strict model of one request row, made from the contract: the server, its docs and the registered model check with
it.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from pipeline.runtime.contract import LONGEST, Column, Contract

# A local date and time that exists, from 1900 to 2199, as an exact regular expression: clients can generate from it.
LONG, SHORT = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])", "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
DAYS = f"{LONG}|{SHORT}|02-(?:0[1-9]|1[0-9]|2[0-8])"
LEAP = "(?:(?:19|20|21)(?:0[48]|[2468][048]|[13579][26])|2000)-02-29"
LOCAL_TIME = f"^(?:(?:19|20|21)[0-9]{{2}}-(?:{DAYS})|{LEAP})T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?$"
LARGEST = 2**53  # up to there float64 holds every integer
EXISTS = re.compile(LOCAL_TIME, re.ASCII)


def request_model(contract: Contract) -> type[BaseModel]:
    """The strict model of one request row: required fields first, unknown fields refused.

    NaN is no value of any field. A caller that means a missing one by it is helped before: see `without_nan`.
    """
    ordered = sorted(contract.request.items(), key=lambda item: item[1].nullable)
    fields: dict[str, Any] = {name: (_field_type(column), _field(column)) for name, column in ordered}
    config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())
    model: type[BaseModel] = create_model("Row", __config__=config, **fields)
    return model


def without_nan(rows: Sequence[Any]) -> list[Any]:
    """The rows with None wherever an object among them has NaN."""
    return [
        {name: None if value != value else value for name, value in row.items()} if isinstance(row, dict) else row
        for row in rows
    ]


def _field(column: Column) -> Any:
    text = column.meaning if column.unit is None else f"{column.meaning} [{column.unit}]"
    text += "; looked up where it is not sent" if column.rolling else ""
    examples = None if column.example is None else [column.example]
    pattern = LOCAL_TIME if column.kind == "datetime" else column.pattern and f"^(?:{column.pattern})$"
    extra: Any = {"pattern": pattern} if pattern else None
    default: Any = None if column.nullable else ...
    return Field(default, description=text, examples=examples, json_schema_extra=extra)


def _field_type(column: Column) -> Any:
    low, high = column.limits
    whole: Any = {"ge": max(int(low), -LARGEST), "le": min(int(high), LARGEST)}
    text: Any = Annotated[str, Field(min_length=1, max_length=LONGEST)]
    kinds: dict[str, Any] = {
        "category": text if column.pattern is None else Annotated[text, _matching(column.pattern)],
        "number": Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)],
        "integer": Annotated[int, Field(**whole), BeforeValidator(integral)],
        "boolean": bool,
        "datetime": Annotated[str, AfterValidator(_exists)],
    }
    kind = Literal[tuple(column.values)] if column.values else kinds[column.kind]
    return kind | None if column.nullable else kind


def _matching(pattern: str) -> Any:
    """Python's own regular expressions, as in cleaning; pydantic's where both mean the same, which are quicker."""
    if "\\" not in pattern and "(?" not in pattern and pattern.isascii():
        return Field(pattern=f"^(?:{pattern})$")
    compiled = re.compile(pattern)

    def match(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"String should match pattern '{pattern}'")
        return value

    return AfterValidator(match)


def integral(value: Any) -> Any:
    """18.0 is an integer to JSON Schema, and so it is here; 18.5 and true are not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _exists(value: str) -> str:
    if not EXISTS.fullmatch(value):
        raise ValueError("Input should be a date and time that exists, such as 2013-07-01T17:30, without an offset")
    return value
