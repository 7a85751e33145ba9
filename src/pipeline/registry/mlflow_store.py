"""The record of trainings and of versions in MLflow. With `mlflow_model` the only module that imports it; production
does not need it.
"""

import hashlib
import logging
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

# Read when mlflow is imported: nothing is sent home, and its log keeps to what goes wrong.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default it tries for four minutes

import mlflow
import mlflow.pyfunc
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import ConfigError, RefusedError
from pipeline.registry import artifact_paths
from pipeline.runtime import bundle_store
from pipeline.runtime.contract import Contract

logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # it misses a pip where uv made the environment

CHAMPION, CHALLENGER = "champion", "challenger"
NEEDED = ("mlflow", "numpy", "onnxruntime", "pandas", "pydantic")  # by the registered model
LONGEST = 5000  # characters of a tag
PLACE = "folder"  # the tag of a run that names its working folder


class _FileDataset(MetaDataset):
    """A dataset that is known by its files alone."""

    @property
    def profile(self) -> None:
        return None


def connect(experiment: str, uri: str) -> list[str]:
    """Make the experiment the one that runs go to; what had to be mended in its store.

    Raises ConfigError where the store cannot be used.
    """
    with open_store(uri) as mended:
        if mlflow.get_experiment_by_name(experiment) is None:
            file = artifact_paths.local_file(uri)
            mlflow.create_experiment(experiment, artifact_paths.artifact_folder(file).as_uri() if file else None)
        mlflow.set_experiment(experiment)
    return mended


@contextmanager
def open_store(uri: str) -> Iterator[list[str]]:
    """A store that may be made by its first use or have been moved, for one process at a time; what was mended.

    Raises ConfigError where it cannot be used.
    """
    file = artifact_paths.local_file(uri)
    with reachable(uri), bundle_store.locked_by(file.with_name(f"{file.name}.lock")) if file else nullcontext():
        mended = artifact_paths.follow_move(file) if file else None
        yield [mended] if mended else []


@contextmanager
def run(place: str) -> Iterator[str]:
    """An open run of the connected experiment; yields its id. A failure inside marks it as failed, a refusal not.

    `place` is what it is found by if it is killed: the tag is there from the first moment on.
    """
    os.environ.pop("MLFLOW_RUN_ID", None)  # of somebody's notebook, or long gone: each training is a run of its own
    with reachable(mlflow.get_tracking_uri()):
        started, status = mlflow.start_run(tags={PLACE: place}), "FAILED"
    try:
        yield started.info.run_id
        status = "FINISHED"
    except RefusedError:
        status = "FINISHED"
        raise
    finally:
        mlflow.end_run(status)


def end_killed(experiment: str, place: str, uri: str) -> int:
    """Mark as killed what is open of the run with that place, and of those below it; how many. None where another
    store knows them.
    """
    with reachable(uri):
        client, known = mlflow.MlflowClient(), mlflow.get_experiment_by_name(experiment)
        running = client.search_runs([known.experiment_id], "attributes.status = 'RUNNING'") if known else []
        own = {run.info.run_id for run in running if run.data.tags.get(PLACE) == place}
        below = [run.info.run_id for run in running if run.data.tags.get("mlflow.parentRunId") in own]
        ended = [*below, *own]  # in this order, so that whoever is killed in here finds the rest by the first
        for run_id in ended:
            client.set_terminated(run_id, "KILLED")
    return len(ended)


