"""The command line, run as a person runs it: what it prints and the exit code it ends with."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.__main__ import app
from tests.support.command import Command, pipeline
from tests.support.parcels import CONFIG, Parcels
from tests.support.toy import Toy, in_folder


def overrides(folder: Path) -> list[str]:
    return [word for override in in_folder(folder) for word in ("--set", override)]


def test_help_names_every_verb() -> None:
    helped = pipeline("--help")
    assert helped.returncode == 0
    for verb in ("train", "config", "mlflow"):
        assert verb in helped.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["train", "tests/support/parcels.yaml", "--set", "train.sed=3"],
            2,
            "error: --set train.sed=3: train.sed: is not a key",
        ),
        (["train", "nowhere.yaml"], 2, "error: nowhere.yaml: no such config file"),
        (["train", "--sett", "a=b"], 2, "No such option: --sett"),
        (["train", "tests/support/parcels.yaml", "--set", "dataset=moon"], 2, "error: dataset 'moon' is not in"),
        (["mlflow", "tests/support/parcels.yaml", "--set", "name=never_trained"], 2, "has no run of never_trained yet"),
    ],
)
def test_a_persons_mistake_ends_with_one_message_and_its_code(
    command: Command, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    ended = command(*words, *(overrides(tmp_path) if "tests/support/parcels.yaml" in words else []))
    assert (ended.code, ended.stdout) == (code, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_training_by_command_ends_with_what_to_do_next(parcels: Parcels) -> None:
    assert f"make serve MODEL_DIR={parcels.store} " in parcels.printed
    assert f"python -m pipeline mlflow {CONFIG} " in parcels.printed


def test_training_without_the_holdout_packages_nothing_and_says_so(toy: Toy) -> None:
    config = [f"--set={text}" for text in [*in_folder(toy.folder), *toy.overrides, "split.test=none"]]
    ended = CliRunner().invoke(app, ["train", str(toy.folder / "toy.yaml"), *config])
    assert "Nothing was packaged" in ended.output
    assert [path.name for path in (toy.folder / "models/tiny").iterdir()] == [".lock"]


def test_config_prints_every_setting_as_it_will_be_used() -> None:
    shown = json.loads(pipeline("config", "tests/support/parcels.yaml", "--set", "train.seed=3").stdout)
    assert (shown["name"], shown["train"]["seed"]) == ("parcels", 3)
    assert "candidates" in json.loads(pipeline("config", "--schema").stdout)["properties"]


def test_mlflows_own_variable_names_the_store(tmp_path: Path) -> None:
    elsewhere = f"sqlite:///{tmp_path}/elsewhere.db"
    assert (
        json.loads(pipeline("config", str(CONFIG), MLFLOW_TRACKING_URI=elsewhere).stdout)["paths"]["tracking"]
        == elsewhere
    )
