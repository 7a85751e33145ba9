"""The store of MLflow, and the record of training runs in it.

Only this module, `mlflow_versions` and `mlflow_model` import MLflow. The server must not need it.
"""

import hashlib
import logging
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import ConfigError, RefusedError
from pipeline.registry import artifact_paths
from pipeline.runtime import bundle_store

# MLflow warns that pip is missing in an environment that uv made.
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # a traceback of what `reachable` reports

STORE_ERRORS = (MlflowException, SQLAlchemyError, sqlite3.Error)
LONGEST = 5000  # characters of a tag or a description
NOTE = "mlflow.note.content"  # the tag that MLflow shows as a description
UNFINISHED = "unfinished"  # the name of a run until it has one; else MLflow makes one up
PLACE = "folder"  # the tag of a run that names its working folder


class _FileDataset(MetaDataset):
    """A dataset of which MLflow records the files and nothing else."""

    @property
    def profile(self) -> None:
        return None


def connect(experiment: str, uri: str) -> list[str]:
    """Create the experiment where it is missing, and make it the one that runs are recorded in.

    Returns messages about what was repaired in the store. Raises ConfigError where the store cannot be used.
    """
    with open_store(uri) as repaired:
        if mlflow.get_experiment_by_name(experiment) is None:
            file = artifact_paths.local_file(uri)
            mlflow.create_experiment(experiment, artifact_paths.artifact_folder(file).as_uri() if file else None)
        mlflow.set_experiment(experiment)
    return repaired


@contextmanager
def open_store(uri: str) -> Iterator[list[str]]:
    """Open a store under a lock: one process at a time creates it, or repairs its paths after a move.

    Yields messages about what was repaired. Raises ConfigError where the store cannot be used.
    """
    file = artifact_paths.local_file(uri)
    lock = bundle_store.locked_by(file.with_name(f"{file.name}.lock")) if file else nullcontext()
    with reachable(uri), lock:
        message = artifact_paths.follow_move(file) if file else None
        yield [message] if message else []


@contextmanager
def run(place: str) -> Iterator[str]:
    """An open run of the connected experiment; yields its id.

    An exception in the body marks the run as FAILED, except RefusedError: a refused model is a finished training.
    `place` names the working folder. It is a tag of the run from its start, so `end_killed` finds the run of a killed
    process by it. Raises ConfigError where the store fails in the body, such as on a full disk.
    """
    uri = mlflow.get_tracking_uri()
    os.environ.pop("MLFLOW_RUN_ID", None)  # MLflow would go on with that run; each training is a run of its own
    status = "FAILED"
    with reachable(uri):
        started = mlflow.start_run(run_name=UNFINISHED, tags={PLACE: place})

    try:
        yield started.info.run_id
        status = "FINISHED"
    except RefusedError:
        status = "FINISHED"
        raise
    except STORE_ERRORS as error:
        raise unusable(uri, error) from error
    finally:
        # A store that has failed cannot note that either; what it failed with is the error to report.
        with suppress(*STORE_ERRORS) if status == "FAILED" else reachable(uri):
            mlflow.end_run(status)


def end_killed(experiment: str, place: str, uri: str) -> int:
    """Mark the open run of a working folder, and the open runs below it, as KILLED.

    Returns the number of runs, which is 0 where the run is in another store.
    """
    with reachable(uri):
        client = mlflow.MlflowClient()
        known = mlflow.get_experiment_by_name(experiment)
        running = client.search_runs([known.experiment_id], "attributes.status = 'RUNNING'") if known else []

        own = {run.info.run_id for run in running if run.data.tags.get(PLACE) == place}
        below = [run.info.run_id for run in running if run.data.tags.get("mlflow.parentRunId") in own]
        ended = [*below, *own]  # the parent last: if this process is killed too, the next one finds the rest by it
        for run_id in ended:
            client.set_terminated(run_id, "KILLED")
    return len(ended)


def log(params: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
    """Record parameters, metrics and tags in the open run."""
    mlflow.log_params(dict(params))
    mlflow.log_metrics({allowed(name): value for name, value in metrics.items()})
    mlflow.set_tags(dict(tags))


def describe_run(name: str, description: str = "") -> None:
    """Name the open run. A `description` is Markdown; without one, the run keeps what it has."""
    tags = {"mlflow.runName": name}
    if description:
        tags[NOTE] = description[:LONGEST]
    mlflow.set_tags(tags)


def describe_experiment(description: str) -> None:
    """Set the description of the connected experiment; it is Markdown."""
    mlflow.set_experiment_tag(NOTE, description[:LONGEST])


def log_data(name: str, hashes: Mapping[str, str], rows: Mapping[str, int]) -> None:
    """Record the lineage of the open run.

    `hashes` has the SHA-256 of each file, and `rows` the number of rows of each use, such as training.
    """
    digest = hashlib.sha256("".join(f"{file}{sha}" for file, sha in sorted(hashes.items())).encode()).hexdigest()
    source = CodeDatasetSource({f"sha256 {file}": sha for file, sha in hashes.items()})
    for context, count in rows.items():
        mlflow.log_input(_FileDataset(source, f"{name}: {context}", digest[:36]), context, {"rows": str(count)})


def log_folder(folder: Path, name: str) -> None:
    mlflow.log_artifacts(str(folder), name)


def log_child_run(
    name: str, params: Mapping[str, Any], folds: Mapping[str, Mapping[str, float]], tags: Mapping[str, str]
) -> None:
    """Record a trial or a candidate as a run below the open one; each fold is a step of the run's metrics."""
    now = int(time.time() * 1000)
    metrics = []
    for step, fold in enumerate(folds.values()):
        metrics += [Metric(allowed(metric), value, now, step) for metric, value in fold.items()]

    windows = {f"fold {step}": fold for step, fold in enumerate(folds)}

    with mlflow.start_run(run_name=name, nested=True) as started:
        mlflow.set_tags({**windows, **tags})
        logged_params = [Param(key, str(value)) for key, value in params.items()]
        mlflow.MlflowClient().log_batch(started.info.run_id, metrics, logged_params)


def page(experiment: str, uri: str, port: int) -> tuple[str, list[str]]:
    """The address of an experiment's runs in MLflow's view for machine learning; its default view is for LLMs.

    `port` is that of the local MLflow server. Also returns messages about what was repaired in the store. Raises
    ConfigError where no run is recorded yet.
    """
    with open_store(uri) as repaired:
        known = mlflow.get_experiment_by_name(experiment)
    if known is None:
        raise ConfigError(f"MLflow's store {uri} has no run of {experiment} yet. Run `make train` first")

    host = uri.rstrip("/") if uri.startswith("http") else f"http://127.0.0.1:{port}"
    return f"{host}/#/experiments/{known.experiment_id}/runs?workflowType=machine_learning", repaired


@contextmanager
def reachable(uri: str) -> Iterator[None]:
    """Use this store in the body. Raises ConfigError where the store cannot be used."""
    try:
        mlflow.set_tracking_uri(uri)
        yield
    except (*STORE_ERRORS, OSError) as error:
        raise unusable(uri, error) from error


def unusable(uri: str, error: Exception) -> ConfigError:
    """The error to report for one of the store: its first line."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ConfigError(f"MLflow's store {uri} cannot be used: {reason}")


def allowed(key: str) -> str:
    """The key of a tag, without the characters that MLflow refuses."""
    return re.sub(r"[^\w./ -]", "", key)
