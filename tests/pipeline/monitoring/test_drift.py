"""What came in, against the reference's own weeks and days."""

from typing import Any

import numpy as np
import pytest

from pipeline.config.monitoring import Monitor
from pipeline.monitoring import drift
from pipeline.monitoring.drift import ColumnFault, by_day, profile

RULE = Monitor(min_rows=20)


def weather(weeks: int, seed: int = 0, rows: int = 50) -> tuple[Any, Any]:
    """Temperatures that follow the season, and the day of each; no week is like the whole."""
    rng, day = np.random.default_rng(seed), np.repeat(np.arange(weeks * 7), rows)
    return 10 + 8 * np.sin(day / 20) + rng.normal(0, 3, len(day)), day


def test_the_stability_index_sums_differences_times_their_log_ratios() -> None:
    assert drift.population_stability_index(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0
    assert drift.population_stability_index(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(
        0.25 * np.log(3)
    )


def test_an_ordinary_week_is_not_far_though_its_index_is_above_a_fifth() -> None:
    """A fifth is the usual limit of the stability index."""
    values, day = weather(20)
    about = profile(values, day, RULE)
    week = drift.drift("temp", values[day < 7], about)
    assert about["weeks"] >= week.psi > 0.2
    assert not week.is_far


def test_a_week_beyond_all_weeks_of_the_reference_is_far() -> None:
    values, day = weather(20)
    found = drift.drift("temp", values[day < 7] + 30, {**profile(values, day, RULE), "quantiles": [-10.0, 30.0]})
    assert found.is_far
    assert found.outside > 0.9


@pytest.mark.parametrize(("off", "times", "far"), [(0.5, 50, True), (0.005, 0.5, False)])
def test_a_column_that_never_differed_is_far_once_it_differs(off: float, times: float, far: bool) -> None:
    """It is far once it differs by more than a trifle."""
    found = drift.Drift("c", off, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert (found.ratio, found.is_far) == (pytest.approx(times), far)


def test_without_weeks_there_is_nothing_to_be_far_from() -> None:
    values, _ = weather(2)
    assert not drift.drift("temp", values + 100, profile(values, None, RULE)).is_far


def test_categories_that_were_never_seen_and_gaps_are_counted() -> None:
    seen = np.array(["a", "b", "", "a"] * 50, dtype=object)
    found = drift.drift("c", np.array(["a", "new", "", "new"], dtype=object), profile(seen, None, RULE))
    assert (found.unseen, found.missing, found.missing_before) == (0.5, 0.25, 0.25)


def test_a_day_has_its_gaps_and_the_share_of_its_commonest_value() -> None:
    """The share is that among the values that are there."""
    values, day = np.array([1.0, 1.0, np.nan, 2.0, 5.0]), np.array([0, 0, 0, 0, 1])
    assert by_day(values, day, 3) == [(0, 4, 0.25, pytest.approx(2 / 3), 1.0)]
    assert by_day(values, day, 4)[0].same == 0  # three values are too few to tell


@pytest.mark.parametrize(("value", "what"), [(12.0, "always 12.0"), (np.nan, "missing")])
def test_a_sensor_that_is_stuck_or_silent_for_a_day_is_gone(value: float, what: str) -> None:
    values, day = weather(4)
    about = profile(values, day, RULE)
    broken = np.where(day == 3, value, values)
    assert drift.column_faults("temp", broken[day < 7], day[day < 7], about, RULE) == [
        ColumnFault("1970-01-04", "temp", what, 50)
    ]
    assert drift.column_faults("temp", values[day < 7], day[day < 7], about, RULE) == []


def test_a_sensor_that_is_stuck_and_now_and_then_silent_is_gone_too() -> None:
    values, day = weather(4)
    stuck = np.where(np.arange(50) % 10 == 0, np.nan, 50.0)
    found = drift.column_faults("temp", stuck, np.zeros(50, np.int64), profile(values, day, RULE), RULE)
    assert [each.fault for each in found] == ["always 50.0"]


def test_one_silent_day_of_the_reference_does_not_make_silence_usual() -> None:
    values, day = weather(10)
    about = profile(np.where(day == 60, np.nan, values), day, RULE)
    found = drift.column_faults("temp", np.full(50, np.nan), np.zeros(50, np.int64), about, RULE)
    assert [each.fault for each in found] == ["missing"]


def test_a_column_that_has_one_value_a_day_is_not_stuck() -> None:
    day = np.repeat(np.arange(28), 50)
    about = profile(day * 1.5, day, RULE)  # such as a price of the day
    assert drift.column_faults("price", np.full(50, 99.0), np.zeros(50, np.int64), about, RULE) == []


def test_what_was_the_same_all_day_in_the_reference_too_is_no_fault() -> None:
    day = np.repeat(np.arange(14), 50)
    rain = np.where(day == 5, 1.0 * (np.arange(700) % 7), 0.0)  # a dry fortnight but for one day
    about = profile(rain, day, RULE)
    assert drift.column_faults("rain", np.zeros(50), np.zeros(50, np.int64), about, RULE) == []
    assert drift.column_faults("rain", np.full(50, 0.5), np.zeros(50, np.int64), about, RULE)[0].fault == "always 0.5"


def test_rain_all_week_is_far_from_a_reference_that_is_mostly_dry() -> None:
    day = np.repeat(np.arange(28), 50)
    rain = np.where(np.arange(1400) % 20 == 0, 0.2, 0.0)
    about = profile(rain, day, RULE)
    found = drift.drift("rain", np.full(350, 0.2), about)
    assert found.is_far
    assert found.ratio is not None
    assert found.ratio > 100
    assert not drift.drift("rain", rain[:350], about).is_far


def test_a_part_of_a_week_is_no_week_of_the_reference() -> None:
    values, day = weather(4)
    longer = np.concatenate([values, np.full(50, 40.0)])  # one day of another week, and a strange one
    assert profile(longer, np.concatenate([day, np.full(50, 28)]), RULE)["weeks"] < 3


def test_a_day_with_few_rows_is_no_witness() -> None:
    values, day = weather(4)
    few = np.zeros(19)
    assert drift.column_faults("temp", few, np.zeros(19, np.int64), profile(values, day, RULE), RULE) == []
    assert drift.column_faults("temp", np.zeros(20), np.zeros(20, np.int64), profile(values, day, RULE), RULE)
