"""The record of a training in MLflow. The only module that imports it; production does not need it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported

import mlflow  # noqa: E402 -- reason: the line above has to come first
from mlflow.exceptions import MlflowException  # noqa: E402 -- reason: as above

from pipeline.errors import ConfigError  # noqa: E402 -- reason: as above


@contextmanager
def run(experiment: str, tracking: str) -> Iterator[str]:
    """An open run; yields its id. A failure inside marks it as failed.

    Raises ConfigError where the tracking store cannot be reached.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking
    try:
        mlflow.set_tracking_uri(uri)
        if mlflow.get_experiment_by_name(experiment) is None:
            mlflow.create_experiment(experiment, artifact_location=_artifacts_beside(uri))
        mlflow.set_experiment(experiment)
    except MlflowException as error:
        raise ConfigError(f"MLflow's store {uri} cannot be used: {error.message}") from error
    with mlflow.start_run() as started:
        yield started.info.run_id


def log(params: Mapping[str, Any], metrics: Mapping[str, float], folders: Mapping[str, Path]) -> None:
    """Into the open run: parameters, metrics, and each folder with its files under the given name."""
    mlflow.log_params(dict(params))
    mlflow.log_metrics(dict(metrics))
    for name, folder in folders.items():
        mlflow.log_artifacts(str(folder), name)


def _artifacts_beside(uri: str) -> str | None:
    """For a local SQLite file the folder `mlruns` beside it, wherever the command is run; a server has its own place."""
    file = uri.removeprefix("sqlite:///")
    return None if file == uri else (Path(file).absolute().parent / "mlruns").as_uri()
