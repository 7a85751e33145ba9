"""What the phases of a training hand on: rows, the choice, the evaluation, and the outcome. Types only."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.data.masking import Copies
from pipeline.data.read import TrainingRows
from pipeline.data.split import Split
from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.slices import Slice
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.evidence import GateResult
from pipeline.training.fold_results import CandidateResult
from pipeline.training.missing import MissingResult
from pipeline.training.refit import PackagedModel


class Outcome(NamedTuple):
    """The result of a training. `news` is true if there is a new champion.

    If the holdout stays closed, there is no bundle: without the holdout nobody knows how good the model is.
    """

    standings: list[CandidateResult]
    holdout: dict[str, Interval]
    bundle: Path | None
    news: bool = False


class Prepared(NamedTuple):
    """The valid rows, their masked copies, their split, the rows to train on, the holdout, and what was warned of.

    Only `evaluate` uses the holdout.
    """

    rows: TrainingRows
    copies: Copies
    parts: Split
    train: Examples
    holdout: Examples
    warnings: list[str]


class Selection(NamedTuple):
    """The chosen candidate, every trial, and the results on all rows: the best candidate of each kind.

    `worse` are the best trials of the kinds that are not among the results: on the sample they were worse beyond three
    standard errors.
    """

    best: CandidateResult
    trials: list[CandidateResult]
    results: list[CandidateResult]
    worse: list[CandidateResult]


class HoldoutEvaluation(NamedTuple):
    """The model that was evaluated, its predictions [rows] and the blocks [rows] of the holdout, the metrics of all
    rows, of each slice, and without each group of optional columns, the permutation importance of the features, and
    what was warned of.
    """

    session: Session
    predictions: NDArray[np.float64]
    blocks: NDArray[np.int64]
    figures: dict[str, Interval]
    slices: list[Slice]
    missing: list[MissingResult]
    importance: dict[str, float]
    warnings: list[str]


class Evaluation(NamedTuple):
    """The files of the new bundle, its model, the evaluation on the holdout, the champion there, and the gate results.

    The evaluated model is another one than the bundle's where that was fitted once more on all rows.
    """

    files: dict[str, bytes]
    packaged: PackagedModel
    holdout: HoldoutEvaluation
    champion: ChampionPredictions | None
    restart: str | None
    gate_results: list[GateResult]
