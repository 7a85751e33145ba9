"""The gates that a model has to pass before it is allowed to be promoted.

Every gate has its limit in the config. All gates are evaluated, and none can be switched off. This module does not know
how a model is promoted.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.config.gates import Bounds
from pipeline.evaluation.bootstrap import Bootstrap, Interval, paired
from pipeline.evaluation.metrics import constant_prediction, spread
from pipeline.evaluation.slices import Slice
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.leaks import single_feature_scores
from pipeline.training.missing import MissingResult

Array = NDArray[Any]
REPEATS = 200  # predictions of one row, to measure the median time


class GateResult(NamedTuple):
    """The result of one gate: the measured value, the limit, whether the model passes, and the reason for the gate.

    With a `warning` the model passes, but a person should look at it.
    """

    gate: str
    value: str
    limit: str
    passed: bool
    why: str
    warning: bool = False


class Evidence(NamedTuple):
    """Everything that the gates evaluate.

    `predictions` and `blocks` have shape [holdout rows]. `figures` are the metrics on the holdout, `slices` the metrics
    on its slices, `missing` those without optional columns, and `champion` has the champion's predictions for it.
    `export_error` is the largest difference between the export and scikit-learn: in probability, or in standard
    deviations of the outcome. `session` is the exported model, `size` the bytes of the bundle, and `restart` the reason
    of a declared restart.
    """

    train: Examples
    holdout: Examples
    predictions: Array
    blocks: Array
    figures: Mapping[str, Interval]
    slices: list[Slice]
    missing: list[MissingResult]
    champion: ChampionPredictions | None
    export_error: float
    session: Session
    size: int
    restart: str | None = None


def evaluate_gates(config: Config, evidence: Evidence) -> list[GateResult]:
    """Evaluate every gate, from how good the model is to what it costs."""
    return [
        *holdout_limits(config, evidence),
        beats_baseline(config, evidence),
        *against_champion(config, evidence),
        *slice_limits(config, evidence),
        *missing_columns(config, evidence),
        *leaks(config, evidence),
        export_is_exact(config, evidence),
        *cost_of_serving(config, evidence),
    ]


def holdout_limits(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Compare each metric on the holdout with its limits in the config."""
    why = "worse than the limits is useless; better is too good to be true, most often a leak"
    for metric, bounds in config.gates.holdout.items():
        figure = evidence.figures[metric]
        gate = f"{metric} on the holdout"
        value = f"{figure.value:.4g}"

        if config.gates.use_interval:
            value = f"{value} ({figure.low:.4g} to {figure.high:.4g})"
            passed = margin(figure, bounds) >= 0
            yield GateResult(gate, value, f"interval overlaps {format_bounds(bounds)}", passed, why)
        else:
            passed = bounds.low <= figure.value <= bounds.high
            yield GateResult(gate, value, format_bounds(bounds), passed, why)


def beats_baseline(config: Config, evidence: Evidence) -> GateResult:
    """Check that the loss is lower than the loss of a constant prediction, by a margin."""
    constant = constant_prediction(evidence.train.target, config.task)
    baseline = np.full(len(evidence.predictions), constant)
    outcome = evidence.holdout.target
    differences = paired(outcome, baseline, evidence.predictions, evidence.blocks, bootstrap(config), 0.9)
    gain = differences[config.loss]  # baseline minus model

    gate = f"{config.loss} below the baseline's"
    min_gain = config.gates.min_gain
    why = f"always predicting {constant:.4g} needs no model"
    if config.gates.use_interval:
        value = f"by {gain.value:.4f} ({gain.low:.4f} to {gain.high:.4f})"
        return GateResult(gate, value, f"upper end of the interval ≥ {min_gain:g}", gain.high >= min_gain, why)
    return GateResult(gate, f"by {gain.value:.4f}", f"by ≥ {min_gain:g}", gain.value >= min_gain, why)


