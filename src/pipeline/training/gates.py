"""The gates that a model has to pass before it is allowed to be promoted.

Every gate has its limit in the config. All gates are evaluated, and none can be switched off. This module does not know
how a model is promoted.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.config.config import Config
from pipeline.config.gates import Bounds
from pipeline.evaluation.bootstrap import Interval, paired
from pipeline.evaluation.metrics import constant_prediction, loss_unit
from pipeline.evaluation.slices import Slice
from pipeline.training.champion_gates import against_champion
from pipeline.training.evidence import Evidence, GateResult, bootstrap, format_bounds
from pipeline.training.leak_gates import leak_gates

REPEATS = 200  # predictions of one row, to measure the median time


def evaluate_gates(config: Config, evidence: Evidence) -> list[GateResult]:
    """Evaluate every gate, from how good the model is to what it costs."""
    return [
        *holdout_limits(config, evidence),
        beats_baseline(config, evidence),
        *against_champion(config, evidence),
        *slice_limits(config, evidence),
        *missing_columns(config, evidence),
        *(result._replace(leak_check=True) for result in leak_gates(config, evidence)),
        *export_is_exact(config, evidence),
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
    baseline = constant_prediction(evidence.train.target, config.task, len(evidence.predictions))
    outcome = evidence.holdout.target
    plan = bootstrap(config)
    differences = paired(outcome, baseline, evidence.predictions, evidence.blocks, plan, 0.9, [config.loss])
    gain = differences[config.loss]  # baseline minus model

    gate = f"{config.loss} below the baseline's"
    min_gain = config.gates.min_gain
    constant = ", ".join(f"{number:.4g}" for number in np.atleast_1d(baseline[0]))
    why = f"always predicting {constant} needs no model"
    if config.gates.use_interval:
        value = f"by {gain.value:.4f} ({gain.low:.4f} to {gain.high:.4f})"
        return GateResult(gate, value, f"upper end of the interval ≥ {min_gain:g}", gain.high >= min_gain, why)
    return GateResult(gate, f"by {gain.value:.4f}", f"by ≥ {min_gain:g}", gain.value >= min_gain, why)


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
            lowest, highest = extremes(parts, metric, bounds)
            passed = not is_below(lowest, metric, bounds) and not is_above(highest, metric, bounds)

            gate = f"{metric} by {column}"
            value = f"lowest {format_slice(lowest, metric)}, highest {format_slice(highest, metric)}"
            why = f"lowest and highest of {len(parts)}: a good average can hide a group for which the model fails"
            yield GateResult(gate, value, f"both intervals overlap {format_bounds(bounds)}", passed, why)


def extremes(parts: list[Slice], metric: str, bounds: Bounds) -> tuple[Slice, Slice]:
    """Return the slices with the lowest and the highest value. A slice that fails on its side comes before others."""
    lowest = min(parts, key=lambda part: (not is_below(part, metric, bounds), part.figures[metric].value))
    highest = max(parts, key=lambda part: (is_above(part, metric, bounds), part.figures[metric].value))
    return lowest, highest


def is_below(part: Slice, metric: str, bounds: Bounds) -> bool:
    """Whether the slice's whole interval is below the bounds."""
    return part.figures[metric].high < bounds.low


def is_above(part: Slice, metric: str, bounds: Bounds) -> bool:
    """Whether the slice's whole interval is above the bounds."""
    return part.figures[metric].low > bounds.high


def format_slice(part: Slice, metric: str) -> str:
    """Write the value of a slice's column, and the slice's metric with its interval."""
    figure = part.figures[metric]
    return f"{part.value} {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g})"


def margin(figure: Interval, bounds: Bounds) -> float:
    """Return how far the interval reaches into the bounds. A negative number if the whole interval lies outside."""
    return min(figure.high - bounds.low, bounds.high - figure.low)


def missing_columns(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Check the loss if a group of optional columns is left out.

    On the folds, the model may be a little worse than one trained without these columns. One standard error of the
    folds is taken off the difference: on a few rows it is mostly chance. On the holdout, the model fails if it is worse
    than a constant prediction by more than that, with its whole interval.
    """
    limit = config.gates.max_missing_increase * loss_unit(evidence.train.target, config.task)

    for result in evidence.missing:
        if result.folds:
            loss, without, error = result.folds
            increase = loss - without
            gate = f"{config.loss} on the folds without {result.group}"
            value = f"{loss:.4f}, {increase:+.4f} (± {error:.4f}) against a model trained without"
            why = "callers may leave these columns out. If this fails: raise masking.all, or make them nullable: false"
            yield GateResult(gate, value, f"≤ +{limit:.3g} beyond one standard error", increase - error <= limit, why)

        gain = result.gain
        gate = f"{config.loss} on the holdout without {result.group}"
        value = f"below the baseline's by {gain.value:.4f} ({gain.low:.4f} to {gain.high:.4f})"
        why = "without these columns the predictions must not be clearly worse than a constant"
        yield GateResult(gate, value, f"interval not below -{limit:.3g}", gain.high >= -limit, why)


def export_is_exact(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Check that the export makes the same predictions as the scikit-learn model."""
    limit = config.gates.max_export_error
    error = evidence.export_error
    if error is None:
        return
    why = "the server runs the ONNX export, and the folds evaluated the scikit-learn model"
    yield GateResult("export error against scikit-learn", f"{error:.1e}", f"≤ {limit:g}", error <= limit, why)


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


def refusal_message(refused: list[GateResult], folder: Path) -> str:
    """Explain why a model stays a challenger: the gates that refuse, with their values, limits and reasons."""
    reasons = "; ".join(f"{result.gate}: {result.value}, allowed {result.limit} ({result.why})" for result in refused)
    return f"this model is not promoted. {reasons}. It stays in {folder} as the challenger; the champion is unchanged"
