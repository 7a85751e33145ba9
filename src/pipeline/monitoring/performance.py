"""How well the predictions did, week by week, compared with the champion's metrics on rows that it was not trained on.

Rows of one day depend on each other, so days are the blocks of the bootstrap. One week has seven blocks, too few for an
interval, so several weeks are pooled. Plain log loss depends on the share of positive outcomes in the window; skill,
ROC AUC and calibration do not.

This module compares arrays. It must not know the prediction log or the bundle.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.monitoring import Monitor
from pipeline.evaluation.bootstrap import Bootstrap, Interval, blocks, with_intervals
from pipeline.evaluation.formulas import ABOVE, RATIO
from pipeline.evaluation.metrics import base_name, metrics, monitored

Array = NDArray[Any]
# The best possible value of every metric. A numeric prediction is best where half of the outcomes lie above it. The
# calibration error is missing: it is reported but never degraded, since fewer rows alone make it larger, and the part
# of it that matters shows in skill and in the ratio.
IDEAL = {"skill": 1.0, "roc_auc": 1.0, RATIO: 1.0, ABOVE: 0.5}


class Window(NamedTuple):
    """One week, and that week pooled with the weeks before it.

    `rows` and `week` (its metrics) describe the week. `days` counts the days of the pooled weeks; `figures` holds their
    metrics with intervals, and is empty if there are too few rows or days. `degraded` names the metrics whose interval
    lies outside the reference's, if the week's own metric agrees: a bad week is part of the next pooled weeks too.
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
    """The last `count` weeks before the day `end`, oldest first, without the weeks before the first row.

    `at` (times), `outcome` and `answer` have one element per row and are ordered by time.
    """
    day = at.astype("datetime64[D]")
    length = np.timedelta64(rule.window_days, "D")

    windows = []
    for back in reversed(range(count)):
        until = end - back * length
        week = slice(*np.searchsorted(day, [until - length, until]))
        span = slice(int(np.searchsorted(day, until - length * rule.pooled_windows)), week.stop)
        if week.stop == 0:
            continue

        rows = week.stop - week.start
        week_metrics = {}
        if rows:
            week_metrics = metrics(outcome[week], answer[week], plan.scoring, monitored(plan.scoring))

        unit = blocks(day[span])
        days = len(np.unique(unit))
        enough_rows = span.stop - span.start >= rule.min_rows and rows >= rule.min_rows / rule.pooled_windows
        intervals = {}
        if days >= rule.min_days and enough_rows:
            intervals = with_intervals(outcome[span], answer[span], unit, plan, monitored(plan.scoring))

        degraded = [
            name
            for name, value in intervals.items()
            if is_outside(name, value, expected) and week_agrees(week_metrics[name], value, expected[name])
        ]
        last = until - np.timedelta64(1, "D")
        windows.append(Window(str(until - length), str(last), rows, week_metrics, days, intervals, degraded))
    return windows


def is_outside(name: str, figure: Interval, expected: Mapping[str, Interval]) -> bool:
    """Whether a metric's whole interval lies outside the reference's, and the metric is farther from its ideal."""
    known = expected[name]
    ideal = IDEAL.get(base_name(name), figure.value)
    is_disjoint = figure.high < known.low or figure.low > known.high
    return is_disjoint and abs(figure.value - ideal) > abs(known.value - ideal)


def week_agrees(week: float, figure: Interval, known: Interval) -> bool:
    """Whether the week's own metric lies outside the reference's interval, on the same side as the pooled weeks."""
    return week < known.low if figure.value < known.value else week > known.high


def alarm_fires(windows: Sequence[Window], rule: Monitor) -> bool:
    """Whether the latest window is degraded, and with it at least `min_bad` of the last `out_of` windows."""
    degraded = [bool(window.degraded) for window in windows[-rule.out_of :]]
    return bool(degraded) and degraded[-1] and sum(degraded) >= rule.min_bad
