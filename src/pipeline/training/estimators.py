"""The candidates: kinds of scikit-learn pipeline, each built so that its ONNX export is exact.

A boolean outcome and the position of a class need classifiers, a number needs regressors.

This module avoids what the ONNX converter gets wrong. Boosting gets ordinal codes as numbers, and no native categories.
Trees get no scaler. The encoder's list leaves out rare values, and the encoder does not group them. `export/onnx.py`
converts a pipeline and checks the export: this module only builds, fits and predicts.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from pipeline.config.candidates import Blend, Boosting, Forest, Linear, Perceptron, Settings, Tree
from pipeline.config.config import Train
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.predictor import as_answers


def fit(settings: Settings, data: Tensors, target: NDArray[Any], train: Train, *, threads: int = 1) -> BaseEstimator:
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

        if isinstance(settings, Perceptron) and not classify:
            return fit_scaled(built, to_frame(data), target)
        return built.fit(to_frame(data), target)


def fit_scaled(built: Pipeline, frame: pd.DataFrame, target: NDArray[Any]) -> Pipeline:
    """Fit a perceptron on the scaled target, because it learns only numbers around 0, and scale its last layer back."""
    mean = target.mean()
    deviation = target.std() or 1.0
    built.fit(frame, (target - mean) / deviation)

    perceptron = built[-1]
    perceptron.coefs_[-1] = perceptron.coefs_[-1] * deviation
    perceptron.intercepts_[-1] = perceptron.intercepts_[-1] * deviation + mean
    return built


def build(settings: Settings, data: Tensors, train: Train, *, classify: bool) -> BaseEstimator:
    """Build the unfitted pipeline of a kind. The encoders get the categories that are frequent in these rows."""
    if isinstance(settings, Blend):
        linear = build(settings.linear, data, train, classify=classify)
        boosting = build(settings.boosting, data, train, classify=classify)
        parts = [("linear", linear), ("boosting", boosting)]
        weights = np.array([settings.weight, 1 - settings.weight])  # the converter wants an array
        if not classify:
            return VotingRegressor(parts, weights=weights)
        return VotingClassifier(parts, voting="soft", weights=weights, flatten_transform=False)

    rare = max(2, min(50, len(data.strings) // 100)) if train.rare == "auto" else train.rare
    known = [frequent_categories(data.strings[:, n], rare) for n in range(data.strings.shape[1])]
    numbers = list(range(len(known), len(known) + data.numbers.shape[1]))

    if isinstance(settings, Tree | Forest | Boosting):
        prepare = ordinal(known, numbers, impute=not isinstance(settings, Boosting))
    else:
        prepare = one_hot(known, numbers)

    make = classifier if classify else regressor
    return Pipeline([("prepare", prepare), ("model", make(settings, train.seed))])


def classifier(settings: Settings, seed: int) -> BaseEstimator:
    """Build the classifier of a kind."""
    values = settings.model_dump()

    match settings:
        case Linear():
            return LogisticRegression(**values)
        case Tree():
            return DecisionTreeClassifier(random_state=seed, **values)
        case Forest():
            return RandomForestClassifier(random_state=seed, n_jobs=1, **values)
        case Boosting():
            return HistGradientBoostingClassifier(early_stopping=False, random_state=seed, **values)
        case Perceptron():
            layers = (values.pop("hidden"),)
            return MLPClassifier(hidden_layer_sizes=layers, early_stopping=False, random_state=seed, **values)
    raise TypeError(f"no classifier is known for {type(settings).__name__}")


def regressor(settings: Settings, seed: int) -> BaseEstimator:
    """Build the regressor of a kind. Only boosting can minimise the absolute error in reasonable time."""
    values = settings.model_dump()

    match settings:
        case Linear():
            return Ridge(alpha=1 / settings.C)
        case Tree():
            return DecisionTreeRegressor(random_state=seed, **values)
        case Forest():
            return RandomForestRegressor(random_state=seed, n_jobs=1, **values)
        case Boosting():
            return HistGradientBoostingRegressor("absolute_error", early_stopping=False, random_state=seed, **values)
        case Perceptron():
            layers = (values.pop("hidden"),)
            return MLPRegressor(hidden_layer_sizes=layers, early_stopping=False, random_state=seed, **values)
    raise TypeError(f"no regressor is known for {type(settings).__name__}")


def parts(settings: Settings) -> list[Settings]:
    """Return the settings of what has to be fitted: both parts of a blend, or the kind itself."""
    return [settings.linear, settings.boosting] if isinstance(settings, Blend) else [settings]


def cost(settings: Settings) -> float:
    """Return about how long a fit takes for so many rows, compared with that of a tree. It decides no result."""
    match settings:
        case Forest():
            return settings.n_estimators / 10
        case Boosting():
            return settings.max_iter / 60
        case Linear() | Perceptron():
            return 2
    return 1


def blended(settings: Settings, predictions: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the predictions of a candidate [rows] from those of its parts."""
    if not isinstance(settings, Blend):
        return predictions[0]
    of_linear, of_boosting = predictions
    return settings.weight * of_linear + (1 - settings.weight) * of_boosting


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

    `impute` fills missing numbers. Every kind needs it except boosting, whose export can handle missing numbers.
    """
    parts = []
    for position, categories in enumerate(known):
        encoder = OrdinalEncoder(categories=[categories], handle_unknown="use_encoded_value", unknown_value=-1)
        parts.append((f"category_{position}", encoder, [position]))

    prepare_numbers = imputer() if impute else "passthrough"
    return ColumnTransformer([*parts, ("numbers", prepare_numbers, numbers)])


def imputer() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)
