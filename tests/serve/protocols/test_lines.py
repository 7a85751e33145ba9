"""CSV and JSON Lines are read line by line, and only as far as a request may go."""

import math

import pytest

from pipeline.config.config import Config
from serve.errors import RequestError
from serve.limits import Limits
from serve.messages import Call
from serve.protocols.invocations import find_reader
from serve.protocols.lines import READERS, read_csv, read_json_lines

HEADER = b"colour,shape,legs,when\n"
LINE = b"red,round,4,2013-07-01T17:30\n"


def csv_rows(config: Config, body: bytes, max_rows: int = 10_000) -> list[object]:
    limits = Limits.of(config.contract, max_rows)
    rows, at = read_csv(Call("a1", body, {}, math.inf), config.contract, limits)
    assert at == "rows"
    return rows


def refusal(config: Config, body: bytes, max_rows: int = 10_000) -> RequestError:
    with pytest.raises(RequestError) as refused:
        csv_rows(config, body, max_rows)
    return refused.value


def test_a_quoted_header_behind_the_mark_of_utf_8_is_read(tiny_config: Config) -> None:
    (row,) = csv_rows(tiny_config, b'\xef\xbb\xbf"colour",legs\r\n"red\nor blue",4\r\n\r\n')
    assert row == {"colour": "red\nor blue", "legs": 4.0}


@pytest.mark.parametrize("body", [LINE, LINE * 3, b"0,1,2\n1,2,3\n"])
def test_a_missing_header_line_is_named_and_the_first_line_shown(tiny_config: Config, body: bytes) -> None:
    error = refusal(tiny_config, body)
    (fault,) = error.errors
    assert (error.status, fault.field) == (422, "header")
    assert fault.message.startswith("The header line is missing. Should be the names of the columns, such as colour, ")
    assert repr(body.splitlines()[0].decode()) in fault.message


def test_a_column_that_stands_in_the_header_twice_is_named(tiny_config: Config) -> None:
    error = refusal(tiny_config, b"colour,legs,colour\nred,4,blue\n")
    assert [(fault.field, fault.message) for fault in error.errors] == [
        ("header.colour", "This column stands in the header twice")
    ]


def test_a_header_of_a_hundred_thousand_columns_is_shown_in_a_few(tiny_config: Config) -> None:
    error = refusal(tiny_config, b",".join(b"%d" % n for n in range(80_000)) + b"\n1\n")
    assert error.status == 422
    assert len(error.errors[0].message) < 300


def test_lines_of_another_length_are_listed_up_to_the_hundredth(tiny_config: Config) -> None:
    error = refusal(tiny_config, HEADER + b"red,round\n" * 9_000)
    assert error.detail == "100 invalid values in the first 100 of 9,000 rows: rows.0"


@pytest.mark.parametrize("body", [b"a,\n" * 100_000, b"\n" * 100_000, HEADER + b",,,\n" * 50_000])
def test_more_cells_than_the_rows_can_have_are_413_before_one_is_read(tiny_config: Config, body: bytes) -> None:
    error = refusal(tiny_config, body)
    assert (error.status, error.detail[:27]) == (413, "The body has more than 91,0")


def test_more_lines_than_rows_are_413(tiny_config: Config) -> None:
    assert len(csv_rows(tiny_config, HEADER + LINE * 20, max_rows=20)) == 20
    error = refusal(tiny_config, HEADER + LINE * 21, max_rows=20)
    assert (error.status, error.detail[:27]) == (413, "There are more than 20 rows")


def test_a_line_of_megabytes_is_413(tiny_config: Config) -> None:
    error = refusal(tiny_config, HEADER + b"r" * 2_000_000)
    assert (error.status, error.detail) == (413, "Line 2 has 2,000,000 bytes, more than 1,048,576")


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/jsonlines", "application/x-jsonlines"])
def test_json_lines_have_three_names(tiny_config: Config, kind: str) -> None:
    assert find_reader(kind) is read_json_lines
    limits = Limits.of(tiny_config.contract, 2)
    call = Call("a1", b'{"legs": 4}\r\n\n{"legs": 5}', {}, math.inf)
    assert READERS[kind](call, tiny_config.contract, limits) == ([{"legs": 4}, {"legs": 5}], "lines")
    with pytest.raises(RequestError, match="There are more than 2 rows"):
        read_json_lines(call._replace(body=b"{}\n" * 3), tiny_config.contract, limits)


@pytest.mark.parametrize("kind", ["application/x-npy", "application/x-recordio-protobuf", "image/png", "text/plain"])
def test_a_type_that_is_not_read_is_415_with_those_that_are(kind: str) -> None:
    with pytest.raises(RequestError, match="send application/json, text/csv, application/jsonlines") as refused:
        find_reader(kind)
    assert refused.value.status == 415
