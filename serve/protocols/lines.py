"""CSV and JSON Lines to rows: bodies that have one row on a line. They are read line by line.

This module does not validate rows: `RowValidator` does that for all protocols alike.
"""

import codecs
import csv
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

from pydantic_core import from_json

from pipeline.runtime.contract import Contract
from serve.errors import LISTED, FieldError, RequestError, invalid_field, validation_failed
from serve.limits import LINE_SEPARATORS, Limits
from serve.messages import Call
from serve.protocols.bodies import read_json, rows_by_position

JSON_LINES = ("application/jsonlines", "application/x-jsonlines", "application/x-ndjson")
BOOLEANS = {"true": True, "false": False}  # as CSV writes them
SHOWN = 100  # characters of a line in a message
TURN = 500  # lines after which the time limit is checked
LONGEST_LINE = 2**20  # bytes


def read_json_lines(call: Call, _: Contract, limits: Limits) -> tuple[list[Any], str]:
    """One row per line that is not blank. Raises RequestError at the first line that is not JSON."""
    rows: list[Any] = []
    for line in body_lines(call, limits):
        if not line.strip():
            continue
        if len(rows) == limits.rows:
            raise limits.too_many_rows()
        try:
            rows.append(from_json(line))
        except ValueError as error:
            raise RequestError(400, f"lines.{len(rows)} is not JSON: {error}") from None
    return rows, "lines"


def body_lines(call: Call, limits: Limits) -> Iterator[bytes]:
    """The lines of a body, with their ends.

    Raises RequestError (413) for too many values and for a line that is too long, TimeoutError after the deadline.
    """
    body = call.body
    limits.check_values(body, call, LINE_SEPARATORS)

    start = 0
    for number in count():
        if number % TURN == 0:
            call.check_deadline()
        if start == len(body):
            return
        end = body.find(b"\n", start) + 1 or len(body)
        if end - start > LONGEST_LINE:
            raise RequestError(413, f"Line {number + 1:,} has {end - start:,} bytes, more than {LONGEST_LINE:,}")
        yield body[start:end]
        start = end


def read_csv(call: Call, contract: Contract, limits: Limits) -> tuple[list[Any], str]:
    """Rows of CSV with the column names in the first line; an empty cell is a missing value.

    Raises RequestError where the body is not CSV in UTF-8, has no header, or a line has another length than the header.
    """
    filled = filter(None, csv.reader(csv_text(call, limits), strict=True))
    try:
        names = next(filled, [])
        if not names:
            return [], "rows"

        check_header(names, contract)
        kind_of: dict[str, str] = {name: column.kind for name, column in contract.request.items()}
        kinds = [kind_of.get(name, "category") for name in names]  # of an unknown name: validation rejects it
        rows = [typed_cells(row, kinds) for row in islice(filled, limits.rows)]
        if next(filled, None) is not None:
            raise limits.too_many_rows()
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestError(400, f"The body is not CSV: {error}") from None
    return rows_by_position(rows, names, "rows", limits), "rows"


def csv_text(call: Call, limits: Limits) -> Iterator[str]:
    """The lines of a body as text, without the mark of UTF-8 that spreadsheets write before the first one."""
    lines = body_lines(call, limits)
    for line in lines:
        yield line.removeprefix(codecs.BOM_UTF8).decode()
        break
    for line in lines:
        yield line.decode()


def check_header(names: list[str], contract: Contract) -> None:
    """Raises RequestError (422) for a first line that is no header, and for one with a name twice or unknown."""
    known = contract.request
    if not any(name in known for name in names):
        shown = ",".join(names[:LISTED])[:SHOWN]
        text = f"Should be the names of the columns, such as {', '.join(list(known)[:3])}; the first line is {shown!r}"
        raise invalid_field("header", f"The header line is missing. {text}")

    twice = [name for name in dict.fromkeys(names) if name in known and names.count(name) > 1]
    if twice:
        text = "This column stands in the header twice"
        raise validation_failed([FieldError(field=f"header.{name}", message=text) for name in twice])


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


Reader = Callable[[Call, Contract, Limits], tuple[list[Any], str]]
READERS: dict[str, Reader] = {
    "application/json": read_json,
    "text/csv": read_csv,
    **dict.fromkeys(JSON_LINES, read_json_lines),
}
