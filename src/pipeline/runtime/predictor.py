"""Load a bundle and predict with it: probabilities of a class or of several classes, numbers for a regression.

Before its first prediction a bundle is verified: its hashes are checked, and its golden rows are scored again.

This is the only module that imports onnxruntime. The server and the check of an exported model both use it. It must not
import pandas, scikit-learn or MLflow.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

# Its official builds report to their maker, and write an id of the machine into the home folder, unless this is set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from pipeline.errors import BundleError
from pipeline.runtime import bundle_store, rolling_features, signature
from pipeline.runtime.arrays import Columns, Tensors, columns_from_json, tensors, to_rows
from pipeline.runtime.contract import Contract, Frozen, Scoring
from pipeline.runtime.dataset import find, module_hash
from pipeline.runtime.request_model import request_model

TOLERANCE = 1e-5  # float32 sums on another processor differ by less; another model or feature differs by far more
DECIDING = ("model.onnx", "golden.json")
DIGITS = 7  # of a prediction; float32 has no more
RENAMED = {"judged_fit": "train_rows", "judged_on": "holdout_rows"}  # in the record of a bundle of an older version
DOCUMENTS = ("MODEL_CARD.md", "DATA_CARD.md", "report.html")  # for people; a bundle of an older version has none


class Session:
    """The model in onnxruntime, on one thread: two matrices in, the predictions of each row out.

    `inputs` has the type and the shape of each input, by name, `output_type` the type of the last output.
    """

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3

        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs = {entry.name: (entry.type, entry.shape) for entry in self._session.get_inputs()}
        # A classifier has two outputs: the labels, then the probabilities.
        last = self._session.get_outputs()[-1]
        self._outputs = [last.name]
        self.output_type = last.type

    def __call__(self, data: Tensors) -> NDArray[np.float64]:
        fed = {name: getattr(data, name) for name in self.inputs}
        output: NDArray[np.float32] = self._session.run(self._outputs, fed)[0]
        return as_answers(output.astype(np.float64))


def as_answers(output: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers of a regression or the probabilities of the second of two classes, shape (rows,).

    The probabilities of more classes stay as they are, shape (rows, classes).
    """
    if output.ndim == 1:
        return output
    return output if output.shape[1] > 2 else output[:, -1]


