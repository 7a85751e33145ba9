from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from serve.settings import described, from_environment


def test_what_is_not_set_or_empty_has_its_default() -> None:
    settings = from_environment({"PORT": ""})
    assert (settings.host, settings.port, settings.model_dir) == ("127.0.0.1", 8080, Path("models/flights"))


def test_a_variable_is_read_by_the_name_of_its_field() -> None:
    assert from_environment({"PORT": "9000", "MODEL_DIR": "elsewhere"}).port == 9000


def test_wrong_values_are_told_all_at_once_by_variable() -> None:
    with pytest.raises(ConfigError, match=r"PORT=99999: Input should be less than or equal to 65535"):
        from_environment({"PORT": "99999"})


def test_every_setting_is_described_with_its_default() -> None:
    assert "PORT       The port to listen on; 0 takes a free one. Default: 8080" in described()
