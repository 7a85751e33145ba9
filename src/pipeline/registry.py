"""The record of a training in MLflow. The only module that imports it; production does not need it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Read when mlflow is imported: nothing is sent home, and its log keeps to what goes wrong.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default it tries for four minutes

import mlflow
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import ConfigError


def connect(experiment: str, uri: str) -> None:
    """Make the experiment the one that runs go to. Raises ConfigError where its store cannot be used."""
    with reachable(uri):
        if mlflow.get_experiment_by_name(experiment) is None:
            mlflow.create_experiment(experiment, artifact_location=_artifacts_beside(uri))
        mlflow.set_experiment(experiment)


@contextmanager
def run() -> Iterator[str]:
    """An open run of the connected experiment; yields its id. A failure inside marks it as failed."""
    with mlflow.start_run() as started:
        yield started.info.run_id


def log(params: Mapping[str, Any], metrics: Mapping[str, float], folders: Mapping[str, Path]) -> None:
    """Into the open run: parameters, metrics, and each folder with its files under the given name."""
    mlflow.log_params(dict(params))
    mlflow.log_metrics(dict(metrics))
    for name, folder in folders.items():
        mlflow.log_artifacts(str(folder), name)


def child(name: str, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    """A run below the open one: a trial or a candidate."""
    with mlflow.start_run(run_name=name, nested=True):
        mlflow.log_params(dict(params))
        mlflow.log_metrics(dict(metrics))


def page(experiment: str, uri: str, port: int) -> str:
    """The address of an experiment's runs in MLflow's classical view; its default view is for language models.

    Raises ConfigError where nothing is recorded yet.
    """
    with reachable(uri):
        known = mlflow.get_experiment_by_name(experiment)
    if known is None:
        raise ConfigError(f"MLflow's store {uri} has no run of {experiment} yet. Run `make train` first")
    host = uri.rstrip("/") if uri.startswith("http") else f"http://127.0.0.1:{port}"
    return f"{host}/#/experiments/{known.experiment_id}/runs?workflowType=machine_learning"


@contextmanager
def reachable(uri: str) -> Iterator[None]:
    try:
        mlflow.set_tracking_uri(uri)
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise ConfigError(f"MLflow's store {uri} cannot be used: {error}") from error


def _artifacts_beside(uri: str) -> str | None:
    """For a local SQLite file the folder `mlruns` beside it; a server has its own place."""
    file = uri.removeprefix("sqlite:///")
    return None if file == uri else (Path(file).absolute().parent / "mlruns").as_uri()