def top_probability(predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of the most probable class; other predictions as they are; shape (rows,)."""
    return predictions if predictions.ndim == 1 else predictions.max(axis=1)


class Golden(NamedTuple):
    """Request rows with the predictions that the model gave when it was exported."""

    columns: dict[str, NDArray[Any]]
    predictions: NDArray[np.float64]
    rows: list[dict[str, Any]]


class Example(NamedTuple):
    """A row of the holdout and its outcome."""

    row: dict[str, Any]
    outcome: bool | float | str


class Manifest(Frozen):
    """`bundle.json`: everything that decides predictions, and the hashes of the files that do."""

    contract: Contract
    threshold: float | None = Field(None, gt=0, lt=1, description="From this probability on the label is 1.")
    spread: float = Field(1.0, gt=0, description="Standard deviation of a number to be told; 1 for a probability.")
    costs: tuple[tuple[float, ...], ...] = Field((), strict=False, description="Of labels, by outcome and label.")
    prior: dict[str, float] = Field({}, description="What a rolling feature is for a key without rows: its mean.")
    metrics: dict[str, dict[str, float | None]]
    files: dict[str, str] = Field(description="SHA-256 of the model, its golden rows and its rolling features.")


class Predictor:
    """A bundle in memory. `load` creates and verifies it."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        """`files` has the content of the bundle's files by name: nothing is read from the folder again."""
        self.folder = folder
        content = part(files, "bundle.json")
        self.manifest = Manifest.model_validate_json(content)
        self.version = bundle_store.digest(content)
        self.contract = self.manifest.contract
        self.scoring = Scoring(self.contract.task, self.manifest.threshold, self.contract.classes, self.manifest.costs)

        named = (*DECIDING, rolling_features.FILE) if self.contract.rolling else DECIDING
        deciding = {name: part(files, name) for name in named}
        if self.manifest.files != {name: bundle_store.sha256(content) for name, content in deciding.items()}:
            raise ValueError(f"bundle.json was made for another {' or '.join(named)}")

        self.golden = read_golden(deciding["golden.json"], self.contract)
        record = json.loads(part(files, "record.json"))
        self.record: dict[str, Any] = {RENAMED.get(name, name): value for name, value in record.items()}
        self.dataset_module = str(self.record["dataset_module"])
        reference = json.loads(part(files, "reference.json"))
        self.choices = known_values(reference, self.contract)
        self._training_values = {name: frozenset(values) for name, values in self.choices.items()}
        background = json.loads(part(files, "background.json"))["columns"]
        self.background = columns_from_json(background, self.contract)
        examples = json.loads(part(files, "examples.json"))
        rows = to_rows(examples["columns"])
        self.examples = [Example(*pair) for pair in zip(rows, examples["outcomes"], strict=True)]
        self.documents = {name: files[name] for name in DOCUMENTS if name in files}

        self.rolling: rolling_features.Table | None = None
        self._oldest = -(10**6)  # day of the bundle's own table
        if self.contract.rolling:
            self.set_rolling_features(deciding[rolling_features.FILE])
            self._oldest = self.rolling.as_of if self.rolling else 0

        self.row_model = request_model(self.contract)
        self._derive: Callable[[Columns], Columns] = find(self.contract.dataset).derive
        self._session = Session(deciding["model.onnx"])

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """Return the probability of label 1 or, for a regression, the number for each row; shape (rows,).

        A multiclass task has a probability for each class; shape (rows, classes).
        """
        return self._session(tensors(self._derive(self.with_rolling_features(columns)), self.contract))

    def with_rolling_features(self, columns: Columns) -> Columns:
        """Fill in the rolling features that the caller did not send."""
        if self.rolling is None or self.contract.timing is None:
            return columns
        return rolling_features.fill_from_table(columns, self.rolling, self.contract.timing.time)

    def set_rolling_features(self, content: bytes) -> None:
        """Replace the table of rolling features by that of a `rolling_features.json`.

        Raises ValueError where the file is older than the bundle's own, was changed, or was made for other features.
        """
        counts, as_of = rolling_features.load_counts(content, self.contract)
        if as_of < self._oldest:
            day = rolling_features.date_of(as_of)
            raise ValueError(f"rolling_features.json is of {day}, older than the bundle's own")
        self.rolling = rolling_features.build_table(counts, self.contract, as_of, self.manifest.prior)

    def unseen(self, columns: Columns) -> dict[str, int]:
        """Count by category the values that no training row had. The model maps such a value to "other"."""
        counts = {}
        for name, training_values in self._training_values.items():
            if new := [value for value in columns[name] if value not in training_values and value != ""]:
                counts[name] = len(new)
        return counts


def as_predictions(predictions: NDArray[np.float64], scoring: Scoring) -> dict[str, list[Any]]:
    """Round predictions and name them as in a response: `probability` and `label`, or `value` for a regression.

    A multiclass task has `probabilities`, from the name of a class to its probability, and the label.
    """
    if scoring.task == "regression":
        return {"value": [float(f"{prediction:.{DIGITS}g}") for prediction in predictions.tolist()]}
    if scoring.task == "multiclass":
        rounded = (np.rint(predictions * 10**DIGITS) / 10**DIGITS).tolist()
        labels = [scoring.classes[number] for number in scoring.labels(predictions)]
        return {"probabilities": [dict(zip(scoring.classes, row, strict=True)) for row in rounded], "label": labels}
    if len(predictions) == 1:  # NumPy is slow for one row
        probability = round(predictions.item() * 10**DIGITS) / 10**DIGITS
        return {"probability": [probability], "label": [int(probability >= scoring.cut)]}
    probabilities = np.rint(predictions * 10**DIGITS) / 10**DIGITS
    return {"probability": probabilities.tolist(), "label": (probabilities >= scoring.cut).astype(int).tolist()}


def load(place: Path, key: Path | None = None) -> Predictor:
    """Load and verify a bundle, or the champion of a store. With a public `key` the bundle has to be signed by it.

    Raises BundleError where there is no bundle, a file is damaged or cannot be read, the signature is missing or
    invalid, or a golden row gets another prediction. Raises ConfigError where the key cannot be used.
    """
    folder = bundle_store.resolve(place)  # only once: the bundle that is verified must be the one that is loaded
    try:
        files = bundle_store.read(folder)
    except (ValueError, OSError) as damage:
        text = f"{folder}: {damage}. The bundle is not what training wrote: run `make train` or restore it"
        raise BundleError(text) from None
    if key:
        signature.verify(folder, key, files)

    try:
        predictor = Predictor(folder, files)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        if not where.startswith("contract"):
            raise BundleError(f"{folder}: cannot be read as a bundle: {where}: {fault['msg']}") from error
        raise BundleError(
            f"{folder}: this version cannot read its contract ({where}: {fault['msg']}). Train again, or "
            "use the version that made it"
        ) from None
    except Exception as error:
        raise BundleError(f"{folder}: cannot be read as a bundle: {' '.join(str(error).split())}") from error

    if folder.name != predictor.version and bundle_store.DIGEST.fullmatch(folder.name):
        raise BundleError(f"{folder}: holds the bundle {predictor.version}, not the one of the folder's name")
    prove(predictor, folder)
    return predictor


def prove(predictor: Predictor, folder: Path) -> None:
    """Score the golden rows again.

    Raises BundleError where they cannot be scored, or where a prediction differs from the trained model's by more than
    `TOLERANCE`: in probability, or in standard deviations of the outcome for a regression.
    """
    module = f"src/pipeline/datasets/{predictor.contract.dataset}.py"
    hint = "onnxruntime or numpy may have changed: install the locked versions, or run `make train`"
    if module_hash(predictor.contract.dataset) != predictor.dataset_module:
        hint = f"{module} has changed since this bundle was made: undo that, or run `make train`"

    try:
        predictions = predictor.predict(predictor.golden.columns)
    except Exception as error:  # an edited `derive` may raise anything
        raise BundleError(
            f"{folder}: its golden rows cannot be scored ({type(error).__name__}: {error}). {hint}"
        ) from error

    errors = np.abs(predictions - predictor.golden.predictions) / predictor.manifest.spread
    within = errors <= TOLERANCE  # False for NaN
    if not within.all():
        different = int(np.count_nonzero(~within))
        raise BundleError(
            f"{folder}: {different} of {errors.size} golden rows get another prediction than the trained model gave "
            f"(a difference of up to {np.nanmax(errors):.3g}, allowed {TOLERANCE:g}). {hint}"
        )


def part(files: Mapping[str, bytes], name: str) -> bytes:
    """The content of a file that every bundle has. Raises ValueError where this one lacks it."""
    if name not in files:
        raise ValueError(f"{name} is missing")
    return files[name]


def read_golden(content: bytes, contract: Contract) -> Golden:
    """Read `golden.json`. Raises ValueError where it has no rows, or not one prediction per row."""
    stored = json.loads(content)
    columns = columns_from_json(stored["columns"], contract)
    predictions = np.array(stored["answers"], dtype=np.float64)
    if not len(predictions) or {len(values) for values in columns.values()} != {len(predictions)}:
        raise ValueError("golden.json has no rows, or not one prediction for each")
    return Golden(columns, predictions, to_rows(stored["columns"]))


def known_values(reference: Mapping[str, Any], contract: Contract) -> dict[str, dict[str, str]]:
    """Return the training values of each category in a request, with their display names."""
    known = {}
    for name, column in contract.request.items():
        if column.kind == "category":
            about = reference["columns"][name]
            names = {**about.get("names", {}), **(column.values or {})}
            known[name] = {value: names.get(value, value) for value in about["values"]}
    return known
