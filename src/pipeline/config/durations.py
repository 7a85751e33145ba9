"""Spans of calendar time in a config, such as 2 months."""

from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

UNITS = {"day": "days", "days": "days", "week": "weeks", "weeks": "weeks", "month": "months", "months": "months"}


class Duration(NamedTuple):
    """A span of calendar time, such as 2 months."""

    amount: int
    unit: str


def _duration(text: Any) -> Any:
    words = text.split() if isinstance(text, str) else []
    if len(words) != 2 or not words[0].isdecimal() or not 1 <= int(words[0]) <= 9999 or words[1] not in UNITS:
        raise ValueError("should be a number and a unit, such as 2 months, 3 weeks or 14 days")
    return Duration(int(words[0]), UNITS[words[1]])


Span = Annotated[
    Duration,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+ (day|week|month)s?$")]),
]
