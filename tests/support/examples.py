"""Rows that candidates learn from, and small settings of each kind of candidate."""

from pathlib import Path

import numpy as np

from pipeline.candidates.blend import Blend
from pipeline.candidates.boosting import Boosting
from pipeline.candidates.forest import Forest
from pipeline.candidates.kind import Range, Trials
from pipeline.candidates.linear import Linear
from pipeline.candidates.perceptron import Perceptron
from pipeline.candidates.tree import Tree
from pipeline.config.candidates import Candidates, Search
from pipeline.config.config import Config, load
from pipeline.config.training import Train
from pipeline.data.split import Fold
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


ROWS = np.arange(400)
FOLDS = [Fold("first", ROWS[:200], ROWS[200:300]), Fold("second", ROWS[:300], ROWS[300:])]


def two_kinds(tiny: Path) -> Config:
    """Linear and boosting on the columns of `examples`; boosting is tried six times, on half of the rows."""
    both = Candidates(linear=Linear(), boosting=Boosting(min_samples_leaf=5, max_iter=20))
    space = {"learning_rate": Range(low=0.01, high=0.5, log=True), "max_leaf_nodes": Range(low=3, high=31)}
    plan = Search(sample=0.5, batch=2, kinds={"boosting": Trials(trials=6, space=space)})
    return load(tiny, ["features=[colour, size, legs]"]).model_copy(
        update={"candidates": both, "search": plan, "train": Train(rare=1, workers=1)}
    )


def quiet(text: str) -> None:
    """Nobody listens."""
