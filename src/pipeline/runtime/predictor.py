"""A bundle that answers: hashes checked, golden rows scored again, then request columns in and answers out, which are
probabilities or, for a regression, numbers.

Light, and the only module that imports onnxruntime: the server and the exporter's own check go
through here.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from pipeline.errors import BundleError
from pipeline.runtime import bundle_store, rolling_features
from pipeline.runtime.arrays import Columns, Tensors, columns_from_json, tensors, to_rows
from pipeline.runtime.contract import Contract, Frozen, Scoring
from pipeline.runtime.dataset import find, module_hash
from pipeline.runtime.request_model import request_model

TOLERANCE = 1e-5  # the same float32 sums on another processor differ by less; another model or feature by far more
DECIDING = ("model.onnx", "golden.json")
DIGITS = 7  # of an answer; float32 has no more


class Session:
    """The model in onnxruntime, on one thread: two matrices in, one answer per row out."""

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        self._outputs = [self._session.get_outputs()[-1].name]  # a classifier has its labels before the probabilities

    def __call__(self, data: Tensors) -> NDArray[np.float64]:
        fed = {name: getattr(data, name) for name in self._inputs}
        found: NDArray[np.float32] = self._session.run(self._outputs, fed)[0]
        return found[:, -1].astype(np.float64)


class Golden(NamedTuple):
    """Request rows with the answers that the model gave when it was made."""

    columns: dict[str, NDArray[Any]]
    answers: NDArray[np.float64]
    rows: list[dict[str, Any]]


class Example(NamedTuple):
    """A row that the model was judged on, and what really happened."""

    row: dict[str, Any]
    outcome: bool | float


class Manifest(Frozen):
    """`bundle.json`: all that decides predictions."""

    contract: Contract
    threshold: float | None = Field(None, gt=0, lt=1, description="From this probability on the label is 1.")
    spread: float = Field(1.0, gt=0, description="Standard deviation of a number to be told; 1 for a probability.")
    prior: float | None = Field(None, description="What is remembered of a key without cases: the usual outcome.")
    metrics: dict[str, dict[str, float | None]]
    files: dict[str, str] = Field(description="SHA-256 of the model, its golden rows and what it remembers.")


class Predictor:
    """A bundle in memory. `load` builds it and has it prove itself."""

    def __init__(self, folder: Path) -> None:
        content = (folder / "bundle.json").read_bytes()
        self.manifest = Manifest.model_validate_json(content)
        self.version = bundle_store.digest(content)
        self.contract = self.manifest.contract
        self.scoring = Scoring(self.contract.task, self.manifest.threshold)
        named = (*DECIDING, rolling_features.FILE) if self.contract.rolling else DECIDING
        deciding = {name: (folder / name).read_bytes() for name in named}
        if self.manifest.files != {name: bundle_store.sha256(part) for name, part in deciding.items()}:
            raise ValueError(f"bundle.json was made for another {' or '.join(named)}")
        self.golden = read_golden(deciding["golden.json"], self.contract)
        self.record: dict[str, Any] = json.loads((folder / "record.json").read_bytes())
        self.dataset_module = str(self.record["dataset_module"])
        reference = json.loads((folder / "reference.json").read_bytes())
        self.choices = known_values(reference, self.contract)
        self._seen = {name: frozenset(values) for name, values in self.choices.items()}
        background = json.loads((folder / "background.json").read_bytes())["columns"]
        self.background = columns_from_json(background, self.contract)
        told = json.loads((folder / "examples.json").read_bytes())
        self.examples = [Example(*pair) for pair in zip(to_rows(told["columns"]), told["outcomes"], strict=True)]
        self.pictures = sorted(path.name for path in folder.glob("*.png"))
        self.rolling: rolling_features.Table | None = None
        self._oldest = -(10**6)  # day of the bundle's own table
        if self.contract.rolling:
            self.set_rolling_features(deciding[rolling_features.FILE])
            self._oldest = self.rolling.as_of if self.rolling else 0
        self.folder = folder
        self.row_model = request_model(self.contract)
        self._derive: Callable[[Columns], Columns] = find(self.contract.dataset).derive
        self._session = Session(deciding["model.onnx"])

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """For each row of request columns the probability of a yes or, for a regression, the number."""
        return self._session(tensors(self._derive(self.with_rolling_features(columns)), self.contract))

    def with_rolling_features(self, columns: Columns) -> Columns:
        """The columns with what is remembered of each row's key, where the caller has not sent it."""
        if self.rolling is None or self.contract.timing is None:
            return columns
        return rolling_features.fill_from_table(columns, self.rolling, self.contract.timing.time)

    def set_rolling_features(self, content: bytes) -> None:
        """From now on look up in another table. Raises ValueError where that is older than the bundle's own, was
        changed, or was made for another model.
        """
        tallies, as_of = rolling_features.load_counts(content, self.contract)
        if as_of < self._oldest:
            raise ValueError(f"rolling_features.json is of {rolling_features.date_of(as_of)}, older than the bundle's own")
        self.rolling = rolling_features.build_table(tallies, self.contract, as_of, self.manifest.prior or 0.0)

    def unseen(self, columns: Columns) -> dict[str, int]:
        """How many values of each category no training row had. Such a row is answered: the model knows "other"."""
        counts = {}
        for name, seen in self._seen.items():
            if new := [value for value in columns[name] if value not in seen and value != ""]:
                counts[name] = len(new)
        return counts


