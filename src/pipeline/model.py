"""The candidates: kinds of scikit-learn pipeline, each built so that its ONNX export is exact.

What breaks the export, silently or loudly, is kept out here: boosting gets ordinal codes as numbers and never native
categories, no scaler stands before trees, rare values are left out of the encoder's list instead of being grouped by
it.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from pipeline.config import Boosting, Linear, Train
from pipeline.schema import Tensors


def fit(
    settings: Linear | Boosting, data: Tensors, target: NDArray[Any], train: Train, *, threads: int = 1
) -> Pipeline:
    """One candidate on these rows. With a given seed the model is the same whatever the number of threads.

    BLAS gets one thread always: its sums, and so the coefficients, depend on how many it has. OpenMP's do not.
    """
    known = [frequent(data.strings[:, n], train.rare) for n in range(data.strings.shape[1])]
    pipeline = (
        linear(settings, known, data) if isinstance(settings, Linear) else boosting(settings, known, data, train.seed)
    )
    with threadpool_limits(1, user_api="blas"), threadpool_limits(threads, user_api="openmp"):
        return pipeline.fit(as_frame(data), target)


def probabilities(fitted: Pipeline, data: Tensors) -> NDArray[np.float64]:
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


def linear(settings: Linear, known: list[list[str]], data: Tensors) -> Pipeline:
    encode = [
        (f"category_{n}", OneHotEncoder(categories=[v], handle_unknown="ignore"), [n]) for n, v in enumerate(known)
    ]
    scale = Pipeline(
        [("impute", SimpleImputer(strategy="median", keep_empty_features=True)), ("scale", StandardScaler())]
    )
    prepare = ColumnTransformer([*encode, ("numbers", scale, numbers(data))], sparse_threshold=0)
    return Pipeline([("prepare", prepare), ("model", LogisticRegression(C=settings.C, max_iter=settings.max_iter))])


def boosting(settings: Boosting, known: list[list[str]], data: Tensors, seed: int) -> Pipeline:
    unknown: dict[str, Any] = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    encode = [(f"category_{n}", OrdinalEncoder(categories=[v], **unknown), [n]) for n, v in enumerate(known)]
    prepare = ColumnTransformer([*encode, ("numbers", "passthrough", numbers(data))])
    model = HistGradientBoostingClassifier(early_stopping=False, random_state=seed, **settings.model_dump())
    return Pipeline([("prepare", prepare), ("model", model)])


def numbers(data: Tensors) -> list[int]:
    first = data.strings.shape[1]
    return list(range(first, first + data.numbers.shape[1]))
