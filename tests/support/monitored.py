"""A result of the monitor, made by hand, and its page."""

import sys
from pathlib import Path

from pipeline.evaluation.bootstrap import Interval
from pipeline.monitoring import report
from pipeline.monitoring.drift import Drift
from pipeline.monitoring.monitor import MonitorResult
from pipeline.monitoring.performance import Window

EXPECTED = {
    "skill": Interval(0.14, 0.1, 0.18),
    "roc_auc": Interval(0.75, 0.72, 0.78),
    "observed_over_predicted": Interval(0.95, 0.85, 1.05),
    "ece": Interval(0.02, 0.01, 0.04),
}
WORSE = {**EXPECTED, "roc_auc": Interval(0.6, 0.55, 0.65)}


def window(last: str, figures: dict[str, Interval], degraded: list[str]) -> Window:
    week = {name: figure.value for name, figure in (figures or EXPECTED).items()}
    return Window("2024-01-01", last, 1234, week, 7, figures, degraded)


def degraded_result() -> MonitorResult:
    """Three weeks: too few rows, as expected, and a lower ROC AUC. One column of two has drifted."""
    windows = [
        window("2024-01-07", {}, []),
        window("2024-01-14", EXPECTED, []),
        window("2024-01-21", WORSE, ["roc_auc"]),
    ]
    drifts = [
        Drift("pressure_change_over_three_hours", 0.31, 0.1, 0.125, 0.01, 0.0, 0.02),
        Drift("size", 0.01, None, 0.0, 0.0, 0.0, 0.0),
    ]
    reason = "roc_auc is degraded in 2 of the last 3 windows"
    return MonitorResult(
        "tiny", "0123456789abcdef", "2024-01-22", 5, reason, windows, EXPECTED, drifts, [], 1234, 1200, 86400.0, 0.25
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(report.page("Is it a yes?", degraded_result()), encoding="utf-8")
