"""A body is cut between its rows, and a wrong cut is always noticed."""

import json
from typing import Any

import httpx2
import pytest

from serve.pieces import PIECE, rows_in_pieces
from tests.support.parcels import REQUIRED

KEYS = ("rows", "instances")


def joined(body: bytes) -> list[Any] | None:
    """The rows of all pieces; None where the body is not cut. Raises JSONDecodeError for a piece that is no JSON."""
    pieces = rows_in_pieces(body, KEYS)
    if pieces is None:
        return None
    return [row for piece in pieces for row in json.loads(piece)]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n\t ", " :\r\n")])
@pytest.mark.parametrize("count", [1, 2, 5_000])
def test_the_pieces_have_all_rows_in_their_order(count: int, separators: tuple[str, str]) -> None:
    rows = [{"number": n, "text": "a" * (n % 50), "none": None} for n in range(count)]
    body = json.dumps({"instances": rows}, separators=separators).encode()
    assert joined(body) == rows
    assert joined(b" \n" + body + b"\n ") == rows


def test_many_rows_make_many_pieces_of_about_the_same_size() -> None:
    body = json.dumps({"rows": [{"number": n} for n in range(20_000)]}).encode()
    sizes = [len(piece) for piece in rows_in_pieces(body, KEYS) or ()]
    assert len(sizes) == len(body) // PIECE
    assert all(PIECE <= size <= PIECE + 100 for size in sizes[:-1])


@pytest.mark.parametrize("value", ["},{", "} , {", '"},{"', [{}, {}], [{"a": 1}, {"b": 2}], {"a": {}, "b": [{}, {}]}])
def test_a_cut_within_a_value_is_no_json(value: object) -> None:
    """The values differ in length, so that a cut falls into one of them sooner or later."""
    rows = [{"value": [value] * 2_000, "text": "a" * n} for n in range(40)]
    if isinstance(value, str):
        rows = [{"value": value * 7_000, "text": "a" * n} for n in range(40)]
    body = json.dumps({"rows": rows}).encode()
    with pytest.raises(json.JSONDecodeError):
        joined(body)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"[{}]", b'{"rows":{}}', b'{"rows":1}', b'{"other":[{}]}', b'{"rows":[{}],"more":1}', b'{"rows":[{}]',
        b'{"rows":[{}]}}', b'{"rows":[{}]} x', b'{"rows":[{}]},' + b" " * 100, b'{"rows":[', b'"rows":[{}]}',
    ],
)  # fmt: skip
def test_a_body_of_another_form_is_not_cut(body: bytes) -> None:
    assert rows_in_pieces(body, KEYS) is None


def test_a_second_list_of_rows_is_no_json() -> None:
    with pytest.raises(json.JSONDecodeError):
        joined(b'{"rows":[{"a":1}],"rows":[{"a":2}]}')


@pytest.mark.parametrize("at", [0, 4_999, 9_999])
def test_one_wrong_row_of_many_is_named(server: httpx2.Client, at: int) -> None:
    rows = [REQUIRED] * 9_999
    rows.insert(at, {**REQUIRED, "weight": "heavy"})
    answer = server.post("/predict/batch", json={"rows": rows})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": f"rows.{at}.weight", "message": "Should be a whole number"}]


def test_both_ways_of_reading_rows_give_the_same_predictions(server: httpx2.Client) -> None:
    """NaN, a text with the end of a row in it, and another key are read the longer way."""
    rows = [{**REQUIRED, "weight": 20 + n % 900} for n in range(3_000)]
    short = server.post("/invocations", json={"dataframe_records": rows}).json()["predictions"]
    nan = [{**row, "temp": float("nan")} if n == 2_999 else row for n, row in enumerate(rows)]
    longer = [
        server.post("/invocations", json={"dataframe_records": rows, "params": {}}),
        server.post(
            "/invocations", content=json.dumps({"instances": nan}), headers={"content-type": "application/json"}
        ),
        server.post("/predict/batch", json={"rows": rows}),
    ]
    for answer in longer:
        assert answer.json()["predictions"] == short
