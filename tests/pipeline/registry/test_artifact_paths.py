"""MLflow's record after its folder was moved or copied: the next command finds it there, and says so."""

import shutil
import sqlite3
from io import StringIO
from pathlib import Path

import mlflow
import pytest
from rich.console import Console

from pipeline.registry import artifact_paths, mlflow_store
from pipeline.training.train import run
from tests.support.toy import WEAK, Toy


def addresses(file: Path) -> list[str]:
    with sqlite3.connect(file) as database:
        return [
            str(value)
            for table, column in artifact_paths.COLUMNS.items()
            for (value,) in database.execute(f"SELECT {column} FROM {table}")
        ]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def loaded(toy: Toy) -> None:
    """The champion by its MLflow name, from the files of this very folder."""
    mlflow.set_tracking_uri(toy.config().paths.tracking)
    place = mlflow.artifacts.download_artifacts("models:/tiny@champion")
    assert Path(place).is_relative_to(toy.folder)
    mlflow.pyfunc.load_model("models:/tiny@champion")


def printed(toy: Toy, *overrides: str) -> str:
    out = StringIO()
    run(toy.config(*overrides), Console(file=out, width=200))
    return out.getvalue()


def test_a_moved_folder_is_followed_and_the_next_training_writes_there(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "a place with ü"
    first.mkdir()
    Toy(first).train(WEAK)
    shutil.move(first, second)

    (said,) = mlflow_store.connect("tiny", Toy(second).config().paths.tracking)
    assert said == f"MLflow's record looked for its files in {first}/mlruns; it finds them in {second}/mlruns now"
    loaded(Toy(second))
    assert "Mended" not in printed(Toy(second))
    loaded(Toy(second))
    assert not first.exists()
    assert not [place for place in addresses(second / "mlflow.db") if str(first) in place]


def test_a_copy_leaves_what_it_was_copied_from_alone(tmp_path: Path) -> None:
    first, copy = tmp_path / "first", tmp_path / "copy"
    first.mkdir()
    Toy(first).train(WEAK)
    before = files(first)
    shutil.copytree(first, copy)

    assert f"Repaired: MLflow's record looked for its files in {first}/mlruns;" in printed(Toy(copy))
    loaded(Toy(copy))
    assert files(first) == before
    loaded(Toy(first))


def test_addresses_that_somebody_has_chosen_stay(tmp_path: Path) -> None:
    mlflow_store.connect("tiny", f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.create_experiment("elsewhere", "file:///data/artifacts")
    (tmp_path / "chosen/mlruns").mkdir(parents=True)
    mlflow.create_experiment("chosen", (tmp_path / "chosen/mlruns").as_uri())
    mlflow.create_experiment("far", "s3://bucket/mlruns")
    with mlflow.start_run(experiment_id=mlflow.create_experiment("unmounted", "file:///mnt/away/mlruns")):
        pass
    (tmp_path / "mlruns").mkdir(exist_ok=True)
    assert artifact_paths.follow_move(tmp_path / "mlflow.db") is None
    chosen = {
        "file:///mnt/away/mlruns",
        "file:///data/artifacts",
        "s3://bucket/mlruns",
        (tmp_path / "chosen/mlruns").as_uri(),
    }
    assert chosen <= set(addresses(tmp_path / "mlflow.db"))


def test_a_record_without_its_artifacts_stays_as_it_is(tmp_path: Path) -> None:
    mlflow_store.connect("tiny", f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "mlflow.db", tmp_path / "other")
    assert artifact_paths.follow_move(tmp_path / "other/mlflow.db") is None


def test_a_stale_run_id_of_the_environment_is_not_gone_on_with(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    assert toy.train().bundle is not None
