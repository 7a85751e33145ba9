"""The form that a contract makes: fields to fill in, and what was filled in as a row."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from pipeline.runtime.contract import FLOAT32_MAX, Column
from pipeline.runtime.predictor import Predictor
from serve.messages import Call
from serve.protocols.bodies import cell_value

LONGEST_LIST = 400  # values of a category that are offered; of more of them a person writes one


class Field(NamedTuple):
    """One question of the form. `options` are values with their names, empty where the answer is written."""

    name: str
    label: str
    help: str
    kind: str
    required: bool
    options: list[tuple[str, str]]
    value: str
    error: str | None


def fields(predictor: Predictor, given: Mapping[str, str], errors: Mapping[str, str]) -> list[Field]:
    """The required ones first, each in the order of the contract."""
    request = predictor.contract.request
    found = [
        Field(
            name=name,
            label=field_label(column),
            help=help_text(column),
            kind=column.kind,
            required=not column.nullable,
            options=field_options(predictor, name, given.get(name, "")),
            value=given.get(name, ""),
            error=errors.get(name),
        )
        for name, column in request.items()
    ]
    return sorted(found, key=lambda field: not field.required)


def field_label(column: Column) -> str:
    """The first words of what it means."""
    words = re.split("[,;(]", column.meaning)[0].strip()
    return words[:1].upper() + words[1:]


def help_text(column: Column) -> str:
    """What else it means, the unit and the bounds, as far as they are declared."""
    low, high = column.limits
    unit = f" {column.unit}" if column.unit else ""
    least, most = (f"{end:,.0f}" if float(end).is_integer() else f"{end:g}" for end in (low, high))
    bounds = {(True, True): f"{least} to {most}", (True, False): f"from {least}", (False, True): f"up to {most}"}
    declared = bounds.get((low > -FLOAT32_MAX, high < FLOAT32_MAX), "")
    left_out = "looked up where left out" if column.rolling else ""
    parts = [column.meaning[len(field_label(column)) :].strip(" ,;"), f"{declared}{unit}".strip(), left_out]
    return "; ".join(filter(None, parts))


def field_options(predictor: Predictor, name: str, now: str) -> list[tuple[str, str]]:
    """What can be chosen. A category takes other values too, but the form offers those that training has seen."""
    column = predictor.contract.request[name]
    if column.kind == "boolean":
        return [("true", "yes"), ("false", "no")]
    known = column.values or predictor.choices.get(name, {})
    if not known or len(known) > LONGEST_LIST:
        return []
    named = [(value, text if text == value else f"{value} – {text}") for value, text in known.items()]
    return sorted([*named, *([(now, now)] if now and now not in known else [])])


def example_values(predictor: Predictor) -> dict[str, str]:
    """To begin with: the contract's examples, or those of a row, for what has to be filled in."""
    row = predictor.golden.rows[0]
    required = {name: column for name, column in predictor.contract.request.items() if not column.nullable}
    chosen = {name: row[name] if column.example is None else column.example for name, column in required.items()}
    return to_form_values(chosen)


def to_form_values(row: Mapping[str, Any]) -> dict[str, str]:
    """A row as the form holds it; 75.0 is written 75."""
    return {name: format_value(value) for name, value in row.items() if value is not None}


def format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def form_values(call: Call) -> dict[str, str]:
    """What a browser sent, the last of each name."""
    sent = parse_qs(call.body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in sent.items()}


def to_row(predictor: Predictor, given: Mapping[str, str]) -> dict[str, Any]:
    """The row that was meant; what was left empty is left out."""
    found = {}
    for name, column in predictor.contract.request.items():
        text = given.get(name, "")
        if said := text if column.kind == "category" else text.strip():  # a category is what it is, blanks and all
            found[name] = cell_value(said, column.kind)
    return found
