"""May this model go out? Every gate has its limit in the config, all are asked, and none can be switched off."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pipeline.config.config import Config
from pipeline.config.gates import Bounds
from pipeline.evaluation.bootstrap import Bootstrap, Interval, paired
from pipeline.evaluation.metrics import constant_prediction, roc_auc
from pipeline.evaluation.slices import Slice
from pipeline.runtime.arrays import Examples, Tensors
from pipeline.runtime.predictor import Session
from pipeline.training.champion_predictions import ChampionPredictions

Array = NDArray[Any]
REPEATS = 200  # of one row in the model


class GateResult(NamedTuple):
    """What one gate found, what it allows, whether that lets the model out, and why anyone asks."""

    gate: str
    value: str
    limit: str
    passed: bool
    why: str


class Evidence(NamedTuple):
    """All that the gates look at: rows trained on, rows of the holdout with the model's answers and their blocks, the
    figures on all of them and on each slice, what the champion says of them, how far the export is off, what goes into
    the bundle, and the reason of a declared restart.
    """

    train: Examples
    holdout: Examples
    predictions: Array
    blocks: Array
    figures: Mapping[str, Interval]
    slices: list[Slice]
    champion: ChampionPredictions | None
    export_error: float
    session: Session
    size: int
    restart: str | None = None


def evaluate_gates(config: Config, evidence: Evidence) -> list[GateResult]:
    """Every gate's verdict, in the order in which a person would ask."""
    return [
        *holdout_limits(config, evidence),
        beats_baseline(config, evidence),
        beats_champion(config, evidence),
        *slice_limits(config, evidence),
        *leaks(config, evidence),
        export_is_exact(config, evidence),
        *cost_of_serving(config, evidence),
    ]


