"""The record of training runs and of model versions in MLflow.

Only this module and `mlflow_model` import MLflow. The server must not need it.
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

# MLflow reads these on import: no telemetry, and a log of warnings and errors only.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default it retries for four minutes

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

# MLflow warns that pip is missing in an environment that uv made.
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # a traceback of what `reachable` reports

STORE_ERRORS = (MlflowException, SQLAlchemyError, sqlite3.Error)
CHAMPION = "champion"
CHALLENGER = "challenger"
NEEDED = ("mlflow", "numpy", "onnxruntime", "pandas", "pydantic")  # packages that the registered model imports
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
    mlflow.log_metrics({_allowed(name): value for name, value in metrics.items()})
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
        metrics += [Metric(_allowed(metric), value, now, step) for metric, value in fold.items()]

    windows = {f"fold {step}": fold for step, fold in enumerate(folds)}

    with mlflow.start_run(run_name=name, nested=True) as started:
        mlflow.set_tags({**windows, **tags})
        logged_params = [Param(key, str(value)) for key, value in params.items()]
        mlflow.MlflowClient().log_batch(started.info.run_id, metrics, logged_params)


def register(contract: Contract, bundle: Path, tags: Mapping[str, str], description: str = "") -> str:
    """Register a bundle as a version of the model `contract.name`, under the alias challenger.

    A bundle that has a version already keeps it, and the version gets the new tags and the `description`, which is
    Markdown. A new version belongs to the open run. Returns the number of the version.
    """
    client = mlflow.MlflowClient()
    name = contract.name
    version = version_of(name, bundle.name)
    version_tags = {_allowed(key): value[:LONGEST] for key, value in {"digest": bundle.name, **tags}.items()}

    if version is None:
        version = _create_version(contract, bundle, version_tags)
    else:
        for key, value in version_tags.items():
            client.set_model_version_tag(name, version, key, value)

    aliases = f"`{CHAMPION}` is the version that is served, `{CHALLENGER}` the newest trained one."
    client.update_registered_model(name, f"{contract.question}\n\n{aliases}")
    if description:
        client.update_model_version(name, version, description[:LONGEST])
    client.set_registered_model_alias(name, CHALLENGER, version)
    return version


def _create_version(contract: Contract, bundle: Path, tags: dict[str, str]) -> str:
    """Log the bundle as a pyfunc model, with this package as its code, and return the number of its new version."""
    client = mlflow.MlflowClient()
    here = Path(__file__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow asks for an example row; the signature describes a row already
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(here.with_name("mlflow_model.py")),
            artifacts={"bundle": str(bundle)},
            code_paths=[str(here.parent.parent)],
            signature=signature(contract),
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in NEEDED],
        )

    with suppress(MlflowException):  # the registered model exists already
        client.create_registered_model(contract.name)
    version = client.create_model_version(
        contract.name, logged.model_uri, logged.run_id, tags=tags, model_id=logged.model_id, await_creation_for=0
    )
    return str(version.version)


def signature(contract: Contract) -> ModelSignature:
    """MLflow's signature of the request columns, and of the response: probabilities and label, or value."""
    kinds = {"number": DataType.double, "integer": DataType.long, "boolean": DataType.boolean}
    request_columns: list[Any] = [
        ColSpec(kinds.get(column.kind, DataType.string), name, required=not column.nullable)
        for name, column in contract.request.items()
    ]
    if contract.task == "regression":
        return ModelSignature(Schema(request_columns), Schema([ColSpec(DataType.double, "value")]))

    response_columns: list[Any] = [ColSpec(DataType.double, "probability"), ColSpec(DataType.long, "label")]
    if contract.classes:
        response_columns = [ColSpec(DataType.double, f"probability_{name}") for name in contract.classes]
        response_columns.append(ColSpec(DataType.string, "label"))
    return ModelSignature(Schema(request_columns), Schema(response_columns))


def version_of(name: str, digest: str) -> str | None:
    """The newest version of a model that was made from the bundle with this digest, or None."""
    versions = mlflow.MlflowClient().search_model_versions(f"name='{name}'")
    numbers = [int(version.version) for version in versions if version.tags.get("digest") == digest]
    return str(max(numbers)) if numbers else None


def version_with_alias(name: str, alias: str) -> tuple[str, str] | None:
    """The version that has an alias, and the digest of that version's bundle; None where no version has it."""
    try:
        version = mlflow.MlflowClient().get_model_version_by_alias(name, alias)
    except MlflowException:  # no such model, or no such alias
        return None
    return str(version.version), str(version.tags.get("digest"))


def bundle_of(uri: str) -> Path:
    """The bundle of a registered version, such as models:/NAME@challenger. Raises ConfigError where there is none."""
    try:
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    except (MlflowException, OSError) as error:
        raise ConfigError(f"{uri}: MLflow has no such version: {str(error).splitlines()[0][:200]}") from None
    manifests = list(folder.glob("artifacts/*/bundle.json"))
    if not manifests:
        raise ConfigError(f"{uri}: is not a model of this project: it has no bundle")
    return manifests[0].parent


def sync_champion_alias(contract: Contract, bundle: Path | None, uri: str) -> str | None:
    """Set the alias champion to the version of `bundle`, or remove it where there is no champion.

    A bundle that this store does not know is registered first. Returns a message about the change, or None where the
    alias was right already. Raises ConfigError where the store cannot be used.
    """
    client = mlflow.MlflowClient()
    name = contract.name
    with reachable(uri):
        present = version_with_alias(name, CHAMPION)
        present_digest = present[1] if present else None
        wanted_digest = bundle.name if bundle else None
        if present_digest == wanted_digest:
            return None
        if bundle is None:
            client.delete_registered_model_alias(name, CHAMPION)
            return "removed, since there is no champion"

        version = version_of(name, bundle.name)
        if version is None and not bundle.is_dir():
            return None  # there is nothing to register; the code that loads the bundle reports that it is missing
        if version is None:
            challenger = version_with_alias(name, CHALLENGER)
            version = register(contract, bundle, {"registered": "again: this store did not know it"})
            if challenger:  # `register` has moved this alias
                client.set_registered_model_alias(name, CHALLENGER, challenger[0])

        client.set_registered_model_alias(name, CHAMPION, version)
        message = f"set to version {version}, which is {bundle.name}"
        if present:
            message += f"; it was at {present[0]}"
        return message


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


def _allowed(key: str) -> str:
    """The key of a tag, without the characters that MLflow refuses."""
    return re.sub(r"[^\w./ -]", "", key)
