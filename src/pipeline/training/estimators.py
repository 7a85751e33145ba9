"""The scikit-learn pipelines of the candidates, each built so that its ONNX export is exact.

`candidates/` has the model at the end of a pipeline; the encoding of the inputs before it is here.

This module avoids what the ONNX converter gets wrong. Boosting gets ordinal codes as numbers, and no native categories.
Trees get no scaler. The encoder's list leaves out rare values, and the encoder does not group them. `export/onnx.py`
converts a pipeline and checks the export: this module only builds, fits and predicts.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from pipeline.candidates.kind import Kind
from pipeline.config.training import Train
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.predictor import as_answers


def fit(settings: Kind, data: Tensors, target: NDArray[Any], train: Train, *, threads: int = 1) -> BaseEstimator:
    """Fit one candidate on these rows. The model depends on the seed, and not on the number of threads.

    `target` has shape [rows]. BLAS always gets one thread, because its sums, and so the coefficients, depend on the
    number of threads. OpenMP's sums do not.
    """
    classify = target.dtype != np.float64
    if train.clip and not classify:
        target = np.clip(target, train.clip.low, train.clip.high)
    built = build(settings, data, train, classify=classify)

    with (
        threadpool_limits(1, user_api="blas"),
        threadpool_limits(threads, user_api="openmp"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)  # the metrics on the folds decide, converged or not
        warnings.filterwarnings("ignore", "Got `batch_size`")  # a batch larger than the data is all rows

        return settings.fit(built, to_frame(data), target)


def build(settings: Kind, data: Tensors, train: Train, *, classify: bool) -> BaseEstimator:
    """Build the unfitted pipeline of a kind. The encoders get the categories that are frequent in these rows."""
    parts = settings.parts()
    if parts != [settings]:
        pipelines = [(part.name(), build(part, data, train, classify=classify)) for part in parts]
        return settings.combined(pipelines, classify=classify)

    rare = max(2, min(50, len(data.strings) // 100)) if train.rare == "auto" else train.rare
    known = [frequent_categories(data.strings[:, n], rare) for n in range(data.strings.shape[1])]
    numbers = list(range(len(known), len(known) + data.numbers.shape[1]))

    if settings.encoding == "one-hot":
        prepare = one_hot(known, numbers)
    else:
        prepare = ordinal(known, numbers, impute=not settings.takes_missing)

    model = settings.classifier(train.seed) if classify else settings.regressor(train.seed)
    return Pipeline([("prepare", prepare), (settings.name(), model)])


def predict(fitted: Any, data: Tensors) -> NDArray[np.float64]:
    """Predict the probability of the positive class, or the number, of each row: shape [rows].

    The probabilities of more than two classes have the shape [rows, classes].
    """
    frame = to_frame(data)
    predictions = fitted.predict_proba(frame) if is_classifier(fitted) else fitted.predict(frame)
    return as_answers(np.asarray(predictions, dtype=np.float64))


def to_frame(data: Tensors) -> pd.DataFrame:
    """Put both tensors side by side, strings first. The names of the columns are their positions: 0, 1, 2 …"""
    strings = pd.DataFrame(data.strings.astype(object, copy=False))
    return pd.concat([strings, pd.DataFrame(data.numbers)], axis=1, ignore_index=True)


def frequent_categories(values: NDArray[Any], rare: int) -> list[str]:
    """Return the values with at least `rare` rows, sorted. If there is none, return the most frequent value.

    The missing value '' is never one of them.
    """
    distinct, counts = np.unique(values[values != ""].astype(str), return_counts=True)
    frequent = distinct[counts >= rare]
    if not len(frequent):
        frequent = distinct[np.argsort(-counts, kind="stable")[:1]]
    return [str(value) for value in frequent]


def one_hot(known: list[list[str]], numbers: list[int]) -> ColumnTransformer:
    """Prepare the inputs of linear models and perceptrons: categories one-hot, numbers imputed and scaled.

    `known` has the categories of each string column, `numbers` the positions of the numeric columns.
    """
    parts = []
    for position, categories in enumerate(known):
        encoder = OneHotEncoder(categories=[categories], handle_unknown="ignore", sparse_output=False)
        parts.append((f"category_{position}", encoder, [position]))

    scale = Pipeline([("impute", imputer()), ("scale", StandardScaler())])
    return ColumnTransformer([*parts, ("numbers", scale, numbers)], sparse_threshold=0)


def ordinal(known: list[list[str]], numbers: list[int], *, impute: bool) -> ColumnTransformer:
    """Prepare the inputs of trees: categories as codes, numbers unscaled.

    `impute` fills missing numbers, for models that cannot handle them.
    """
    parts = []
    for position, categories in enumerate(known):
        encoder = OrdinalEncoder(categories=[categories], handle_unknown="use_encoded_value", unknown_value=-1)
        parts.append((f"category_{position}", encoder, [position]))

    prepare_numbers = imputer() if impute else "passthrough"
    return ColumnTransformer([*parts, ("numbers", prepare_numbers, numbers)])


def imputer() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)