def log(params: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
    """Into the open run."""
    mlflow.log_params(dict(params))
    mlflow.log_metrics(dict(metrics))
    mlflow.set_tags(dict(tags))


def log_data(name: str, hashes: Mapping[str, str], rows: Mapping[str, int]) -> None:
    """The lineage of the open run: the files by their SHA-256, and how many rows were used for what."""
    digest = hashlib.sha256("".join(f"{file}{sha}" for file, sha in sorted(hashes.items())).encode()).hexdigest()
    source = CodeDatasetSource({f"sha256 {file}": sha for file, sha in hashes.items()})
    for context, count in rows.items():
        mlflow.log_input(_FileDataset(source, f"{name}: {context}", digest[:36]), context, {"rows": str(count)})


def log_folder(folder: Path, name: str) -> None:
    mlflow.log_artifacts(str(folder), name)


def log_child_run(
    name: str, params: Mapping[str, Any], folds: Mapping[str, Mapping[str, float]], error: str | None
) -> None:
    """A run below the open one, a trial or a candidate, with each figure per fold; a fold is a step."""
    now = int(time.time() * 1000)
    metrics = [
        Metric(metric, value, now, step) for step, fold in enumerate(folds.values()) for metric, value in fold.items()
    ]
    with mlflow.start_run(run_name=name, nested=True) as started:
        mlflow.set_tags({f"fold {step}": fold for step, fold in enumerate(folds)} | ({"error": error} if error else {}))
        told = [Param(key, str(value)) for key, value in params.items()]
        mlflow.MlflowClient().log_batch(started.info.run_id, metrics, told)


def register(contract: Contract, bundle: Path, tags: Mapping[str, str]) -> str:
    """A version of the model `contract.name` that answers as the bundle does; its number, under the alias challenger.

    A bundle that has a version keeps it, with the new tags. An open run becomes that of a new version.
    """
    client, name = mlflow.MlflowClient(), contract.name
    version = version_of(name, bundle.name)
    told = {_allowed(key): value[:LONGEST] for key, value in {"digest": bundle.name, **tags}.items()}
    if version is None:
        here = Path(__file__)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for an example row; the signature says what a row is
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(here.with_name("mlflow_model.py")),
                artifacts={"bundle": str(bundle)},
                code_paths=[str(here.parent.parent)],
                signature=signature(contract),
                pip_requirements=[f"{package}=={metadata.version(package)}" for package in NEEDED],
            )
        with suppress(MlflowException):  # it is there already
            client.create_registered_model(name)
        made = client.create_model_version(
            name, logged.model_uri, logged.run_id, tags=told, model_id=logged.model_id, await_creation_for=0
        )
        version = str(made.version)
    else:
        for key, value in told.items():
            client.set_model_version_tag(name, version, key, value)
    client.set_registered_model_alias(name, CHALLENGER, version)
    return version


def signature(contract: Contract) -> ModelSignature:
    kinds = {"number": DataType.double, "integer": DataType.long, "boolean": DataType.boolean}
    sent: list[Any] = [
        ColSpec(kinds.get(column.kind, DataType.string), name, required=not column.nullable)
        for name, column in contract.request.items()
    ]
    if contract.task == "regression":
        return ModelSignature(Schema(sent), Schema([ColSpec(DataType.double, "value")]))
    told: list[Any] = [ColSpec(DataType.double, "probability"), ColSpec(DataType.long, "label")]
    return ModelSignature(Schema(sent), Schema(told))


def version_of(name: str, digest: str) -> str | None:
    """The newest version that was made from a bundle, or None."""
    found = mlflow.MlflowClient().search_model_versions(f"name='{name}'")
    numbers = [int(version.version) for version in found if version.tags.get("digest") == digest]
    return str(max(numbers)) if numbers else None


def version_with_alias(name: str, alias: str) -> tuple[str, str] | None:
    """The version that bears an alias and its bundle's digest, or None."""
    try:
        version = mlflow.MlflowClient().get_model_version_by_alias(name, alias)
    except MlflowException:  # no such model, or no such alias
        return None
    return str(version.version), str(version.tags.get("digest"))


def sync_champion_alias(contract: Contract, bundle: Path | None, uri: str) -> str | None:
    """Have the alias champion where the pointer is; what had to be done for that, or None."""
    client, name = mlflow.MlflowClient(), contract.name
    with reachable(uri):
        present = version_with_alias(name, CHAMPION)
        if (present[1] if present else None) == (bundle.name if bundle else None):
            return None
        if bundle is None:
            client.delete_registered_model_alias(name, CHAMPION)
            return "removed, since there is no champion"
        version = version_of(name, bundle.name)
        if version is None and not bundle.is_dir():
            return None  # nothing to register; whoever needs the bundle will say that it is gone
        if version is None:
            before = version_with_alias(name, CHALLENGER)
            version = register(contract, bundle, {"registered": "again: this store did not know it"})
            if before:  # whoever was challenger stays it
                client.set_registered_model_alias(name, CHALLENGER, before[0])
        client.set_registered_model_alias(name, CHAMPION, version)
        return f"set to version {version}, which is {bundle.name}" + (f"; it was at {present[0]}" if present else "")


def page(experiment: str, uri: str, port: int) -> tuple[str, list[str]]:
    """The address of an experiment's runs in MLflow's classical view; its default view is for language models.

    Also what had to be mended in its store. Raises ConfigError where nothing is recorded yet.
    """
    with open_store(uri) as mended:
        known = mlflow.get_experiment_by_name(experiment)
    if known is None:
        raise ConfigError(f"MLflow's store {uri} has no run of {experiment} yet. Run `make train` first")
    host = uri.rstrip("/") if uri.startswith("http") else f"http://127.0.0.1:{port}"
    return f"{host}/#/experiments/{known.experiment_id}/runs?workflowType=machine_learning", mended


@contextmanager
def reachable(uri: str) -> Iterator[None]:
    try:
        mlflow.set_tracking_uri(uri)
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise ConfigError(f"MLflow's store {uri} cannot be used: {error}") from error


def _allowed(key: str) -> str:
    """A key of a tag, without the characters that MLflow refuses."""
    return re.sub(r"[^\w./ -]", "", key)
