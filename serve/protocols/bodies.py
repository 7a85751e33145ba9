"""Bodies to rows and answers to bodies, for all protocols that send rows.

Rows come as JSON under `instances`, `inputs`, `dataframe_records` or `dataframe_split`, as CSV with a header, and as
JSON Lines. What a row may hold is decided elsewhere, for all of them alike.
"""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Response
from pydantic_core import from_json

from pipeline.runtime.contract import Contract
from serve.errors import FieldError, RequestError, validation_failed
from serve.messages import Call

KEYS = ("instances", "inputs", "dataframe_records", "dataframe_split")
BOOLEANS = {"true": True, "false": False}  # as CSV says them


def media_type(header: bytes) -> str:
    return header.partition(b";")[0].strip().lower().decode("latin-1")


def only_json(call: Call) -> None:
    said = call.headers.get(b"content-type", b"")
    if said != b"application/json" and "json" not in (kind := media_type(said)):
        raise RequestError(415, f"The content type is {kind[:100] or 'nothing'!r}; send application/json")


def json_object(body: bytes) -> dict[str, Any]:
    """An object of JSON, NaN included. Raises RequestError where it is none."""
    try:
        found = from_json(body)
    except ValueError as error:
        raise RequestError(400, f"The body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise validation_failed([FieldError(field="body", message="Input should be an object")])
    return found


def read_json(call: Call, contract: Contract) -> tuple[list[Any], str]:
    body = json_object(call.body)
    present = [key for key in KEYS if key in body]
    if len(present) != 1:
        found = ", ".join(present) or "none of them"
        raise validation_failed(
            [FieldError(field="body", message=f"Should have one of {', '.join(KEYS)}; found {found}")]
        )
    (key,) = present
    return FORMS[key](body[key], key, contract), key


def as_records(value: Any, at: str, contract: Contract) -> list[Any]:
    """Rows as objects, as lists in the order of the contract, or one list per column."""
    if isinstance(value, dict):
        return rows_of_columns(value, at)
    if not isinstance(value, list):
        raise validation_failed(
            [FieldError(field=at, message="Input should be a list of rows, or an object of columns")]
        )
    return rows_by_position(value, list(contract.request), at) if value and isinstance(value[0], list) else value


def split_records(value: Any, at: str, contract: Contract) -> list[Any]:
    """Pandas' split form: the names of the columns once, and then lists."""
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise validation_failed([FieldError(field=at, message="Input should be an object with columns and data")])
    columns = value.get("columns", list(contract.request))
    if not isinstance(columns, list) or len(set(map(str, columns))) != len(columns):
        raise validation_failed(
            [FieldError(field=f"{at}.columns", message="Input should be a list of different names")]
        )
    return rows_by_position(value["data"], list(map(str, columns)), at)


def rows_by_position(rows: list[Any], names: list[str], at: str) -> list[dict[str, Any]]:
    short = [n for n, row in enumerate(rows) if not isinstance(row, list) or len(row) != len(names)]
    if short:
        text = f"Input should be a list of {len(names)} values: {', '.join(names)}"
        raise validation_failed([FieldError(field=f"{at}.{n}", message=text[:300]) for n in short])
    return [dict(zip(names, row, strict=True)) for row in rows]


def rows_of_columns(columns: dict[str, Any], at: str) -> list[dict[str, Any]]:
    lengths = {len(values) if isinstance(values, list) else -1 for values in columns.values()}
    if len(lengths) != 1 or -1 in lengths:
        raise validation_failed([FieldError(field=at, message="Columns should be lists of the same length")])
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def read_json_lines(call: Call, _: Contract) -> tuple[list[Any], str]:
    rows = []
    for number, line in enumerate(filter(bytes.strip, call.body.splitlines())):
        try:
            rows.append(from_json(line))
        except ValueError as error:
            raise RequestError(400, f"lines.{number} is not JSON: {error}") from None
    return rows, "lines"


def read_csv(call: Call, contract: Contract) -> tuple[list[Any], str]:
    """CSV with the names of the columns in its first line; an empty cell is a missing value."""
    try:
        lines = list(csv.reader(io.StringIO(call.body.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestError(400, f"The body is not CSV: {error}") from None
    filled = [line for line in lines if line]
    if not filled:
        return [], "rows"
    names, *rows = filled
    kinds = [contract.request[name].kind if name in contract.request else "category" for name in names]
    typed = [
        [cell_value(text, kind) for text, kind in zip(row, kinds, strict=False)] + row[len(kinds) :] for row in rows
    ]
    return rows_by_position(typed, names, "rows"), "rows"


def cell_value(text: str, kind: str) -> Any:
    """What the text stands for; one that stands for nothing of its kind is left, for the contract to refuse."""
    if text == "":
        return None
    if kind in ("number", "integer"):
        try:
            return text if "_" in text else float(text)  # Python reads 1_000 as a number; nobody else does
        except ValueError:
            return text
    return BOOLEANS.get(text.lower(), text) if kind == "boolean" else text


class JSONBytesResponse(Response):
    """What a `Response` of these bytes is, without what it would work out for any other: each prediction makes one."""

    def __init__(self, body: bytes) -> None:
        self.status_code, self.background, self.body = 200, None, body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]


def json_objects(told: dict[str, list[float]]) -> list[str]:
    """Each answer as JSON, which for names and finite numbers is what Python writes."""
    form = "{" + ",".join(f'"{name}":%r' for name in told) + "}"
    return [form % answer for answer in zip(*told.values(), strict=True)]


Form = Callable[[Any, str, Contract], list[Any]]
FORMS: dict[str, Form] = {
    "instances": as_records,
    "inputs": as_records,
    "dataframe_records": as_records,
    "dataframe_split": split_records,
}
Reader = Callable[[Call, Contract], tuple[Sequence[Any], str]]
READERS: dict[str, Reader] = {
    "application/json": read_json,
    "text/csv": read_csv,
    "application/jsonlines": read_json_lines,
    "application/x-jsonlines": read_json_lines,
}
