"""The candidates: kinds of scikit-learn pipeline, each built so that its ONNX export is exact.

A boolean outcome makes classifiers, a number makes regressors.

This module avoids what the ONNX converter gets wrong: boosting gets ordinal codes as numbers and never native
categories, there is no scaler before trees, and rare values are left out of the encoder's list instead of being
grouped by the encoder.
"""

import warnings
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


def fit(settings: Settings, data: Tensors, target: NDArray[Any], train: Train, *, threads: int = 1) -> BaseEstimator:
    """Fit one candidate on these rows. The model depends on the seed, and not on the number of threads.

    BLAS always gets one thread: its sums, and so the coefficients, depend on the number of threads. OpenMP's do not.
    """
    classify = target.dtype == np.bool_
    if train.clip and not classify:
        target = np.clip(target, train.clip.low, train.clip.high)
    built = build(settings, data, train, classify=classify)

    with (
        threadpool_limits(1, user_api="blas"),
        threadpool_limits(threads, user_api="openmp"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)  # the folds say how good it is, converged or not
        warnings.filterwarnings("ignore", "Got `batch_size`")  # larger than few rows: it takes them all
        if isinstance(settings, Perceptron) and not classify:
            return fit_scaled(built, to_frame(data), target)
        return built.fit(to_frame(data), target)


def fit_scaled(built: Pipeline, frame: pd.DataFrame, target: NDArray[Any]) -> Pipeline:
    """Fit a perceptron on the scaled target, since it learns numbers around 0 only, and scale its last layer back."""
    middle = target.mean()
    spread = target.std() or 1.0
    built.fit(frame, (target - middle) / spread)
    layers = built[-1]
    layers.coefs_[-1] = layers.coefs_[-1] * spread
    layers.intercepts_[-1] = layers.intercepts_[-1] * spread + middle
    return built


def build(settings: Settings, data: Tensors, train: Train, *, classify: bool) -> BaseEstimator:
    """The unfitted pipeline of a kind. The encoders know the categories that are frequent in these rows."""
    if isinstance(settings, Blend):
        both = ("linear", "boosting")
        parts = [(name, build(getattr(settings, name), data, train, classify=classify)) for name in both]
        weights = np.array([settings.weight, 1 - settings.weight])  # the converter wants an array
        if not classify:
            return VotingRegressor(parts, weights=weights)
        return VotingClassifier(parts, voting="soft", weights=weights, flatten_transform=False)

    known = [frequent_categories(data.strings[:, n], train.rare) for n in range(data.strings.shape[1])]
    numbers = list(range(len(known), len(known) + data.numbers.shape[1]))

    if isinstance(settings, Tree | Forest | Boosting):
        prepare = ordinal(known, numbers, impute=not isinstance(settings, Boosting))
    else:
        prepare = one_hot(known, numbers)

    make = classifier if classify else regressor
    return Pipeline([("prepare", prepare), ("model", make(settings, train.seed))])


def classifier(settings: Settings, seed: int) -> BaseEstimator:
    """The classifier of a kind."""
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
    """The regressor of a kind. Only boosting can minimise the absolute error in reasonable time."""
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


def predict(fitted: Any, data: Tensors) -> NDArray[np.float64]:
    """The probability of the positive class, or the predicted number, of each row [rows]."""
    frame = to_frame(data)
    predictions = fitted.predict_proba(frame)[:, 1] if is_classifier(fitted) else fitted.predict(frame)
    return np.asarray(predictions, dtype=np.float64)


def to_frame(data: Tensors) -> pd.DataFrame:
    """Both tensors side by side under the positions 0, 1, 2 …: strings first."""
    return pd.concat([pd.DataFrame(data.strings), pd.DataFrame(data.numbers)], axis=1, ignore_index=True)


def frequent_categories(values: NDArray[Any], rare: int) -> list[str]:
    """The values with at least `rare` rows, sorted; if there are none, the most frequent one. Never the missing one."""
    distinct, counts = np.unique(values[values != ""].astype(str), return_counts=True)
    frequent = distinct[counts >= rare]
    if not len(frequent):
        frequent = distinct[np.argsort(-counts, kind="stable")[:1]]
    return [str(value) for value in frequent]


def one_hot(known: list[list[str]], numbers: list[int]) -> ColumnTransformer:
    """For linear models and perceptrons: categories one-hot, numbers imputed and scaled."""
    parts = [
        (f"category_{n}", OneHotEncoder(categories=[v], handle_unknown="ignore"), [n]) for n, v in enumerate(known)
    ]
    scale = Pipeline([("impute", imputer()), ("scale", StandardScaler())])
    return ColumnTransformer([*parts, ("numbers", scale, numbers)], sparse_threshold=0)


def ordinal(known: list[list[str]], numbers: list[int], *, impute: bool) -> ColumnTransformer:
    """For trees: categories as codes, numbers unscaled. Only boosting's export can handle missing numbers."""
    unknown: dict[str, Any] = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    parts = [(f"category_{n}", OrdinalEncoder(categories=[v], **unknown), [n]) for n, v in enumerate(known)]
    return ColumnTransformer([*parts, ("numbers", imputer() if impute else "passthrough", numbers)])


def imputer() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)
