"""JSON bodies to rows, and predictions to response bodies, for every protocol that sends rows.

Rows come under `instances`, `inputs`, `dataframe_records` or `dataframe_split`. This module does not validate rows:
`RowValidator` does that for all protocols alike.
"""

from collections.abc import Callable
from typing import Any

from fastapi import Response
from pydantic_core import from_json, to_json

from pipeline.runtime.contract import Contract
from serve.errors import RequestError, invalid_field, refuse_misfits
from serve.limits import Limits
from serve.messages import Call

KEYS = ("instances", "inputs", "dataframe_records", "dataframe_split")
# botocore and curl send the last two where their caller chose no type.
READ_AS_JSON = ("", "application/octet-stream", "application/x-www-form-urlencoded")
NAMED = 20  # names of columns in a message


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


def is_platform_json(kind: str) -> bool:
    """Whether a platform's JSON may have this content type."""
    return kind in READ_AS_JSON or "json" in kind


def platform_json(call: Call) -> None:
    """Raises RequestError (415) for a content type that no platform's client sends with JSON."""
    kind = media_type(call.headers.get(b"content-type", b""))
    if not is_platform_json(kind):
        raise RequestError(415, f"The content type is {kind[:100]!r}; send application/json")


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the body, which may hold NaN. Raises RequestError for anything else.

    The caller has counted the values in the body before: `Limits.check_values`.
    """
    try:
        content = from_json(body)
    except ValueError as error:
        raise RequestError(400, f"The body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise invalid_field("body", "Should be an object")
    return content


def read_json(call: Call, contract: Contract, limits: Limits) -> tuple[list[Any], str]:
    """The rows of a JSON body, and the key that holds them. Raises RequestError unless exactly one of KEYS is there."""
    limits.check_values(call.body, call)
    body = json_object(call.body)
    present = [key for key in KEYS if key in body]
    if len(present) != 1:
        listed = ", ".join(present) or "none of them"
        raise invalid_field("body", f"Should have one of {', '.join(KEYS)}; found {listed}")

    (key,) = present
    return FORMS[key](body[key], key, contract, limits), key


def as_records(value: Any, at: str, contract: Contract, limits: Limits) -> list[Any]:
    """Rows from a list of objects, a list of lists in the order of the contract, or an object with a list per column.

    Raises RequestError, with the field `at`, for any other value.
    """
    if isinstance(value, dict):
        return rows_of_columns(value, at, limits)
    if not isinstance(value, list):
        raise invalid_field(at, "Should be a list of rows, or an object of columns")
    if value and isinstance(value[0], list):
        return rows_by_position(value, list(contract.request), at, limits)
    return value


def split_records(value: Any, at: str, contract: Contract, limits: Limits) -> list[Any]:
    """Rows from pandas' split form: the column names once, and a list of values per row.

    Without names the order is that of the contract. Raises RequestError, with the field `at`, for any other value.
    """
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise invalid_field(at, "Should be an object with columns and data")

    columns = value.get("columns", list(contract.request))
    if not isinstance(columns, list) or len(set(map(str, columns))) != len(columns):
        raise invalid_field(f"{at}.columns", "Should be a list of different names")
    return rows_by_position(value["data"], list(map(str, columns)), at, limits)


def rows_by_position(rows: list[Any], names: list[str], at: str, limits: Limits) -> list[dict[str, Any]]:
    """Rows as objects. Raises RequestError for too many rows, and for rows that are no list of one value per name."""
    limits.check_rows(len(rows))
    text = f"Should be a list of {len(names):,} values: {', '.join(names[:NAMED])}"
    misfits = (n for n, row in enumerate(rows) if not isinstance(row, list) or len(row) != len(names))
    refuse_misfits(misfits, at, text[:300], len(rows))
    return [dict(zip(names, row, strict=True)) for row in rows]


def rows_of_columns(columns: dict[str, Any], at: str, limits: Limits) -> list[dict[str, Any]]:
    """Rows as objects. Raises RequestError unless all columns are lists of one length, and for too many rows."""
    lists = all(isinstance(values, list) for values in columns.values())
    lengths = set(map(len, columns.values())) if lists else set()
    if len(lengths) != 1:
        raise invalid_field(at, "Columns should be lists of the same length")

    limits.check_rows(*lengths)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class JSONBytesResponse(Response):
    """A JSON response of status 200 from finished bytes.

    It sets what Starlette's constructor would work out anew for each response, because every prediction makes one.
    """

    def __init__(self, body: bytes) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]


def json_objects(predictions: dict[str, list[Any]]) -> list[str]:
    """One JSON object per row. Python's repr of a finite number is valid JSON: only names need an encoder."""
    if "label" in predictions and isinstance(predictions["label"][0], str):
        rows = zip(*predictions.values(), strict=True)
        return [to_json(dict(zip(predictions, row, strict=True))).decode() for row in rows]
    template = "{" + ",".join(f'"{name}":%r' for name in predictions) + "}"
    return [template % prediction for prediction in zip(*predictions.values(), strict=True)]


Form = Callable[[Any, str, Contract, Limits], list[Any]]
FORMS: dict[str, Form] = {
    "instances": as_records,
    "inputs": as_records,
    "dataframe_records": as_records,
    "dataframe_split": split_records,
}
