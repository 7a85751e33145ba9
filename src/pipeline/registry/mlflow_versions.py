"""The registered versions of a model in MLflow, and the aliases of the champion and of the challenger."""

import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from pipeline.errors import ConfigError
from pipeline.registry.mlflow_store import LONGEST, allowed, reachable
from pipeline.runtime.contract import Contract

CHAMPION = "champion"
CHALLENGER = "challenger"
NEEDED = ("mlflow", "numpy", "onnxruntime", "pandas", "pydantic")  # packages that the registered model imports


def register(contract: Contract, bundle: Path, tags: Mapping[str, str], description: str = "") -> str:
    """Register a bundle as a version of the model `contract.name`, under the alias challenger.

    A bundle that has a version already keeps it, and the version gets the new tags and the `description`, which is
    Markdown. A new version belongs to the open run. Returns the number of the version.
    """
    client = mlflow.MlflowClient()
    name = contract.name
    version = version_of(name, bundle.name)
    version_tags = {allowed(key): value[:LONGEST] for key, value in {"digest": bundle.name, **tags}.items()}

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
