"""The record in MLflow, on a real SQLite store."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from pipeline.errors import ConfigError, RefusedError
from pipeline.registry import mlflow_store, mlflow_versions
from pipeline.runtime import predictor
from pipeline.runtime.contract import Contract
from tests.support.parcels import Parcels


def test_a_training_leaves_a_run_and_below_it_a_run_per_trial(
    parcels: Parcels,
) -> None:
    """The run has the parameters, the metrics, the report and the bundle."""
    client = mlflow.MlflowClient(parcels.config.paths.tracking)
    experiment = client.get_experiment_by_name("parcels")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (run,) = [each for each in runs if "mlflow.parentRunId" not in each.data.tags]
    below = sorted(each.info.run_name for each in runs if each.data.tags.get("mlflow.parentRunId") == run.info.run_id)
    assert [re.sub(r"[\d.]+$", "N", name) for name in below] == [
        "boosting, all rows, log loss N",
        "boosting, trial on all rows, log loss N",
        "boosting, trial on all rows, log loss N",
        "linear, all rows, log loss N",
        "linear, trial on all rows, log loss N",
    ]
    assert run.info.status == "FINISHED"
    assert run.data.params["candidate"] == "boosting"
    metrics = json.loads((parcels.bundle / "bundle.json").read_text())["metrics"]
    assert run.data.metrics["holdout.roc_auc.value"] == pytest.approx(metrics["roc_auc"]["value"])
    assert run.data.metrics["folds.log_loss"] > 0
    listed = {file.path for folder in ("report", "bundle") for file in client.list_artifacts(run.info.run_id, folder)}
    assert {
        "report/report.html",
        "report/data_report.json",
        "report/MODEL_CARD.md",
        "bundle/model.onnx",
        "bundle/bundle.json",
    } <= listed


def test_the_run_names_the_data_and_the_commit_that_it_was_made_of(parcels: Parcels) -> None:
    """Each run below it has its figures per fold."""
    client = mlflow.MlflowClient(parcels.config.paths.tracking)
    runs = client.search_runs([str(getattr(client.get_experiment_by_name("parcels"), "experiment_id", None))])
    (run,) = [each for each in runs if "mlflow.parentRunId" not in each.data.tags]
    used = [{tag.key: tag.value for tag in each.tags} for each in run.inputs.dataset_inputs]
    assert {each["mlflow.data.context"]: each["rows"] for each in used} == {"training": "3500", "holdout": "700"}
    assert "sha256 parcels.csv" in run.inputs.dataset_inputs[0].dataset.source
    assert len(run.data.tags["commit"]) >= 40
    listed = {file.path for file in client.list_artifacts(run.info.run_id, "report")}
    assert {"report/report.html", "report/config.json"} <= listed
    assert not [path for path in listed if path.endswith(".png")]
    below = next(each for each in runs if each.info.run_name.startswith("linear, all rows, "))
    folds = client.get_metric_history(below.info.run_id, "log_loss")
    linear = json.loads((parcels.bundle / "record.json").read_text())["candidates"]["linear"]
    recorded = {fold.step: fold.value for fold in folds}
    assert recorded == pytest.approx({n: fold["log_loss"] for n, fold in enumerate(linear.values())}, abs=1e-6)
    assert [below.data.tags[f"fold {n}"] for n in range(2)] == list(linear)


def test_the_version_bears_both_aliases_its_figures_and_the_gate_results(parcels: Parcels) -> None:
    """The aliases are champion and challenger; the figures tell how good the version is."""
    client = mlflow.MlflowClient(parcels.config.paths.tracking)
    version = client.get_model_version_by_alias("parcels", "champion")
    assert client.get_model_version_by_alias("parcels", "challenger").version == version.version == 1
    tags = version.tags
    assert (tags["digest"], tags["gates"], tags["candidate"]) == (parcels.bundle.name, "all passed", "boosting")
    assert re.match(r"pass: 0\.[67]\d+, allowed 0.6 to 0.95; ", tags["gate.roc_auc on the holdout"])
    assert float(tags["fold.02 Dec 2013 to 11 Dec 2013.log_loss"]) > 0
    assert version.run_id == json.loads((parcels.bundle / "record.json").read_text())["run_id"]


def test_runs_and_versions_say_what_they_are_to_people(parcels: Parcels) -> None:
    """The name has the loss and the outcome; the description has the rows, the metrics and the gates."""
    client = mlflow.MlflowClient(parcels.config.paths.tracking)
    record = json.loads((parcels.bundle / "record.json").read_text())
    loss = json.loads((parcels.bundle / "bundle.json").read_text())["metrics"]["log_loss"]

    run = client.get_run(record["run_id"])
    assert run.info.run_name == f"boosting, log loss {loss['value']:.3g}, promoted"
    description = run.data.tags["mlflow.note.content"]
    assert "The chosen candidate, **boosting**, was trained on 3,500 rows before 2013-12-22." in description
    assert f"| log_loss | {loss['value']:.3g} | {loss['low']:.3g} to {loss['high']:.3g} |" in description
    assert f"\nAll {len(record['gates'])} gates passed." in description
    assert client.get_model_version("parcels", "1").description == description
    assert client.get_registered_model("parcels").description.startswith(parcels.config.question)
    experiment = client.get_experiment_by_name("parcels")
    assert experiment.tags["mlflow.note.content"].startswith(parcels.config.question)


LOAD = """
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
rows = pd.DataFrame(json.loads(sys.argv[2]))
model = mlflow.pyfunc.load_model("models:/parcels@champion")
import pipeline
print(json.dumps({"from": pipeline.__file__, "rows": model.predict(rows).to_dict("records")}))
"""


def test_the_registered_champion_gives_the_servers_predictions_elsewhere(
    parcels: Parcels, server: httpx2.Client, tmp_path: Path
) -> None:
    """It does so without this project, in a Python that has our packages and not our code: what answers is the copy in
    the registry.
    """
    rows = predictor.load(parcels.bundle).golden.rows[:48]
    sent = json.dumps([{name: value for name, value in row.items() if name != "temp"} for row in rows])
    packages = Path(mlflow.__file__).parent.parent
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.append({str(packages)!r})\n{LOAD}"]
    said = subprocess.run(
        [*command, parcels.config.paths.tracking, sent], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    told = json.loads(said.stdout.splitlines()[-1])
    assert Path(told["from"]).is_relative_to(parcels.folder / "mlruns")
    answers = server.post("/predict/batch", json={"rows": json.loads(sent)}).raise_for_status().json()["predictions"]
    assert told["rows"] == answers


def test_the_registered_model_refuses_what_the_server_refuses(parcels: Parcels) -> None:
    mlflow.set_tracking_uri(parcels.config.paths.tracking)
    model = mlflow.pyfunc.load_model("models:/parcels@champion")
    row = predictor.load(parcels.bundle).golden.rows[0]
    asked = pd.DataFrame([{**row, "sent": pd.Timestamp(row["sent"])}])
    with pytest.raises(MlflowException):  # a signature's text is text
        model.predict(asked)
    assert model.unwrap_python_model().predict(None, asked).columns.tolist() == ["probability", "label"]
    with pytest.raises(ValidationError, match="temp"):
        model.predict(pd.DataFrame([{**row, "temp": 131.0}]))


def test_the_registered_model_has_no_pickle_and_pins_its_requirements(parcels: Parcels) -> None:
    (folder,) = (parcels.folder / "mlruns" / "models").iterdir()
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))]
    needed = next(folder.rglob("requirements.txt")).read_text().split()
    assert {line.split("==")[0] for line in needed} == {"mlflow", "numpy", "onnxruntime", "pandas", "pydantic"}


def test_a_regressions_version_answers_with_a_value() -> None:
    contract = Contract.model_validate(
        {
            "name": "a", "question": "How many?", "task": "regression", "dataset": "table", "features": ["size"],
            "target": "later", "columns": {
                "size": {"kind": "integer", "known": "before", "meaning": "Size", "nullable": True},
                "later": {"kind": "number", "known": "after", "meaning": "Number"},
            },
        }
    )  # fmt: skip
    asked = mlflow_versions.signature(contract)
    assert [(column.name, column.required) for column in asked.inputs] == [("size", False)]
    assert [column.name for column in asked.outputs] == ["value"]


def test_the_record_of_runs_lies_beside_the_store(parcels: Parcels) -> None:
    """It does not lie in the working folder."""
    assert (parcels.folder / "mlruns").is_dir()


@pytest.mark.parametrize(("error", "status"), [(RuntimeError, "FAILED"), (RefusedError, "FINISHED")])
def test_a_failure_marks_the_run_as_failed_and_a_refusal_does_not(
    tmp_path: Path, error: type[Exception], status: str
) -> None:
    tracking = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow_store.connect("ending", tracking)
    with pytest.raises(error), mlflow_store.run("folder") as run_id:
        raise error
    info = mlflow.MlflowClient(tracking).get_run(run_id).info
    assert (info.status, info.run_name) == (status, "unfinished")


def test_the_page_opens_on_the_classical_view_of_the_experiment(parcels: Parcels) -> None:
    address, _ = mlflow_store.page("parcels", parcels.config.paths.tracking, 5001)
    assert address == "http://127.0.0.1:5001/#/experiments/1/runs?workflowType=machine_learning"


def test_an_experiment_without_a_run_says_what_to_do(parcels: Parcels) -> None:
    with pytest.raises(ConfigError, match="has no run of nothing yet. Run `make train` first"):
        mlflow_store.page("nothing", parcels.config.paths.tracking, 5001)


@pytest.mark.parametrize("place", ["sqlite:///{}/mlflow.db", "sqlite:///{}/no/such/folder.db", "foo://x", "./mlruns"])
def test_a_store_that_cannot_be_used_is_told_with_its_address(tmp_path: Path, place: str) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, and it is long enough to be read as one" * 20)
    (tmp_path / "no").touch()
    with pytest.raises(ConfigError, match="MLflow's store .* cannot be used"):
        mlflow_store.connect("any", place.format(tmp_path))
