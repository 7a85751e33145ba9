"""How predictions turned out, week by week, against what the model did on rows that it had not seen.

A week has seven blocks of rows that stand or fall together, too few for an interval: so several weeks are judged as
one. Plain log loss follows the share of yes in the window; skill, order and calibration do not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.monitoring import Monitor
from pipeline.evaluation.bootstrap import Bootstrap, Interval, with_intervals
from pipeline.evaluation.metrics import ABOVE, MONITORED, RATIO, metrics

Array = NDArray[Any]
Floats = NDArray[np.float64]
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
    figures: dict[str, Interval]
    degraded: list[str]


def weekly_windows(
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
        many = slice(int(np.searchsorted(day, until - length * rule.pooled_windows)), week.stop)
        if week.stop == 0:
            continue
        unit = day[many].astype(np.int64)
        days, pooled = len(np.unique(unit)), {}
        enough = week.stop - many.start >= rule.rows and week.stop - week.start >= rule.rows / rule.pooled_windows
        if days >= rule.min_days and enough:
            pooled = with_intervals(outcome[many], answer[many], unit, plan, MONITORED[plan.scoring.task])
        rows, own = week.stop - week.start, {}
        if rows:
            own = metrics(outcome[week], answer[week], plan.scoring, MONITORED[plan.scoring.task])
        wrong = [
            name
            for name, value in pooled.items()
            if is_outside(name, value, expected) and week_agrees(own.get(name, np.nan), value, expected[name])
        ]
        found.append(Window(str(until - length), str(until - np.timedelta64(1, "D")), rows, own, days, pooled, wrong))
    return found


def is_outside(name: str, found: Interval, expected: Mapping[str, Interval]) -> bool:
    """Whether a figure's whole interval lies beyond the reference's, and is farther from the best that it can be."""
    known, ideal = expected[name], IDEAL.get(name, found.value)
    apart = found.high < known.low or found.low > known.high
    return apart and abs(found.value - ideal) > abs(known.value - ideal)


def week_agrees(own: float, pooled: Interval, known: Interval) -> bool:
    """Whether a week's own figure is beyond the reference's interval too, on the same side as the weeks together."""
    return own < known.low if pooled.value < known.value else own > known.high


def alarm_fires(found: Sequence[Window], rule: Monitor) -> bool:
    """Whether the latest window is wrong, and `alarms` of the last `of`."""
    wrong = [bool(window.degraded) for window in found[-rule.out_of :]]
    return bool(wrong) and wrong[-1] and sum(wrong) >= rule.min_bad
