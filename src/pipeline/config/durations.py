"""Calendar durations in a config: parse a text such as `2 months`."""

from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

UNITS = {"day": "days", "days": "days", "week": "weeks", "weeks": "weeks", "month": "months", "months": "months"}


class Duration(NamedTuple):
    """A calendar duration; `unit` is days, weeks or months."""

    amount: int
    unit: str


def _duration(text: Any) -> Any:
    """Parse a number and a unit. Raises ValueError, which pydantic reports with the key, for any other value."""
    parts = text.split() if isinstance(text, str) else []
    if len(parts) != 2 or not parts[0].isdecimal() or not 1 <= int(parts[0]) <= 9999 or parts[1] not in UNITS:
        raise ValueError("should be a number and a unit, such as 2 months, 3 weeks or 14 days")
    return Duration(int(parts[0]), UNITS[parts[1]])


Span = Annotated[
    Duration,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+ (day|week|month)s?$")]),
]
