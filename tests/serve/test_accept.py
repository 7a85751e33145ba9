"""The answer has the media type that the client prefers among those that the server has."""

import pytest

from serve.accept import preferred

OFFERED = ("application/json", "text/csv", "application/jsonlines")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", "application/json"),
        (b"*/*", "application/json"),
        (b"text/csv", "text/csv"),
        (b"Text/CSV; charset=utf-8", "text/csv"),
        (b"text/csv, application/json", "text/csv"),
        (b"application/json, text/csv", "application/json"),
        (b"application/jsonlines, */*;q=0.1", "application/jsonlines"),
        (b"text/html, image/png, text/csv", "text/csv"),
        (b"text/csv;q=0.5, application/jsonlines;q=0.9", "application/jsonlines"),
        (b"text/csv;q=0, application/jsonlines;q=0.1", "application/jsonlines"),
        (b"text/*, application/json;q=0.9", "text/csv"),
        (b"text/csv;q=much", "application/json"),
        (b"image/png", "application/json"),
        (b"," * 60_000 + b"text/csv", "application/json"),
    ],
)
def test_the_first_type_of_the_highest_weight_is_preferred(header: bytes, expected: str) -> None:
    assert preferred(header, OFFERED) == expected
