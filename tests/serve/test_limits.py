"""What one request may hold is seen in its raw bytes, before any of it is built."""

import json
import math

import pytest

from pipeline.config.config import Config
from serve.errors import RequestError
from serve.limits import LINE_SEPARATORS, Limits, is_light
from serve.messages import Call

CALL = Call("a1", b"", {}, math.inf)
ROW = {"colour": "red", "shape": "round", "size": 1.5, "legs": 4, "when": "2013-07-01T17:30"}


@pytest.fixture
def limits(tiny_config: Config) -> Limits:
    """Of 10,000 rows of five columns, two of them texts."""
    return Limits.of(tiny_config.contract, 10_000)


def test_the_default_limit_of_bytes_follows_from_rows_and_columns(tiny_config: Config) -> None:
    """Few rows still have room for a form, labels and indentation; a limit that is set is taken as it is."""
    assert Limits.of(tiny_config.contract, 10_000).body_bytes == 10_000 * 5 * 64
    assert Limits.of(tiny_config.contract, 1).body_bytes == 65_536
    assert Limits.of(tiny_config.contract, 10_000, 20_000).body_bytes == 20_000


@pytest.mark.parametrize("indent", [None, 2])
def test_as_many_rows_as_are_allowed_are_within_the_limits(limits: Limits, indent: int | None) -> None:
    body = json.dumps({"rows": [{**ROW, "colour": "red, or blue"}] * 10_000}, indent=indent).encode()
    limits.check_values(body, CALL)
    assert len(body) <= limits.body_bytes


@pytest.mark.parametrize("value", [b"{},", b"[],", b"0,", b'{"a":1},', b'"a",'])
def test_more_values_than_the_rows_can_have_are_413(limits: Limits, value: bytes) -> None:
    with pytest.raises(RequestError, match="more than 91,000 values, the most that 10,000 rows") as refused:
        limits.check_values(b'{"rows":[' + value * 100_000 + b"0]}", CALL)
    assert refused.value.status == 413


def test_lines_count_as_values_where_a_line_is_a_row(limits: Limits) -> None:
    body = b"a\n" * 100_000
    assert limits.too_many_values(body, CALL) is None
    assert limits.too_many_values(body, CALL, LINE_SEPARATORS) is not None


def test_an_object_with_the_fields_of_thousands_of_rows_is_413(limits: Limits) -> None:
    body = ("{" + ",".join(f'"{n}": 1' for n in range(50_000)) + "}").encode()
    with pytest.raises(RequestError, match="about 50,000 fields in 2 objects, and a row has 5"):
        limits.check_values(body, CALL)


@pytest.mark.parametrize("character", ["😀", r"\ud83d\ude00"])
def test_one_wide_character_counts_for_all_of_a_text(limits: Limits, character: str) -> None:
    """Python stores every character of a text in as many bytes as the widest takes."""
    body = f'["{character}{"a" * 2_000_000}"]'.encode()
    limits.check_values(body.replace(character.encode(), b""), CALL)
    with pytest.raises(RequestError, match="characters would take more than 4,800,000 bytes in memory"):
        limits.check_values(body, CALL)


def test_counting_ends_at_the_time_limit(limits: Limits) -> None:
    with pytest.raises(TimeoutError):
        limits.check_values(b" " * 100_000, CALL._replace(expires=0))


@pytest.mark.parametrize(
    ("body", "light"),
    [
        (json.dumps(ROW).encode(), True),
        (json.dumps({"rows": [ROW] * 100}).encode(), True),
        (b'{"rows":[' + b"{}," * 9_999 + b"{}]}", False),
        (b"a\n" * 10_000, False),
        (b"1," * 10_000, False),
        (b" " * 70_000, False),
    ],
)
def test_rows_and_values_decide_what_the_event_loop_handles_itself(body: bytes, light: bool) -> None:
    """Forty kilobytes of empty rows stop every other request for as long as ten thousand rows do."""
    assert is_light(body) is light