def as_predictions(answers: NDArray[np.float64], scoring: Scoring) -> dict[str, list[float]]:
    """The answers as callers get them: probabilities with the labels that follow from them, or values."""
    if scoring.task == "regression":
        return {"value": [float(f"{answer:.{DIGITS}g}") for answer in answers.tolist()]}
    probabilities = [round(answer * 10**DIGITS) / 10**DIGITS for answer in answers.tolist()]
    return {"probability": probabilities, "label": [int(each >= scoring.cut) for each in probabilities]}


def load(place: Path) -> Predictor:
    """The predictor of a bundle, or of a store's champion. Raises BundleError where it does not prove itself."""
    folder = bundle_store.resolve(place)
    if wrong := bundle_store.damage(folder):
        raise BundleError(f"{folder}: {wrong}. The bundle is not what training wrote: run `make train` or restore it")
    try:
        predictor = Predictor(folder)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        if not where.startswith("contract"):
            raise BundleError(f"{folder}: cannot be read as a bundle: {where}: {fault['msg']}") from error
        raise BundleError(
            f"{folder}: its contract is one that this version does not read ({where}: {fault['msg']}). Train again, or "
            "use the version that made it"
        ) from None
    except Exception as error:
        raise BundleError(f"{folder}: cannot be read as a bundle: {' '.join(str(error).split())}") from error
    if folder.name != predictor.version and bundle_store.DIGEST.fullmatch(folder.name):
        raise BundleError(f"{folder}: holds the bundle {predictor.version}, not the one that its name says")
    prove(predictor, folder)
    return predictor


def prove(predictor: Predictor, folder: Path) -> None:
    """Score the golden rows again. Raises BundleError where an answer is not the one that the trained model gave."""
    module = f"src/pipeline/datasets/{predictor.contract.dataset}.py"
    edited = module_hash(predictor.contract.dataset) != predictor.dataset_module
    hint = (
        f"{module} has changed since this bundle was made: undo that, or run `make train`"
        if edited
        else ("onnxruntime or numpy may have changed: install the locked versions, or run `make train`")
    )
    try:
        answers = predictor.predict(predictor.golden.columns)
    except Exception as error:  # whatever an edited `derive` raises
        raise BundleError(
            f"{folder}: its golden rows cannot be scored ({type(error).__name__}: {error}). {hint}"
        ) from error
    off = np.abs(answers - predictor.golden.answers) / predictor.manifest.spread
    if not (off <= TOLERANCE).all():
        wrong = int(np.count_nonzero(~(off <= TOLERANCE)))
        raise BundleError(
            f"{folder}: {wrong} of {len(off)} golden rows get another answer than the trained model gave "
            f"(off by up to {np.nanmax(off):.3g}, allowed {TOLERANCE:g}). {hint}"
        )


def read_golden(content: bytes, contract: Contract) -> Golden:
    stored = json.loads(content)
    columns = columns_from_json(stored["columns"], contract)
    answers = np.array(stored["answers"], dtype=np.float64)
    if not len(answers) or {len(values) for values in columns.values()} != {len(answers)}:
        raise ValueError("golden.json has no rows, or not one answer for each")
    return Golden(columns, answers, to_rows(stored["columns"]))


def known_values(reference: Mapping[str, Any], contract: Contract) -> dict[str, dict[str, str]]:
    """Of each category that a caller sends, the values that training has seen, each with its name."""
    found = {}
    for name, column in contract.request.items():
        if column.kind == "category":
            about = reference["columns"][name]
            names = {**about.get("names", {}), **(column.values or {})}
            found[name] = {value: names.get(value, value) for value in about["values"]}
    return found
