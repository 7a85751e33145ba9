"""May this model go out? Every gate has its limit in the config, all are asked, and none can be switched off."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from pipeline import evaluate
from pipeline.config import Config
from pipeline.evaluate import Interval
from pipeline.predict import Session
from pipeline.schema import Examples, Tensors

Array = NDArray[Any]


class Verdict(NamedTuple):
    """What one gate found, what it allows, and whether that lets the model out."""

    gate: str
    value: str
    limit: str
    passed: bool


class Evidence(NamedTuple):
    """All that the gates look at: rows trained on, rows of the holdout with their blocks and the model's answers, the
    champion's answers where there is one, and what goes into the bundle.
    """

    seen: Examples
    kept: Examples
    blocks: Array
    said: Array
    champion: Array | None
    holdout: Mapping[str, Interval]
    session: Session
    size: int


def verdicts(config: Config, evidence: Evidence) -> list[Verdict]:
    """Every gate's verdict, in the order in which a person would ask."""
    return [
        *limits(config, evidence),
        beats_base_rate(config, evidence),
        beats_champion(config, evidence),
        *slices(config, evidence),
        *leaks(config, evidence),
        *weight(config, evidence),
    ]


def limits(config: Config, evidence: Evidence) -> Iterator[Verdict]:
    """Figures on the holdout: good enough, and not too good to be true."""
    for metric, bounds in config.gates.holdout.items():
        value = evidence.holdout[metric].value
        limit = f"{bounds.low:g} to {bounds.high:g}"
        yield Verdict(f"holdout {metric}", f"{value:.4f}", limit, bounds.low <= value <= bounds.high)


def beats_base_rate(config: Config, evidence: Evidence) -> Verdict:
    """Against an answer that is always the training rows' share of yes."""
    known = np.full(len(evidence.said), evidence.seen.target.mean())
    base = evaluate.metrics(evidence.kept.target, known, 0.5)["log_loss"]
    better = base - evidence.holdout["log_loss"].value
    margin = config.gates.base_rate
    return Verdict("log loss below the base rate's", f"by {better:.4f}", f"by ≥ {margin:g}", better >= margin)


def beats_champion(config: Config, evidence: Evidence) -> Verdict:
    """Not worse than the champion on the same rows, nor surely worse by a paired bootstrap over blocks."""
    if evidence.champion is None:
        return Verdict("log loss against the champion", "the first model", "nothing to beat", passed=True)
    rule = config.gates.champion
    low, worse, high = paired(evidence, evidence.champion, config)
    passed = worse <= rule.worse and not low > 0
    limit = f"worse by ≤ {rule.worse:g}, interval not above 0"
    return Verdict("log loss against the champion", f"{worse:+.4f} ({low:+.4f} to {high:+.4f})", limit, passed)


def paired(evidence: Evidence, champion: Array, config: Config) -> tuple[float, float, float]:
    """Mean difference in log loss, new minus champion, with its interval: both are resampled with the same blocks."""
    new, old = (evaluate.losses(evidence.kept.target, said) for said in (evidence.said, champion))
    unit = np.unique(evidence.blocks, return_inverse=True)[1]
    rows, difference = np.bincount(unit), np.bincount(unit, new - old)
    count = len(rows)
    draws = np.random.default_rng(config.train.seed).multinomial(
        count, np.full(count, 1 / count), config.train.resamples
    )
    outside = (1 - config.gates.champion.interval) / 2
    low, high = np.quantile(draws @ difference / (draws @ rows), [outside, 1 - outside])
    return float(low), float((new - old).mean()), float(high)


def slices(config: Config, evidence: Evidence) -> Iterator[Verdict]:
    """Each large enough slice; one fails only where its whole interval lies outside."""
    rule = config.gates.slices
    for column in rule.columns:
        values = evidence.kept.request[column]
        for value in np.unique(values.astype(str)):
            rows = np.flatnonzero(values.astype(str) == value)
            target = evidence.kept.target[rows]
            if len(rows) >= rule.rows and target.any() and not target.all():
                yield one_slice(f"{column} {value}", rows, config, evidence)


def one_slice(name: str, rows: Array, config: Config, evidence: Evidence) -> Verdict:
    figure = evaluate.with_intervals(
        evidence.kept.target[rows],
        evidence.said[rows],
        evidence.blocks[rows],
        threshold=config.costs.threshold,
        resamples=100,
        seed=config.train.seed,
    )["roc_auc"]
    limit = config.gates.slices.roc_auc
    shown = f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
    return Verdict(f"roc_auc of {name}", shown, f"interval reaches {limit:g}", figure.high >= limit)


def leaks(config: Config, evidence: Evidence) -> Iterator[Verdict]:
    """No feature is known only after, and none tells the outcome alone."""
    after = [name for name in config.features if config.columns[name].known == "after"]
    yield Verdict("features known only after", ", ".join(after) or "none", "none", not after)
    name, best = max(alone(config, evidence.seen.data, evidence.seen.target), key=lambda scored: scored[1])
    limit = config.gates.alone
    yield Verdict("best single feature's ROC AUC", f"{best:.3f} ({name})", f"≤ {limit:g}", best <= limit)


def alone(config: Config, data: Tensors, target: Array) -> Iterator[tuple[str, float]]:
    """ROC AUC of each feature by itself: by the outcome's share per category, by size, or by being missing."""
    contract = config.contract
    for name, strings in zip(contract.strings, data.strings.T, strict=True):
        _, codes = np.unique(strings.astype(str), return_inverse=True)
        yield name, float(roc_auc_score(target, (np.bincount(codes, target) / np.bincount(codes))[codes]))
    for name, numbers in zip(contract.numbers, data.numbers.T, strict=True):
        missing = np.isnan(numbers)
        sizes = np.where(missing, np.nanmedian(numbers), numbers)
        found = [roc_auc_score(target, score) for score in (sizes, missing)]
        yield name, float(max(max(auc, 1 - auc) for auc in found))


def weight(config: Config, evidence: Evidence) -> Iterator[Verdict]:
    """One row's time in the model, the median of many, and the size of what is shipped."""
    row = evidence.kept.data.take(np.array([0]))
    took = []
    for _ in range(200):
        began = time.perf_counter()
        evidence.session(row)
        took.append(time.perf_counter() - began)
    slow, large = config.gates.microseconds, config.gates.megabytes
    microseconds, megabytes = float(np.median(took)) * 1e6, evidence.size / 1e6
    yield Verdict("one row in the model", f"{microseconds:.0f} µs", f"≤ {slow:g} µs", microseconds <= slow)
    yield Verdict("size of the bundle", f"{megabytes:.1f} MB", f"≤ {large:g} MB", megabytes <= large)
