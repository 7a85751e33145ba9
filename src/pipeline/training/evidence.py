"""What the gates evaluate, and the form of their results."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.config.gates import Bounds
from pipeline.evaluation.bootstrap import Bootstrap, Interval
from pipeline.evaluation.slices import Slice
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.leave_one_out import FeatureGain
from pipeline.training.missing import MissingResult

Array = NDArray[Any]


class GateResult(NamedTuple):
    """The result of one gate: the measured value, the limit, whether the model passes, and the reason for the gate.

    With a `warning` the model passes, but a person should look at it. A `leak_check` looks for what knows the outcome.
    """

    gate: str
    value: str
    limit: str
    passed: bool
    why: str
    warning: bool = False
    leak_check: bool = False


class Evidence(NamedTuple):
    """Everything that the gates evaluate.

    `predictions` and `blocks` have shape [holdout rows]. `figures` are the metrics on the holdout, `slices` the metrics
    on its slices, `missing` those without optional columns, and `champion` has the champion's predictions for it.
    `gains` tell what single features are worth on the folds. `export_error` is the largest difference between the
    export and scikit-learn: in probability, or in standard deviations of the outcome; None without scikit-learn.
    `session` is the exported model,
    `size` the bytes of the bundle, and `restart` the reason of a declared restart.
    """

    train: Examples
    holdout: Examples
    predictions: Array
    blocks: Array
    figures: Mapping[str, Interval]
    slices: list[Slice]
    missing: list[MissingResult]
    gains: list[FeatureGain]
    champion: ChampionPredictions | None
    export_error: float | None
    session: Session
    size: int
    restart: str | None = None


def verdict_of(result: GateResult) -> str:
    """Name the result of a gate in one word, for tables and records."""
    if not result.passed:
        return "REFUSED"
    return "WARN" if result.warning else "pass"


def bootstrap(config: Config) -> Bootstrap:
    """The settings of the bootstrap on the holdout."""
    return Bootstrap(config.scoring, config.train.resamples, config.train.seed)


def format_bounds(bounds: Bounds) -> str:
    return f"{bounds.low:g} to {bounds.high:g}"


def format_difference(figure: Interval) -> str:
    return f"{figure.value:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"
