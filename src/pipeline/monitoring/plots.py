"""Pictures of how things went over time: weeks of a champion, months of a replay. Each is drawn on one pair of axes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from pipeline.evaluation.bootstrap import Interval
from pipeline.monitoring.drift import Drift
from pipeline.monitoring.performance import Window
from pipeline.plotting import ACCENT, INK, QUIET

ALARM = "#b45309"
SPELLED = {
    "skill": "log loss saved (skill)",
    "roc_auc": "order (ROC AUC)",
    "observed_over_predicted": "observed ÷ predicted",
    "ece": "calibration error (ECE)",
    "share_above": "share of outcomes above the answer",
}


def weeks(axes: Axes, figure: str, found: Sequence[Window], expected: Interval) -> None:
    """One figure: each week as a dot, the weeks judged together with their interval, the reference as a band."""
    places = np.arange(len(found))
    axes.axhspan(expected.low, expected.high, color=QUIET, alpha=0.25, linewidth=0, label="when it was made")
    axes.axhline(expected.value, color=QUIET, linewidth=1)
    own = [window.week.get(figure, np.nan) for window in found]
    axes.plot(places, own, "o", color=QUIET, markersize=4, label="a week")
    for place, window in enumerate(found):
        if pooled := window.figures.get(figure):
            color = ALARM if figure in window.degraded else ACCENT
            axes.vlines(place, pooled.low, pooled.high, color=color, linewidth=2)
            axes.plot(place, pooled.value, "s", color=color, markersize=5)
    axes.plot([], [], "s-", color=ACCENT, label="weeks judged together")
    axes.plot([], [], "s-", color=ALARM, label="surely worse")
    axes.set(title=SPELLED.get(figure, figure), xlim=(-0.6, max(len(found) - 0.4, 0.6)))
    axes.set_xticks(places, [window.last[5:] for window in found], rotation=60)


def drifts(axes: Axes, found: Sequence[Drift]) -> None:
    """How far each column is off the reference, in units of the reference's own furthest week; the furthest on top."""
    shown = [(each, each.ratio) for each in found if each.ratio is not None][:14][::-1]
    colors = [ALARM if each.is_far else ACCENT for each, _ in shown]
    axes.barh([each.column for each, _ in shown], [share for _, share in shown], color=colors)
    axes.axvline(1, color=INK, linestyle="--", linewidth=1)
    axes.set(title="What came in", xlabel="distance ÷ that of the furthest week of the reference")
