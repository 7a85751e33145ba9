"""The permutation importance of features: how much the loss rises when a feature is shuffled among the rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.evaluation.metrics import metrics
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session

ROWS = 5000  # a sample of the rows, in which the features are shuffled


def permutation_importance(config: Config, rows: Examples, session: Session) -> dict[str, float]:
    """Return for each feature by how much the loss of a sample of the rows rises when the feature is shuffled (Breiman,
    Random forests, 2001).
    """
    rng = np.random.default_rng(config.train.seed)
    sampled = rows.take(rng.permutation(len(rows.target))[:ROWS])
    order = rng.permutation(len(sampled.target))

    def loss(strings: NDArray[Any], numbers: NDArray[Any]) -> float:
        predictions = session(sampled.data._replace(strings=strings, numbers=numbers))
        return metrics(sampled.target, predictions, config.scoring, [config.loss])[config.loss]

    strings, numbers = sampled.data
    unshuffled = loss(strings, numbers)

    importance = {}
    for position, name in enumerate(config.contract.strings):
        importance[name] = loss(shuffled(strings, position, order), numbers) - unshuffled
    for position, name in enumerate(config.contract.numbers):
        importance[name] = loss(strings, shuffled(numbers, position, order)) - unshuffled
    return importance


def shuffled(matrix: NDArray[Any], position: int, order: NDArray[np.int64]) -> NDArray[Any]:
    """Return a copy of the matrix [rows, columns] in which one column has the given order of rows."""
    copy = matrix.copy()
    copy[:, position] = matrix[order, position]
    return copy
