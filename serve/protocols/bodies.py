"""Request bodies to rows, and predictions to response bodies, for every protocol that sends rows.

Rows come as JSON under `instances`, `inputs`, `dataframe_records` or `dataframe_split`, as CSV with a header, and as
JSON Lines. This module does not validate rows: `LoadedModel` does that for all protocols alike.
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
BOOLEANS = {"true": True, "false": False}  # as CSV writes them


def media_type(header: bytes) -> str:
    """The media type in a header, in lower case and without parameters."""
    return header.partition(b";")[0].strip().lower().decode("latin-1")


def only_json(call: Call) -> None:
    """Raises RequestError 415 where the content type is not JSON."""
    content_type = call.headers.get(b"content-type", b"")
    if content_type == b"application/json":
        return
    kind = media_type(content_type)
    if "json" not in kind:
        raise RequestError(415, f"The content type is {kind[:100] or 'nothing'!r}; send application/json")


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the body, which may hold NaN. Raises RequestError for anything else."""
    try:
        content = from_json(body)
    except ValueError as error:
        raise RequestError(400, f"The body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise validation_failed([FieldError(field="body", message="Should be an object")])
    return content


def read_json(call: Call, contract: Contract) -> tuple[list[Any], str]:
    """The rows of a JSON body, and the key that holds them. Raises RequestError unless exactly one of KEYS is there."""
    body = json_object(call.body)
    present = [key for key in KEYS if key in body]
    if len(present) != 1:
        listed = ", ".join(present) or "none of them"
        raise validation_failed(
            [FieldError(field="body", message=f"Should have one of {', '.join(KEYS)}; found {listed}")]
        )

    (key,) = present
    return FORMS[key](body[key], key, contract), key


def as_records(value: Any, at: str, contract: Contract) -> list[Any]:
    """Rows from a list of objects, a list of lists in the order of the contract, or an object with a list per column.

    Raises RequestError, with the field `at`, for any other value.
    """
    if isinstance(value, dict):
        return rows_of_columns(value, at)
    if not isinstance(value, list):
        raise validation_failed([FieldError(field=at, message="Should be a list of rows, or an object of columns")])
    if value and isinstance(value[0], list):
        return rows_by_position(value, list(contract.request), at)
    return value


def split_records(value: Any, at: str, contract: Contract) -> list[Any]:
    """Rows from pandas' split form: the column names once, and a list of values per row.

    Without names the order is that of the contract. Raises RequestError, with the field `at`, for any other value.
    """
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise validation_failed([FieldError(field=at, message="Should be an object with columns and data")])

    columns = value.get("columns", list(contract.request))
    if not isinstance(columns, list) or len(set(map(str, columns))) != len(columns):
        raise validation_failed([FieldError(field=f"{at}.columns", message="Should be a list of different names")])
    return rows_by_position(value["data"], list(map(str, columns)), at)


def rows_by_position(rows: list[Any], names: list[str], at: str) -> list[dict[str, Any]]:
    """Rows as objects. Raises RequestError with every row that is not a list with one value per name."""
    misfits = [n for n, row in enumerate(rows) if not isinstance(row, list) or len(row) != len(names)]
    if misfits:
        text = f"Should be a list of {len(names)} values: {', '.join(names)}"
        raise validation_failed([FieldError(field=f"{at}.{n}", message=text[:300]) for n in misfits])
    return [dict(zip(names, row, strict=True)) for row in rows]


def rows_of_columns(columns: dict[str, Any], at: str) -> list[dict[str, Any]]:
    """Rows as objects. Raises RequestError unless all columns are lists of one length."""
    lists = all(isinstance(values, list) for values in columns.values())
    if not lists or len(set(map(len, columns.values()))) != 1:
        raise validation_failed([FieldError(field=at, message="Columns should be lists of the same length")])
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def read_json_lines(call: Call, _: Contract) -> tuple[list[Any], str]:
    """One row per line that is not blank. Raises RequestError at the first line that is not JSON."""
    rows = []
    for number, line in enumerate(filter(bytes.strip, call.body.splitlines())):
        try:
            rows.append(from_json(line))
        except ValueError as error:
            raise RequestError(400, f"lines.{number} is not JSON: {error}") from None
    return rows, "lines"


def read_csv(call: Call, contract: Contract) -> tuple[list[Any], str]:
    """Rows of CSV with the column names in the first line; an empty cell is a missing value.

    Raises RequestError where the body is not CSV in UTF-8, or a line has another length than the header.
    """
    try:
        lines = list(csv.reader(io.StringIO(call.body.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestError(400, f"The body is not CSV: {error}") from None
    filled = [line for line in lines if line]
    if not filled:
        return [], "rows"

    names, *rows = filled
    kinds = [column_kind(name, contract) for name in names]
    typed = [typed_cells(row, kinds) for row in rows]
    return rows_by_position(typed, names, "rows"), "rows"


def column_kind(name: str, contract: Contract) -> str:
    """The kind of a request column. The text of an unknown column stays text; validation rejects it by name."""
    column = contract.request.get(name)
    return "category" if column is None else column.kind


def typed_cells(row: list[str], kinds: list[str]) -> list[Any]:
    """The values of one CSV line. Cells beyond the header stay, so that the length of the row shows them."""
    cells = [cell_value(text, kind) for text, kind in zip(row, kinds, strict=False)]
    return cells + row[len(kinds) :]


def cell_value(text: str, kind: str) -> Any:
    """The value of a text by the column's kind, None where it is empty.

    Text that has no value of this kind is returned as it is; validation rejects it.
    """
    if text == "":
        return None
    if kind in ("number", "integer"):
        if "_" in text:  # float() reads 1_000 as a number; no other program does
            return text
        try:
            return float(text)
        except ValueError:
            return text
    return BOOLEANS.get(text.lower(), text) if kind == "boolean" else text


class JSONBytesResponse(Response):
    """A JSON response of status 200 from finished bytes.

    It sets what Starlette's constructor would work out anew for each response, because every prediction makes one.
    """

    def __init__(self, body: bytes) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]


def json_objects(predictions: dict[str, list[float]]) -> list[str]:
    """One JSON object per row. Python's repr of a finite number is valid JSON, so no encoder is needed."""
    template = "{" + ",".join(f'"{name}":%r' for name in predictions) + "}"
    return [template % prediction for prediction in zip(*predictions.values(), strict=True)]


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
