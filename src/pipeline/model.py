"""The candidates: kinds of scikit-learn pipeline, each built so that its ONNX export is exact.

What breaks the export, silently or loudly, is kept out here: boosting gets ordinal codes as numbers and never native
categories, no scaler stands before trees, rare values are left out of the encoder's list instead of being grouped by
it.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from pipeline.candidates import Blend, Boosting, Forest, Linear, Perceptron, Settings, Tree
from pipeline.config import Train
from pipeline.schema import Tensors


def fit(settings: Settings, data: Tensors, target: NDArray[Any], train: Train, *, threads: int = 1) -> BaseEstimator:
    """One candidate on these rows. With a given seed the model is the same whatever the number of threads.

    BLAS gets one thread always: its sums, and so the coefficients, depend on how many it has. OpenMP's do not.
    """
    built = build(settings, data, train)
    with (
        threadpool_limits(1, user_api="blas"),
        threadpool_limits(threads, user_api="openmp"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)  # the folds say how good it is, converged or not
        return built.fit(as_frame(data), target)


def build(settings: Settings, data: Tensors, train: Train) -> BaseEstimator:
    """The unfitted pipeline of a kind. The rows tell which categories are frequent enough to be known."""
    if isinstance(settings, Blend):
        parts = [(name, build(getattr(settings, name), data, train)) for name in ("linear", "boosting")]
        weights = np.array([settings.weight, 1 - settings.weight])  # the converter wants an array
        return VotingClassifier(parts, voting="soft", weights=weights, flatten_transform=False)
    known = [frequent(data.strings[:, n], train.rare) for n in range(data.strings.shape[1])]
    numbers = list(range(len(known), len(known) + data.numbers.shape[1]))
    if isinstance(settings, Tree | Forest | Boosting):
        prepare = ordinal(known, numbers, impute=not isinstance(settings, Boosting))
    else:
        prepare = one_hot(known, numbers)
    return Pipeline([("prepare", prepare), ("model", estimator(settings, train.seed))])


def estimator(settings: Settings, seed: int) -> BaseEstimator:
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
    raise TypeError(f"no estimator is known for {type(settings).__name__}")


def probabilities(fitted: Any, data: Tensors) -> NDArray[np.float64]:
    """Probability of the positive class per row."""
    return np.asarray(fitted.predict_proba(as_frame(data))[:, 1], dtype=np.float64)


def as_frame(data: Tensors) -> pd.DataFrame:
    """Both tensors side by side under the positions 0, 1, 2 …: strings first."""
    return pd.concat([pd.DataFrame(data.strings), pd.DataFrame(data.numbers)], axis=1, ignore_index=True)


def frequent(values: NDArray[Any], rare: int) -> list[str]:
    """Sorted values with at least `rare` rows; where none has, the most frequent one. Missing is never among them."""
    found, counts = np.unique(values[values != ""].astype(str), return_counts=True)
    kept = found[counts >= rare]
    return [str(value) for value in (kept if len(kept) else found[np.argsort(-counts, kind="stable")[:1]])]


def one_hot(known: list[list[str]], numbers: list[int]) -> ColumnTransformer:
    """For models that add up: categories one-hot, numbers imputed and scaled."""
    parts = [
        (f"category_{n}", OneHotEncoder(categories=[v], handle_unknown="ignore"), [n]) for n, v in enumerate(known)
    ]
    scale = Pipeline([("impute", imputer()), ("scale", StandardScaler())])
    return ColumnTransformer([*parts, ("numbers", scale, numbers)], sparse_threshold=0)


def ordinal(known: list[list[str]], numbers: list[int], *, impute: bool) -> ColumnTransformer:
    """For trees: categories as codes, numbers as they are. Only boosting's export can answer missing ones."""
    unknown: dict[str, Any] = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    parts = [(f"category_{n}", OrdinalEncoder(categories=[v], **unknown), [n]) for n, v in enumerate(known)]
    return ColumnTransformer([*parts, ("numbers", imputer() if impute else "passthrough", numbers)])


def imputer() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)
