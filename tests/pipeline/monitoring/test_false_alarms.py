"""How often the monitor fires though nothing has changed."""

import numpy as np

from pipeline.config.monitoring import Monitor
from pipeline.monitoring import performance
from tests.support.outcomes import PLAN, luck, on, reference

RULE = Monitor()


def test_days_without_change_raise_a_false_alarm_in_few_looks_of_a_hundred() -> None:
    """The looks are at months dealt out anew from those days."""
    at, outcome, answer = luck(73, seed=1)
    expected = reference(outcome, answer, at.astype(np.int64), PLAN)
    days, rng, rang, looks = np.arange(73), np.random.default_rng(0), 0, 0
    rows = {day: np.flatnonzero(at == on(day)) for day in days}
    for _ in range(60):
        drawn = rng.choice(days, 42)
        some = np.concatenate([rows[day] for day in drawn])
        when = on(np.repeat(np.arange(42), 100))
        found = performance.weekly_windows(when, outcome[some], answer[some], on(42), 5, expected, RULE, PLAN)
        for last in range(1, len(found) + 1):
            rang, looks = rang + performance.alarm_fires(found[:last], RULE), looks + 1
    assert looks > 0
    assert rang / looks <= 0.03