def against_champion(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Compare the loss with the champion's on the same rows, in both directions.

    The model passes without a champion and with a declared restart. It fails if there are no predictions of the
    champion. Otherwise both gates use the interval of the difference, from a paired bootstrap over blocks.
    """
    gate = f"{config.loss} against the champion"
    champion = evidence.champion

    if champion is None:
        yield GateResult(gate, "the first model", "nothing to beat", True, "there is no champion yet")
        return
    if evidence.restart:
        why = f"{evidence.restart}; only the baseline is compared"
        yield GateResult(gate, f"{champion.digest} is not compared", "a declared restart", True, why)
        return

    rule = config.gates.champion
    limit = f"≤ +{rule.max_increase:g}, interval not above 0"
    if not len(champion.rows):
        yield GateResult(gate, "not measured", limit, False, champion.source)
        return

    rows = champion.rows
    differences = paired(
        evidence.holdout.target[rows],
        evidence.predictions[rows],
        champion.predictions,
        evidence.blocks[rows],
        bootstrap(config),
        rule.interval,
    )
    loss = differences.pop(config.loss)
    passed = loss.value <= rule.max_increase and not loss.low > 0

    others = "".join(f"; {name} {format_difference(figure)}" for name, figure in differences.items())
    why = f"{champion.digest} was {champion.source}, on {len(rows):,} rows{others}"
    yield GateResult(gate, format_difference(loss), limit, passed, why)
    yield gain_is_plausible(config, evidence, champion, loss)


def gain_is_plausible(config: Config, evidence: Evidence, champion: ChampionPredictions, loss: Interval) -> GateResult:
    """Check that the model is not better than the champion by so much that a leak is the likely reason.

    `loss` is the difference of the losses, model minus champion. A gain warns if its whole interval is above the first
    limit. It fails if its whole interval is above the second, and the model is also better than the champion was on its
    own holdout: a champion that has decayed is beaten by far without any leak.
    """
    rule = config.gates.champion
    unit = spread(evidence.train.target, config.task)
    sure_gain = -loss.high / unit

    gate = f"{config.loss} below the champion's"
    value = f"{-loss.value:+.4f} ({-loss.high:+.4f} to {-loss.low:+.4f})"
    limit = f"interval not above {rule.max_gain * unit:g}, unless the champion has decayed"
    why = "so large a gain is often a leak: check that new columns are known at prediction time"
    passed = sure_gain <= rule.max_gain or not exceeds_own_holdout(config, evidence, champion)
    return GateResult(gate, value, limit, passed, why, warning=sure_gain > rule.warn_gain)


def exceeds_own_holdout(config: Config, evidence: Evidence, champion: ChampionPredictions) -> bool:
    """Whether the model's skill (regression: R²) is above the interval of the champion's on the champion's holdout."""
    metric = "r2" if config.task == "regression" else "skill"
    high = champion.metrics.get(metric, {}).get("high")
    return high is not None and evidence.figures[metric].value > high


def bootstrap(config: Config) -> Bootstrap:
    """The settings of the bootstrap on the holdout."""
    return Bootstrap(config.scoring, config.train.resamples, config.train.seed)


def slice_limits(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Check the slices of each column with the lowest and the highest value of each metric.

    A slice fails if its whole interval lies outside the bounds. Slices with too few rows are not in the evidence.
    """
    rule = config.gates.slices
    for column in rule.columns:
        parts = [part for part in evidence.slices if part.column == column]
        if not parts:
            continue

        for metric, bounds in rule.metrics.items():
            lowest = min(parts, key=lambda part: part.figures[metric].high)
            highest = max(parts, key=lambda part: part.figures[metric].low)
            passed = lowest.figures[metric].high >= bounds.low and highest.figures[metric].low <= bounds.high

            gate = f"{metric} by {column}"
            value = f"lowest {format_slice(lowest, metric)}, highest {format_slice(highest, metric)}"
            why = f"lowest and highest of {len(parts)}: a good average can hide a group for which the model fails"
            yield GateResult(gate, value, f"both intervals overlap {format_bounds(bounds)}", passed, why)


def format_slice(part: Slice, metric: str) -> str:
    """Write the value of a slice's column, and the slice's metric with its interval."""
    figure = part.figures[metric]
    return f"{part.value} {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g})"


def margin(figure: Interval, bounds: Bounds) -> float:
    """Return how far the interval reaches into the bounds. A negative number if the whole interval lies outside."""
    return min(figure.high - bounds.low, bounds.high - figure.low)


def missing_columns(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Check the loss if a group of optional columns is left out.

    On the folds, the model may be a little worse than one trained without these columns. On the holdout, it fails if it
    is worse than a constant prediction by more than that, with its whole interval.
    """
    limit = config.gates.max_missing_increase * spread(evidence.train.target, config.task)

    for result in evidence.missing:
        increase = result.fold_loss - result.fold_loss_without
        gate = f"{config.loss} on the folds without {result.group}"
        value = f"{result.fold_loss:.4f}, {increase:+.4f} against a model trained without"
        why = "callers may leave these columns out. If this fails: raise masking.all, or make them nullable: false"
        yield GateResult(gate, value, f"≤ +{limit:g}", increase <= limit, why)

        gain = result.gain
        gate = f"{config.loss} on the holdout without {result.group}"
        value = f"below the baseline's by {gain.value:.4f} ({gain.low:.4f} to {gain.high:.4f})"
        why = "without these columns the predictions must not be clearly worse than a constant"
        yield GateResult(gate, value, f"interval not below -{limit:g}", gain.high >= -limit, why)


def leaks(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Check for target leaks: features known only after the prediction, and a feature that is a copy of the outcome."""
    after = [name for name in config.features if config.columns[name].known == "after"]
    why = "what is known only after the prediction cannot be one of its inputs"
    yield GateResult("features known only after the prediction", ", ".join(after) or "none", "none", not after, why)

    scores = single_feature_scores(config.contract, evidence.train.data, evidence.train.target, config.train.seed)
    name = max(scores, key=lambda feature: scores[feature])
    limit = config.gates.max_single_feature
    measure = "rank correlation" if config.task == "regression" else "roc_auc"
    why = "a feature above the limit predicts the outcome suspiciously well: is it known at prediction time?"
    passed = scores[name] <= limit
    yield GateResult(f"{measure} of a single feature", f"{name} {scores[name]:.3f}", f"≤ {limit:g}", passed, why)


def export_is_exact(config: Config, evidence: Evidence) -> GateResult:
    """Check that the export makes the same predictions as the scikit-learn model."""
    limit = config.gates.max_export_error
    error = evidence.export_error
    why = "the server runs the ONNX export, and the folds evaluated the scikit-learn model"
    return GateResult("export error against scikit-learn", f"{error:.1e}", f"≤ {limit:g}", error <= limit, why)


def cost_of_serving(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Check the median time of one row in the model [µs] and the size of the bundle [MB]."""
    row = evidence.holdout.data.take(np.array([0]))
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        evidence.session(row)
        seconds.append(time.perf_counter() - started)

    microseconds = float(np.median(seconds)) * 1e6
    limit = config.gates.max_microseconds
    passed = microseconds <= limit
    why = "callers wait for it"
    yield GateResult("median time of one row", f"{microseconds:.0f} µs", f"≤ {limit:g} µs", passed, why)

    megabytes = evidence.size / 1e6
    limit = config.gates.max_megabytes
    passed = megabytes <= limit
    why = "it is copied into every image"
    yield GateResult("size of the bundle", f"{megabytes:.1f} MB", f"≤ {limit:g} MB", passed, why)


def verdict_of(result: GateResult) -> str:
    """Name the result of a gate in one word, for tables and records."""
    if not result.passed:
        return "REFUSED"
    return "WARN" if result.warning else "pass"


def refusal_message(refused: list[GateResult], folder: Path) -> str:
    """Explain why a model stays a challenger: the gates that refuse, with their values, limits and reasons."""
    reasons = "; ".join(f"{result.gate}: {result.value}, allowed {result.limit} ({result.why})" for result in refused)
    return f"this model is not promoted. {reasons}. It stays in {folder} as the challenger; the champion is unchanged"


def format_bounds(bounds: Bounds) -> str:
    return f"{bounds.low:g} to {bounds.high:g}"


def format_difference(figure: Interval) -> str:
    return f"{figure.value:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"
