"""Requests that are made to take a server down, for any contract: path, content type, encoding and body of each.

A body is built when it is sent, so that the process of the tests does not hold all of them.
"""

import gzip
import json
from collections.abc import Callable
from typing import Any, NamedTuple

JSON = "application/json"
CSV = "text/csv"
FORM = "application/x-www-form-urlencoded"
LINES = "application/x-ndjson"

Row = dict[str, Any]


class Attack(NamedTuple):
    """One request, and the statuses that refuse it."""

    path: str
    content_type: str
    build: Callable[[], bytes]
    statuses: tuple[int, ...] = (413, 422)
    encoding: str = "identity"


def attacks(model: str, row: Row, max_rows: int) -> dict[str, Attack]:
    """The attacks on a model, by name. `row` is a valid row of its contract."""
    infer = f"/v2/models/{model}/infer"
    first, *_ = row
    wrong = {**row, first: 1}
    header = ",".join(row)

    return {
        "fields": Attack("/predict", JSON, lambda: fields(100_000), (422,)),
        "more fields": Attack("/predict", JSON, lambda: fields(1_500_000)),
        "fields to explain": Attack("/explain", JSON, lambda: fields(500_000)),
        "fields of a batch": Attack("/predict/batch", JSON, lambda: fields(300_000)),
        "fields of a row": Attack("/predict/batch", JSON, lambda: b'{"rows":[' + fields(140_000) + b"]}"),
        "columns of one value": Attack("/invocations", JSON, lambda: columns(100_000)),
        "empty rows": Attack("/predict/batch", JSON, lambda: rows([{}] * max_rows), (422,)),
        "wrong rows": Attack("/predict/batch", JSON, lambda: rows([wrong] * max_rows), (422,)),
        "unknown fields": Attack("/predict/batch", JSON, lambda: rows(unknown_fields(max_rows, len(row))), (422,)),
        "wrong last row": Attack("/predict/batch", JSON, lambda: rows([row] * (max_rows - 1) + [wrong]), (422,)),
        "rows as empty lists": Attack("/invocations", JSON, lambda: b'{"instances":[' + b"[]," * 70_000 + b"[]]}"),
        "JSON bomb": Attack("/predict/batch", JSON, lambda: bomb(b'{"rows":[' + b"{}," * 5_000_000), (413,), "gzip"),
        "small JSON bomb": Attack(
            "/predict/batch", JSON, lambda: bomb(b'{"rows":[' + b"{}," * 900_000), (413,), "gzip"
        ),
        "CSV bomb": Attack("/invocations", CSV, lambda: bomb(b"a,\n" * 5_000_000), (413,), "gzip"),
        "small CSV bomb": Attack("/invocations", CSV, lambda: bomb(b"a,\n" * 900_000), (413,), "gzip"),
        "wide CSV": Attack(
            "/invocations", CSV, lambda: b",".join(b"%d" % n for n in range(100_000)) + b"\n1\n", (422,)
        ),
        "unknown columns": Attack("/invocations", CSV, lambda: f"{header},{'x,' * 50_000}\n1\n".encode(), (422,)),
        "blank lines": Attack("/invocations", LINES, lambda: b"\n" * 2_000_000, (413,)),
        "form bomb": Attack("/answer", FORM, lambda: bomb(b"a&" * 8_000_000), (413,), "gzip"),
        "long form": Attack("/answer", FORM, lambda: b"a&" * 500_000, (413,)),
        "tensor values": Attack(infer, JSON, lambda: tensors(1, 500_000), (413, 422)),
        "tensors": Attack(infer, JSON, lambda: tensors(80_000, 1), (413, 422)),
        "long text": Attack("/predict/batch", JSON, lambda: b'{"rows":["' + b"a" * 6_000_000 + b'"]}', (422,)),
        "wide text": Attack("/predict/batch", JSON, lambda: '{{"rows":["😀{}"]}}'.format("a" * 6_000_000).encode()),
        "members of gzip": Attack("/predict", JSON, lambda: gzip.compress(b"") * 250_000, (400,), "gzip"),
    }


def fields(count: int) -> bytes:
    return ("{" + ",".join(f'"{n:x}":1' for n in range(count)) + "}").encode()


def columns(count: int) -> bytes:
    return b'{"inputs":' + fields(count).replace(b":1", b":[1]") + b"}"


def rows(sent: list[Row]) -> bytes:
    return json.dumps({"rows": sent}).encode()


def unknown_fields(count: int, width: int) -> list[Row]:
    """Rows of which no two have a field in common."""
    return [{f"{row}_{n}": n for n in range(width)} for row in range(count)]


def bomb(body: bytes) -> bytes:
    return gzip.compress(body)


def tensors(count: int, values: int) -> bytes:
    tensor = {"name": "x", "shape": [values], "datatype": "FP32", "data": ["wrong"] * values}
    return json.dumps({"inputs": [tensor] * count}).encode()
