"""Several classes are monitored: a class that callers' rows stop having shows, by its name."""

import numpy as np
import pytest

from pipeline.config.monitoring import Monitor
from pipeline.evaluation.bootstrap import Bootstrap, with_intervals
from pipeline.evaluation.metrics import monitored
from pipeline.monitoring import report
from pipeline.monitoring.monitor import MonitorResult
from pipeline.monitoring.performance import weekly_windows
from pipeline.runtime.contract import Scoring

PLAN = Bootstrap(Scoring("multiclass", None, ("a", "b", "c")), 60, 0)
DAYS, ROWS = 70, 60


@pytest.fixture(scope="module")
def result() -> MonitorResult:
    """Probabilities that are right, until from day 40 on every c turns out to be an a."""
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(DAYS), ROWS)
    probability = rng.dirichlet([2, 2, 2], len(day))
    outcome = (probability.cumsum(axis=1) < rng.random(len(day))[:, None]).sum(axis=1)
    expected = with_intervals(outcome, probability, day, PLAN, monitored(PLAN.scoring))
    outcome[(day >= 40) & (outcome == 2)] = 0

    at = np.datetime64("2024-01-01") + day.astype("timedelta64[D]")
    end = at[-1] + np.timedelta64(1, "D")
    windows = weekly_windows(at, outcome, probability, end, 6, expected, Monitor(), PLAN)
    return MonitorResult("m", "v", "2024-03-11", 5, "", windows, expected, [], [], 420, 420, 1.0, 0.0)


def test_the_classes_that_changed_are_degraded(result: MonitorResult) -> None:
    of_class = {name for name in result.windows[-1].degraded if name.startswith("observed_over_predicted")}
    assert result.windows[0].degraded == []
    assert of_class == {"observed_over_predicted a", "observed_over_predicted c"}


def test_the_table_and_the_page_show_classes_where_they_are_degraded(result: MonitorResult) -> None:
    headings = [str(column.header) for column in report.outcome_table(result).columns]
    assert headings[3:] == ["skill", "roc_auc", "ece", "observed_over_predicted a", "observed_over_predicted c"]
    page = report.page("Which?", result)
    assert '<th scope="col">observed_over_predicted c</th>' in page
    assert "observed_over_predicted b" not in page
