"""How predictions turned out, week by week, against what the model did on rows that it had not seen.

A week has seven blocks of rows that stand or fall together, too few for an interval: so several weeks are judged as
one. Plain log loss follows the share of yes in the window; skill, order and calibration do not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline import evaluate
from pipeline.evaluate import Bootstrap, Interval
from pipeline.plan import Monitor

Array = NDArray[Any]
Floats = NDArray[np.float64]
STEPS = 1000  # of answers, for their order
BLOCKS = 2000  # at most: more are put together at random, which leaves sums of independent blocks what they are
RATIO, ABOVE = "observed_over_predicted", "share_above"
# What each figure is at best; an answer is off by the least where half of the outcomes lie above it. The calibration
# error is told and does not ring: fewer rows make it larger by themselves, and what of it matters shows in the skill
# and in the ratio.
IDEAL = {"skill": 1.0, "roc_auc": 1.0, RATIO: 1.0, ABOVE: 0.5}


class Window(NamedTuple):
    """One week and, with the weeks before it, what is judged: its days, and figures with their intervals, empty where
    there are too few rows or days. `wrong` names those that lie surely outside the reference, as far as the week
    itself agrees: one bad week is in the sums of the next ones too.
    """

    first: str
    last: str
    rows: int
    week: dict[str, float]
    days: int
    pooled: dict[str, Interval]
    wrong: list[str]


class Counts(NamedTuple):
    """All that the figures need of some rows, added up by block: arrays of [blocks] and of [blocks, bins]."""

    sums: dict[str, Floats]
    gap: Floats | None = None
    yes: Floats | None = None
    no: Floats | None = None


def counts(outcome: Array, answer: Array, blocks: Array, threshold: float | None) -> Counts:
    """Rows added up by block, so that a resample of blocks is a product of two small matrices."""
    unit = np.unique(blocks, return_inverse=True)[1]
    many = int(unit.max()) + 1
    if many > BLOCKS:
        unit, many = (np.random.default_rng(0).permutation(many) % BLOCKS)[unit], BLOCKS

    def by_block(values: Array) -> Floats:
        return np.bincount(unit, values.astype(np.float64), many).astype(np.float64)

    if threshold is None:
        loss, usual = np.abs(answer - outcome), np.abs(outcome - np.median(outcome))
        each = {"rows": np.ones(len(unit)), "loss": loss, "usual": usual, "above": outcome > answer}
        return Counts({name: by_block(values) for name, values in each.items()})
    order = np.argsort(answer, kind="stable")
    ends, tenth = evaluate.tenths(answer[order].astype(np.float64))
    step = np.repeat(np.arange(len(ends)) * STEPS // len(ends), np.diff(ends, prepend=-1))
    y, p, of = outcome[order].astype(np.float64), answer[order].astype(np.float64), unit[order]
    each = {"rows": np.ones(len(y)), "loss": evaluate.losses(y, p), "yes": y, "said": p}
    sums = {name: np.bincount(of, values, many).astype(np.float64) for name, values in each.items()}

    def by_bin(bins: Array, values: Floats, most: int) -> Floats:
        return np.bincount(of * most + bins, values, many * most).reshape(many, most).astype(np.float64)

    gap = by_bin(tenth, p - y, evaluate.BINS)
    return Counts(sums, gap, by_bin(step, y, STEPS), by_bin(step, 1 - y, STEPS))


def figures(counted: Counts, weight: Floats) -> dict[str, Floats]:
    """What tells whether a model still holds, for each row of `weight` [resamples, blocks]: how often a block counts.

    Skill is the share of the loss that is saved against always saying the one best answer of these very rows: their
    share of yes or, for numbers, their median. ROC AUC is of answers in a thousand steps, ties counted half.
    """
    sums = {name: weight @ values for name, values in counted.sums.items()}
    rows = sums["rows"]
    with np.errstate(divide="ignore", invalid="ignore"):
        if counted.gap is None or counted.yes is None or counted.no is None:
            return {"skill": 1 - sums["loss"] / sums["usual"], ABOVE: sums["above"] / rows}
        share = sums["yes"] / rows
        usual = -(share * np.log(share) + (1 - share) * np.log(1 - share))
        yes, no = weight @ counted.yes, weight @ counted.no
        ordered = (yes * (np.cumsum(no, axis=1) - no / 2)).sum(axis=1)
        return {
            "skill": 1 - sums["loss"] / rows / usual,
            "roc_auc": ordered / (yes.sum(axis=1) * no.sum(axis=1)),
            RATIO: sums["yes"] / sums["said"],
            "ece": np.abs(weight @ counted.gap).sum(axis=1) / rows,
        }


def plain(outcome: Array, answer: Array, threshold: float | None) -> dict[str, float]:
    """The figures of some rows, without intervals."""
    whole = counts(outcome, answer, np.zeros(len(outcome), np.int64), threshold)
    return {name: float(value[0]) for name, value in figures(whole, np.ones((1, 1))).items()}


def intervals(outcome: Array, answer: Array, blocks: Array, plan: Bootstrap) -> dict[str, Interval]:
    """The figures with 95 % intervals over resampled blocks, as `evaluate.with_intervals` has them."""
    counted = counts(outcome, answer, blocks, plan.threshold)
    many = len(counted.sums["rows"])
    drawn = np.random.default_rng(plan.seed).multinomial(many, np.full(many, 1 / many), plan.resamples)
    found = figures(counted, np.concatenate([np.ones((1, many)), drawn]))
    return {name: evaluate.interval(name, float(values[0]), values[1:]) for name, values in found.items()}


def windows(
    at: Array,
    outcome: Array,
    answer: Array,
    end: np.datetime64,
    count: int,
    expected: Mapping[str, Interval],
    rule: Monitor,
    plan: Bootstrap,
) -> list[Window]:
    """The last `count` weeks before the day `end`, oldest first, from that of the first row on; `at` is in order."""
    day, length = at.astype("datetime64[D]"), np.timedelta64(rule.days, "D")
    found = []
    for back in reversed(range(count)):
        until = end - back * length
        week = slice(*np.searchsorted(day, [until - length, until]))
        many = slice(int(np.searchsorted(day, until - length * rule.pooled)), week.stop)
        if week.stop == 0:
            continue
        unit = day[many].astype(np.int64)
        days, pooled = len(np.unique(unit)), {}
        enough = week.stop - many.start >= rule.rows and week.stop - week.start >= rule.rows / rule.pooled
        if days >= rule.least and enough:
            pooled = intervals(outcome[many], answer[many], unit, plan)
        rows, own = week.stop - week.start, {}
        if rows:
            own = plain(outcome[week], answer[week], plan.threshold)
        wrong = [
            name
            for name, value in pooled.items()
            if outside(name, value, expected) and agrees(own.get(name, np.nan), value, expected[name])
        ]
        found.append(Window(str(until - length), str(until - np.timedelta64(1, "D")), rows, own, days, pooled, wrong))
    return found


def outside(name: str, found: Interval, expected: Mapping[str, Interval]) -> bool:
    """Whether a figure's whole interval lies beyond the reference's, and is farther from the best that it can be."""
    known, ideal = expected[name], IDEAL.get(name, found.value)
    apart = found.high < known.low or found.low > known.high
    return apart and abs(found.value - ideal) > abs(known.value - ideal)


def agrees(own: float, pooled: Interval, known: Interval) -> bool:
    """Whether a week's own figure is beyond the reference's interval too, on the same side as the weeks together."""
    return own < known.low if pooled.value < known.value else own > known.high


def alarm(found: Sequence[Window], rule: Monitor) -> bool:
    """Whether the latest window is wrong, and `alarms` of the last `of`."""
    wrong = [bool(window.wrong) for window in found[-rule.of :]]
    return bool(wrong) and wrong[-1] and sum(wrong) >= rule.alarms