def holdout_limits(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """The limits of the config for each metric on the holdout."""
    for metric, bounds in config.gates.holdout.items():
        figure = evidence.figures[metric]
        why = "below the limits it is useless; beyond them it is too good to be true, which is a leak"
        gate = f"{metric} on the holdout"
        value = f"{figure.value:.4g}"
        if config.gates.use_interval:
            value = f"{value} ({figure.low:.4g} to {figure.high:.4g})"
            passed = margin(figure, bounds) >= 0
            yield GateResult(gate, value, f"reaches {format_bounds(bounds)}", passed, why)
        else:
            passed = bounds.low <= figure.value <= bounds.high
            yield GateResult(gate, value, format_bounds(bounds), passed, why)


def beats_baseline(config: Config, evidence: Evidence) -> GateResult:
    """The loss is lower than that of a constant prediction, by a margin."""
    constant = constant_prediction(evidence.train.target, config.task)
    baseline = np.full(len(evidence.predictions), constant)
    differences = paired(
        evidence.holdout.target, baseline, evidence.predictions, evidence.blocks, bootstrap(config), 0.9
    )
    gain = differences[config.loss]

    gate = f"{config.loss} below the baseline's"
    margin = config.gates.baseline
    why = f"always predicting {constant:.4g} needs no model"
    if config.gates.use_interval:
        value = f"by {gain.value:.4f} ({gain.low:.4f} to {gain.high:.4f})"
        return GateResult(gate, value, f"reaches {margin:g}", gain.high >= margin, why)
    return GateResult(gate, f"by {gain.value:.4f}", f"by ≥ {margin:g}", gain.value >= margin, why)


def beats_champion(config: Config, evidence: Evidence) -> GateResult:
    """The loss on the same rows is not higher than the champion's by more than the rule allows, and a paired bootstrap
    over blocks does not show a higher loss either.
    """
    gate = f"{config.loss} against the champion"
    champion = evidence.champion
    rule = config.gates.champion
    if champion is None:
        return GateResult(gate, "the first model", "nothing to beat", True, "there is no champion yet")
    if evidence.restart:
        why = f"{evidence.restart}; the baseline judges"
        return GateResult(gate, f"{champion.digest} is left behind", "a declared restart", True, why)
    if not len(champion.rows):
        return GateResult(gate, "it cannot be asked", "its answers", False, champion.source)

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
    passed = loss.value <= rule.worse and not loss.low > 0

    others = "".join(f"; {name} {format_difference(figure)}" for name, figure in differences.items())
    why = f"{champion.digest} was {champion.source}, on {len(rows):,} rows{others}"
    return GateResult(gate, format_difference(loss), f"≤ +{rule.worse:g}, not surely worse", passed, why)


def bootstrap(config: Config) -> Bootstrap:
    return Bootstrap(config.scoring, config.train.resamples, config.train.seed)


def slice_limits(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """The worst of the large slices of each column. A slice fails if its whole interval lies outside the bounds."""
    rule = config.gates.slices
    for column in rule.columns:
        parts = [part for part in evidence.slices if part.column == column]
        if not parts:
            continue

        for metric, bounds in rule.figures.items():
            worst = min(parts, key=lambda part: margin(part.figures[metric], bounds))
            figure = worst.figures[metric]
            value = f"{worst.value} {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g})"
            why = f"the worst of {len(parts)}: a good average can hide a group for which the model fails"
            gate = f"{metric} by {column}"
            yield GateResult(gate, value, f"reaches {format_bounds(bounds)}", margin(figure, bounds) >= 0, why)


def margin(figure: Interval, bounds: Bounds) -> float:
    """How far the interval reaches into the bounds. Negative if all of it lies outside."""
    return min(figure.high - bounds.low, bounds.high - figure.low)


def leaks(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    after = [name for name in config.features if config.columns[name].known == "after"]
    why = "what is known only after the prediction cannot be one of its inputs"
    yield GateResult("features known only after", ", ".join(after) or "none", "none", not after, why)
    name, best = max(
        single_feature_scores(config, evidence.train.data, evidence.train.target), key=lambda scored: scored[1]
    )
    measure = "rank correlation" if config.task == "regression" else "roc_auc"
    limit, why = (
        config.gates.max_single_feature,
        "this column predicts the outcome almost perfectly by itself: is it known at prediction time?",
    )
    yield GateResult(f"{measure} of a single feature", f"{name} {best:.3f}", f"≤ {limit:g}", best <= limit, why)


def single_feature_scores(config: Config, data: Tensors, target: Array) -> Iterator[tuple[str, float]]:
    """How well each feature orders the outcomes by itself: by the mean outcome per category, by its size, or by being
    missing.
    """
    contract, order = config.contract, ordering_score(target)
    for name, strings in zip(contract.strings, data.strings.T, strict=True):
        _, codes = np.unique(strings.astype(str), return_inverse=True)
        yield name, order((np.bincount(codes, target) / np.bincount(codes))[codes])
    for name, numbers in zip(contract.numbers, data.numbers.T, strict=True):
        missing = np.isnan(numbers)
        yield name, max(order(np.where(missing, np.nanmedian(numbers), numbers)), order(missing.astype(np.float64)))


def ordering_score(target: Array) -> Any:
    """A function that says how well a score orders the outcomes, either way round: ROC AUC for yes and no, and
    Spearman's rank correlation for numbers.
    """
    if target.dtype == np.bool_:

        def either_way(score: Array) -> float:
            area = roc_auc(target, score)
            return max(area, 1 - area)

        return either_way
    ranks = rankdata(target)

    def correlation(score: Array) -> float:
        return float(abs(np.corrcoef(rankdata(score), ranks)[0, 1])) if score.std() else 0.0

    return correlation


def export_is_exact(config: Config, evidence: Evidence) -> GateResult:
    """The export makes the same predictions as the scikit-learn model."""
    limit = config.gates.exact
    error = evidence.export_error
    why = "the server runs the ONNX export, and the folds evaluated the scikit-learn model"
    return GateResult("export off scikit-learn", f"by {error:.1e}", f"by ≤ {limit:g}", error <= limit, why)


def cost_of_serving(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """One row's time in the model, the median of many, and the size of what is shipped."""
    row = evidence.holdout.data.take(np.array([0]))
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        evidence.session(row)
        took.append(time.perf_counter() - began)
    slow, large = config.gates.microseconds, config.gates.megabytes
    spent, megabytes = float(np.median(took)) * 1e6, evidence.size / 1e6
    why = "callers wait for it"
    yield GateResult("one row in the model", f"{spent:.0f} µs", f"≤ {slow:g} µs", spent <= slow, why)
    why = "it is copied into every image"
    yield GateResult("size of the bundle", f"{megabytes:.1f} MB", f"≤ {large:g} MB", megabytes <= large, why)


def refusal_message(refused: list[GateResult], folder: Path) -> str:
    """Why a model stays a challenger."""
    reasons = "; ".join(f"{v.gate}: {v.value}, allowed {v.limit} ({v.why})" for v in refused)
    return f"this model may not go out. {reasons}. It stays in {folder} as the challenger; the champion is as it was"


def format_bounds(bounds: Bounds) -> str:
    return f"{bounds.low:g} to {bounds.high:g}"


def format_difference(figure: Interval) -> str:
    return f"{figure.value:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"
