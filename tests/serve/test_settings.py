from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from serve.settings import describe_variables, from_environment


def test_what_is_not_set_or_empty_has_its_default() -> None:
    settings = from_environment({"PORT": ""})
    assert (settings.host, settings.port, settings.model_dir) == ("127.0.0.1", 8080, Path("models/flights"))


def test_a_variable_is_read_by_the_name_of_its_field() -> None:
    assert from_environment({"PORT": "9000", "MODEL_DIR": "elsewhere"}).port == 9000


def test_wrong_values_are_told_all_at_once_by_variable() -> None:
    with pytest.raises(ConfigError, match=r"PORT=99999: Input should be less than or equal to 65535"):
        from_environment({"PORT": "99999"})


def test_every_setting_is_described_with_its_default() -> None:
    assert "  PORT               The port to listen on; 0 takes a free one. Default: 8080\n" in describe_variables()


def test_the_platforms_names_for_the_port_come_before_ours() -> None:
    said = {"PORT": "1", "AIP_HTTP_PORT": "2", "SAGEMAKER_BIND_TO_PORT": "3"}
    assert [from_environment(dict(list(said.items())[:n])).port for n in (1, 2, 3)] == [1, 2, 3]
    vertex = from_environment({"AIP_HEALTH_ROUTE": "/alive", "AIP_PREDICT_ROUTE": "/ask"})
    assert (vertex.health_route, vertex.predict_route) == ("/alive", "/ask")


def test_a_model_that_vertex_has_mounted_is_found_and_ours_comes_first(tmp_path: Path) -> None:
    assert from_environment({"AIP_STORAGE_URI": str(tmp_path)}).model_dir == Path("models/flights")  # nothing in it
    (tmp_path / "bundle.json").touch()
    assert from_environment({"AIP_STORAGE_URI": str(tmp_path)}).model_dir == tmp_path
    assert from_environment({"AIP_STORAGE_URI": str(tmp_path), "MODEL_DIR": "mine"}).model_dir == Path("mine")
    assert from_environment({"AIP_STORAGE_URI": "gs://bucket/model"}).model_dir == Path("models/flights")


def test_a_log_of_another_kind_is_an_error_that_names_the_right_kinds() -> None:
    """The message does not repeat the password of the log."""
    with pytest.raises(ConfigError, match="LOG_URL: should be sqlite:///FILE or postgresql://") as refused:
        from_environment({"LOG_URL": "postgres://me:hidden@there/db"})
    assert "begins with 'postgres'" in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_a_prefix_begins_with_a_slash_and_ends_without_one() -> None:
    assert from_environment({"ROOT_PATH": "/flights/"}).root_path == "/flights"
    for wrong in ("flights", "//elsewhere", "/a/../b", "/a b"):
        with pytest.raises(ConfigError, match=f"ROOT_PATH={wrong}: should be a path that begins with a slash"):
            from_environment({"ROOT_PATH": wrong})


KEY = "3f9c2b7e51d84a06"


def test_keys_come_from_the_environment_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a1b2c3d4e5f6a7b8\n")
    found = from_environment({"API_KEYS": f" {KEY} ,", "API_KEYS_FILE": str(tmp_path / "keys")})
    assert found.api_keys == [KEY, "a1b2c3d4e5f6a7b8"]


@pytest.mark.parametrize(
    "key",
    ["short", "changeme", "aaaaaaaaaaaaaaaaaaaa", "0101010101010101"],
)
def test_a_key_that_can_be_guessed_is_refused_without_repeating_it(key: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(key)
    for said in ({"API_KEYS": key}, {"API_KEYS_FILE": str(tmp_path / "keys")}):
        with pytest.raises(
            ConfigError, match="a key should be 16 characters or more that cannot be guessed"
        ) as refused:
            from_environment(said)
        assert key not in str(refused.value)


@pytest.mark.parametrize("said", [",", " ", " , "])
def test_keys_that_were_meant_and_are_none_leave_no_door_open(said: str) -> None:
    with pytest.raises(ConfigError, match="API_KEYS: has no key in it"):
        from_environment({"API_KEYS": said})


def test_a_file_of_keys_that_is_not_there_or_empty_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match="has no key in it"):
        from_environment({"API_KEYS_FILE": str(tmp_path / "empty")})
    with pytest.raises(ConfigError, match="cannot be read"):
        from_environment({"API_KEYS_FILE": str(tmp_path / "gone")})
