"""A submitted form is read within the limits of one row."""

import math

import pytest

from pipeline.config.config import Config
from serve.errors import RequestError
from serve.limits import Limits
from serve.messages import Call
from serve.page.form import form_values


def values(config: Config, body: bytes) -> dict[str, str]:
    return form_values(Call("a1", body, {}, math.inf), Limits.of(config.contract, 10_000))


def test_the_last_value_of_a_name_counts(tiny_config: Config) -> None:
    assert values(tiny_config, b"colour=red&legs=&colour=dark+blue") == {"colour": "dark blue", "legs": ""}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"a&" * 8_000_000, "The form has 16,000,000 bytes, more than 65,536, the most for one row"),
        (b"a&" * 1_000, "The form has 1,001 fields, and a row has 5"),
    ],
)
def test_a_form_larger_than_a_row_is_413(tiny_config: Config, body: bytes, text: str) -> None:
    with pytest.raises(RequestError) as refused:
        values(tiny_config, body)
    assert (refused.value.status, refused.value.detail) == (413, text)
