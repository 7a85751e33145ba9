"""The record in MLflow, on a real SQLite store."""

from pathlib import Path

import mlflow
import pytest
from conftest import Smoke

from pipeline import registry
from pipeline.errors import ConfigError


def test_a_training_leaves_a_run_with_parameters_metrics_pictures_the_bundle_and_a_run_below_it_per_trial(
    smoke: Smoke,
) -> None:
    client = mlflow.MlflowClient(smoke.config.paths.tracking)
    experiment = client.get_experiment_by_name("smoke")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (run,) = [each for each in runs if "mlflow.parentRunId" not in each.data.tags]
    below = sorted(each.info.run_name for each in runs if each.data.tags.get("mlflow.parentRunId") == run.info.run_id)
    assert below == ["all rows: boosting", "all rows: linear", "trial: boosting", "trial: boosting", "trial: linear"]
    assert run.info.status == "FINISHED"
    assert run.data.params["candidate"] == "boosting"
    assert run.data.metrics["holdout.roc_auc.value"] == pytest.approx(smoke.outcome.holdout["roc_auc"].value)
    assert run.data.metrics["folds.linear.log_loss"] > 0
    listed = {file.path for folder in ("report", "bundle") for file in client.list_artifacts(run.info.run_id, folder)}
    assert {"report/roc.png", "report/data_report.json", "bundle/model.onnx", "bundle/bundle.json"} <= listed


def test_what_is_recorded_lies_beside_the_store_and_not_in_the_working_folder(smoke: Smoke) -> None:
    assert (smoke.folder / "mlruns").is_dir()


def test_a_failure_marks_the_run_as_failed(tmp_path: Path) -> None:
    tracking = f"sqlite:///{tmp_path}/mlflow.db"
    registry.connect("failing", tracking)
    with pytest.raises(RuntimeError), registry.run() as run_id:
        raise RuntimeError
    assert mlflow.MlflowClient(tracking).get_run(run_id).info.status == "FAILED"


def test_the_page_opens_on_the_classical_view_of_the_experiment(smoke: Smoke) -> None:
    address = registry.page("smoke", smoke.config.paths.tracking, 5001)
    assert address == "http://127.0.0.1:5001/#/experiments/1/runs?workflowType=machine_learning"


def test_an_experiment_without_a_run_says_what_to_do(smoke: Smoke) -> None:
    with pytest.raises(ConfigError, match="has no run of nothing yet. Run `make train` first"):
        registry.page("nothing", smoke.config.paths.tracking, 5001)


@pytest.mark.parametrize("place", ["sqlite:///{}/mlflow.db", "sqlite:///{}/no/such/folder.db", "foo://x", "./mlruns"])
def test_a_store_that_cannot_be_used_is_told_with_its_address(tmp_path: Path, place: str) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, and it is long enough to be read as one" * 20)
    (tmp_path / "no").touch()
    with pytest.raises(ConfigError, match="MLflow's store .* cannot be used"):
        registry.connect("any", place.format(tmp_path))
