"""Rows that candidates learn from, and small settings of each kind of candidate."""

import numpy as np

from pipeline.config.candidates import Blend, Boosting, Forest, Linear, Perceptron, Tree
from pipeline.config.config import Train
from pipeline.runtime.arrays import Tensors

TRAIN = Train(rare=1)
KINDS = [
    Linear(),
    Tree(min_samples_leaf=5),
    Forest(min_samples_leaf=5, n_estimators=10),
    Boosting(min_samples_leaf=5),
    Perceptron(batch_size=32, max_iter=60),
    Blend(boosting=Boosting(min_samples_leaf=5)),
]


def examples(rows: int = 400, seed: int = 0) -> tuple[Tensors, np.ndarray]:
    """Red is likelier than blue, large likelier than small; the second number says nothing and is often missing."""
    rng = np.random.default_rng(seed)
    colour = rng.choice(["red", "blue"], rows).astype(object)
    size = rng.random(rows).astype(np.float32)
    noise = np.where(rng.random(rows) < 0.3, np.nan, rng.random(rows)).astype(np.float32)
    target = rng.random(rows) < 0.1 + 0.4 * (colour == "red") + 0.4 * size
    return Tensors(colour[:, None], np.column_stack([size, noise])), target


def numbers(rows: int = 400) -> tuple[Tensors, np.ndarray]:
    """The same columns; the outcome is minutes: eighty, forty more where red, forty times the size, and some noise."""
    data, _ = examples(rows)
    rng = np.random.default_rng(1)
    return data, 80 + 40 * (data.strings[:, 0] == "red") + 40 * data.numbers[:, 0] + rng.normal(size=rows)
