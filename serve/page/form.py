"""The HTML form: fields made from the contract's request columns, and the values that a browser sends as a row.

It knows nothing of predictions or templates.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from pipeline.runtime.contract import FLOAT32_MAX, Column
from pipeline.runtime.predictor import Predictor
from serve.errors import RequestError
from serve.limits import Limits
from serve.messages import Call
from serve.protocols.bodies import media_type
from serve.protocols.lines import cell_value

FORM = "application/x-www-form-urlencoded"
LONGEST_LIST = 400  # values that a list offers; for a category with more of them a person types the value


class Field(NamedTuple):
    """One field of the form. `options` are pairs of value and text; without options a person types the value."""

    name: str
    label: str
    help: str
    kind: str
    required: bool
    options: list[tuple[str, str]]
    value: str
    error: str | None


def fields(predictor: Predictor, values: Mapping[str, str], errors: Mapping[str, str]) -> list[Field]:
    """The required fields, then the optional ones, both in the order of the contract.

    `values` and `errors` are by field name; a field without a value is empty.
    """
    all_fields = [
        Field(
            name=name,
            label=field_label(column),
            help=help_text(column),
            kind="date" if column.is_date else column.kind,
            required=not column.nullable,
            options=field_options(predictor, name, values.get(name, "")),
            value=values.get(name, ""),
            error=errors.get(name),
        )
        for name, column in predictor.contract.request.items()
    ]

    return sorted(all_fields, key=lambda field: not field.required)


def field_label(column: Column) -> str:
    """The column's meaning up to its first comma, semicolon or parenthesis."""
    label = re.split("[,;(]", column.meaning)[0].strip()
    return label[:1].upper() + label[1:]


def help_text(column: Column) -> str:
    """The rest of the column's meaning, then the bounds and the unit where the contract declares them."""
    low, high = column.limits
    lower = format_bound(low)
    upper = format_bound(high)
    bounds = {(True, True): f"{lower} to {upper}", (True, False): f"from {lower}", (False, True): f"up to {upper}"}
    declared = bounds.get((low > -FLOAT32_MAX, high < FLOAT32_MAX), "")

    unit = f" {column.unit}" if column.unit else ""
    left_out = "looked up where left out" if column.rolling else ""
    rest = column.meaning[len(field_label(column)) :].strip(" ,;")
    return "; ".join(filter(None, [rest, f"{declared}{unit}".strip(), left_out]))


def format_bound(bound: float) -> str:
    return f"{bound:,.0f}" if float(bound).is_integer() else f"{bound:g}"


def field_options(predictor: Predictor, name: str, current: str) -> list[tuple[str, str]]:
    """The values that a list offers, as pairs of value and text; empty where a person types the value.

    The model accepts any value of a category. The list has the values of the contract or of the training rows, and
    the `current` value of the form.
    """
    column = predictor.contract.request[name]
    if column.kind == "boolean":
        return [("true", "yes"), ("false", "no")]

    known = column.values or predictor.choices.get(name, {})
    if not known or len(known) > LONGEST_LIST:
        return []

    options = [(value, option_text(value, text)) for value, text in known.items()]
    if current and current not in known:
        options.append((current, current))
    return sorted(options)


def option_text(value: str, text: str) -> str:
    """The value with its text, or the value alone where they are the same."""
    return text if text == value else f"{value} – {text}"


def example_values(predictor: Predictor) -> dict[str, str]:
    """The first values of the required fields: the contract's examples, else the values of the first golden row."""
    row = predictor.golden.rows[0]
    examples = {}
    for name, column in predictor.contract.request.items():
        if not column.nullable:
            examples[name] = row[name] if column.example is None else column.example
    return to_form_values(examples)


def to_form_values(row: Mapping[str, Any]) -> dict[str, str]:
    """A row as the form's values. Missing values are left out."""
    return {name: format_value(value) for name, value in row.items() if value is not None}


def format_value(value: Any) -> str:
    """A value as a person types it; 75.0 is written 75."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def only_form(call: Call) -> None:
    """Raises RequestError (415) where the content type is not that of the page's form."""
    kind = media_type(call.headers.get(b"content-type", b""))
    if kind != FORM:
        raise RequestError(415, f"The content type is {kind[:100] or 'nothing'!r}; send {FORM}")


def form_values(call: Call, limits: Limits) -> dict[str, str]:
    """The values of a submitted form by name. Where a name is sent more than once, its last value counts.

    Raises RequestError (413) for a form with far more bytes or fields than a row.
    """
    if len(call.body) > limits.row_bytes:
        text = f"The form has {len(call.body):,} bytes, more than {limits.row_bytes:,}, the most for one row"
        raise RequestError(413, text)

    text = call.body.decode("utf-8", "replace")
    try:
        submitted = parse_qs(text, keep_blank_values=True, max_num_fields=limits.fields)
    except ValueError:
        count = text.count("&") + 1
        raise RequestError(413, f"The form has {count:,} fields, and a row has {limits.columns}") from None
    return {name: values[-1] for name, values in submitted.items()}


def to_row(predictor: Predictor, values: Mapping[str, str]) -> dict[str, Any]:
    """The form's values as a row of request columns, not yet validated. Empty fields are left out."""
    row = {}
    for name, column in predictor.contract.request.items():
        text = values.get(name, "")
        if column.kind != "category":  # blanks are part of a category's value
            text = text.strip()
        if text:
            row[name] = cell_value(text, column.kind)
    return row
