"""Plots of a champion over time: its weekly metrics and the drift of its inputs.

Each function draws on one pair of axes. It must not know where the picture is saved.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from pipeline.evaluation.bootstrap import Interval
from pipeline.monitoring.drift import Drift
from pipeline.monitoring.performance import Window
from pipeline.plotting import ACCENT, INK, QUIET

ALARM = "#b45309"
BARS = 14  # columns in the picture of drift
TITLES = {
    "skill": "skill: log loss saved",
    "roc_auc": "ROC AUC",
    "observed_over_predicted": "observed ÷ predicted",
    "ece": "calibration error (ECE)",
    "share_above": "share of outcomes above the prediction",
}


def weeks(axes: Axes, figure: str, windows: Sequence[Window], expected: Interval) -> None:
    """One metric: every week as a dot, the pooled weeks with their interval, and the reference as a band."""
    places = np.arange(len(windows))
    axes.axhspan(expected.low, expected.high, color=QUIET, alpha=0.25, linewidth=0, label="reference")
    axes.axhline(expected.value, color=QUIET, linewidth=1)

    weekly = [window.week.get(figure, np.nan) for window in windows]
    axes.plot(places, weekly, "o", color=QUIET, markersize=4, label="a week")
    for place, window in enumerate(windows):
        interval = window.figures.get(figure)
        if interval:
            color = ALARM if figure in window.degraded else ACCENT
            axes.vlines(place, interval.low, interval.high, color=color, linewidth=2)
            axes.plot(place, interval.value, "s", color=color, markersize=5)

    axes.plot([], [], "s-", color=ACCENT, label="pooled weeks")
    axes.plot([], [], "s-", color=ALARM, label="degraded")
    axes.set(title=TITLES.get(figure, figure), xlim=(-0.6, max(len(windows) - 0.4, 0.6)))
    axes.set_xticks(places, [window.last[5:] for window in windows], rotation=60)


def drifts(axes: Axes, columns: Sequence[Drift]) -> None:
    """The PSI of every column, divided by that of the reference's most extreme week, with the largest on top.

    `columns` are sorted by that ratio, largest first; columns without one are left out.
    """
    shown = [(column, column.ratio) for column in columns if column.ratio is not None][:BARS]
    shown.reverse()  # a bar chart begins at the bottom

    names = [column.column for column, _ in shown]
    ratios = [ratio for _, ratio in shown]
    colors = [bar_color(column) for column, _ in shown]
    axes.barh(names, ratios, color=colors)
    axes.axvline(1, color=INK, linestyle="--", linewidth=1)
    axes.set(title="What came in", xlabel="PSI ÷ largest PSI of a reference week")


def bar_color(column: Drift) -> str:
    return ALARM if column.is_far else ACCENT
