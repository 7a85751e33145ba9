"""The strict model of one request row, made from the contract: the server, its docs and the registered model check with
it.
"""

import re
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from pipeline.schema import FLOAT32_MAX, LONGEST, Column, Contract

LOCAL_TIME = (
    r"^(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
)


def request_model(contract: Contract) -> type[BaseModel]:
    """The strict model of one request row: required fields first, unknown fields refused."""
    ordered = sorted(contract.request.items(), key=lambda item: item[1].nullable)
    fields: dict[str, Any] = {name: (_field_type(column), _field(column)) for name, column in ordered}
    config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())
    model: type[BaseModel] = create_model("Row", __config__=config, **fields)
    return model


def _field(column: Column) -> Any:
    text = column.meaning if column.unit is None else f"{column.meaning} [{column.unit}]"
    examples = None if column.example is None else [column.example]
    extra: Any = None if column.pattern is None else {"pattern": f"^(?:{column.pattern})$"}
    default: Any = None if column.nullable else ...
    return Field(default, description=text, examples=examples, json_schema_extra=extra)


def _field_type(column: Column) -> Any:
    bounds: Any = {"ge": column.minimum, "le": column.maximum}
    text: Any = Annotated[str, Field(min_length=1, max_length=LONGEST)]
    kinds: dict[str, Any] = {
        "category": text if column.pattern is None else Annotated[text, _matches(column.pattern)],
        "number": Annotated[float, Field(**bounds, allow_inf_nan=False), AfterValidator(_fits_float32)],
        "integer": Annotated[int, Field(**bounds), AfterValidator(_fits_float32), BeforeValidator(_integral)],
        "boolean": bool,
        "datetime": Annotated[str, Field(pattern=LOCAL_TIME), AfterValidator(_exists)],
    }
    kind = Literal[tuple(column.values)] if column.values else kinds[column.kind]
    return Annotated[kind | None, BeforeValidator(_nan_is_missing)] if column.nullable else kind


def _matches(pattern: str) -> AfterValidator:
    """Python's own regular expressions, as in cleaning; pydantic's know less of the language."""
    compiled = re.compile(pattern)

    def match(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"String should match pattern '{pattern}'")
        return value

    return AfterValidator(match)


def _nan_is_missing(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


def _integral(value: Any) -> Any:
    """18.0 is an integer to JSON Schema, and so it is here; 18.5 and true are not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _fits_float32(value: float) -> float:
    if abs(value) > FLOAT32_MAX:
        raise ValueError(f"Input should be between -{FLOAT32_MAX:.4g} and {FLOAT32_MAX:.4g}")
    return value


def _exists(value: str) -> str:
    """The pattern lets 2013-02-30 through; the calendar does not."""
    try:
        np.datetime64(value, "s")
    except ValueError:
        raise ValueError("Input should be a date and time that exists") from None
    return value
