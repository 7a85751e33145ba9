"""How predictions turned out: figures of weeks with their intervals, what is clearly worse, and what is an alarm."""

import numpy as np
import pytest

from pipeline.config.monitoring import Monitor
from pipeline.evaluation.bootstrap import Bootstrap, Interval
from pipeline.monitoring import performance
from pipeline.monitoring.performance import Window
from pipeline.runtime.contract import Scoring
from tests.support.outcomes import PLAN, luck, on, reference

RULE = Monitor()


@pytest.fixture(scope="module")
def expected() -> dict[str, Interval]:
    at, outcome, answer = luck(73, seed=1)
    return reference(outcome, answer, at.astype(np.int64), PLAN)


def test_weeks_are_counted_back_from_the_end_and_four_are_judged_together(expected: dict[str, Interval]) -> None:
    found = performance.weekly_windows(*luck(31), on(31), 6, expected, RULE, PLAN)
    assert [(w.first, w.last) for w in found][-1] == ("2013-01-25", "2013-01-31")
    assert [w.rows for w in found] == [300, 700, 700, 700, 700]
    assert [w.days for w in found] == [3, 10, 17, 24, 28]
    assert [bool(w.figures) for w in found] == [False, False, True, True, True]


def test_a_week_alone_has_figures_and_no_judgement(expected: dict[str, Interval]) -> None:
    only = performance.weekly_windows(*luck(7), on(7), 3, expected, RULE, PLAN)[-1]
    assert set(only.week) == set(expected)
    assert (only.figures, only.degraded) == ({}, [])


def test_few_rows_are_not_judged_however_many_days_they_are_of(expected: dict[str, Interval]) -> None:
    assert not performance.weekly_windows(*luck(28, rows=10), on(28), 1, expected, RULE, PLAN)[0].figures


def test_a_verdict_needs_so_many_days_and_so_many_rows_and_no_more(expected: dict[str, Interval]) -> None:
    """Four weeks of a row a day: 28 days and 28 rows, a quarter of which are of the latest week."""
    four_weeks = luck(28, rows=1)
    for rule, judged in (
        (Monitor(min_days=28, min_rows=28), True),
        (Monitor(min_days=29, min_rows=28), False),
        (Monitor(min_days=28, min_rows=29), False),
    ):
        (window,) = performance.weekly_windows(*four_weeks, on(28), 1, expected, rule, PLAN)
        assert (window.rows, window.days, bool(window.figures)) == (7, 28, judged)


def test_rows_before_the_pooled_weeks_do_not_count(expected: dict[str, Interval]) -> None:
    """Eight weeks of a row a day, the latest with two: four weeks have 35."""
    at, outcome, answer = luck(56, rows=2)
    taken = (np.arange(112) % 2 == 0) | (at >= on(49))
    for min_rows, judged in ((35, True), (36, False)):
        rule = Monitor(min_rows=min_rows)
        (window,) = performance.weekly_windows(
            at[taken], outcome[taken], answer[taken], on(56), 1, expected, rule, PLAN
        )
        assert bool(window.figures) is judged


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("skill", Interval(0.02, 0.00, 0.04), True),
        ("skill", Interval(0.02, 0.00, 0.06), False),  # the intervals overlap
        ("skill", Interval(0.02, 0.00, 0.05), False),  # they touch
        ("observed_over_predicted", Interval(1.5, 1.1, 1.7), False),
        ("skill", Interval(0.30, 0.25, 0.35), False),  # better
        ("roc_auc", Interval(0.5, 0.45, 0.55), False),  # nobody knows what it was
        ("observed_over_predicted", Interval(1.5, 1.3, 1.7), True),
        ("observed_over_predicted", Interval(0.5, 0.3, 0.7), True),
        ("ece", Interval(0.2, 0.1, 0.3), False),  # it depends on how many rows it is of
    ],
)
def test_a_figure_is_wrong_where_it_is_worse_than_the_reference(name: str, value: Interval, wrong: bool) -> None:
    """It is worse where its interval lies beyond the reference's interval on the worse side."""
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    known = {
        "skill": Interval(0.1, 0.05, 0.15),
        "roc_auc": nothing,
        "observed_over_predicted": Interval(1, 0.9, 1.1),
        "ece": Interval(0.02, 0.01, 0.03),
    }
    assert performance.is_outside(name, value, known) is wrong


@pytest.mark.parametrize(("value", "wrong"), [(1.0, False), (0.9, False), (1.6, True), (0.6, True)])
def test_a_figure_that_came_nearer_to_the_best_it_can_be_is_not_wrong(value: float, wrong: bool) -> None:
    found, known = Interval(value, value - 0.05, value + 0.05), Interval(1.3, 1.2, 1.4)
    assert performance.is_outside("observed_over_predicted", found, {"observed_over_predicted": known}) is wrong


def test_a_figure_as_far_from_the_best_on_the_other_side_is_not_wrong() -> None:
    known = {"observed_over_predicted": Interval(1.5, 1.25, 1.75)}
    assert not performance.is_outside("observed_over_predicted", Interval(0.5, 0.25, 0.75), known)


@pytest.mark.parametrize(
    ("pooled", "week", "agrees"),
    [
        (0.5, 0.85, True),
        (0.5, 0.9, False),  # the end of the reference's interval belongs to it
        (0.5, 1.2, False),  # the other side
        (1.5, 1.15, True),
        (1.5, 1.1, False),
        (1.5, 0.8, False),
        (0.5, float("nan"), False),
        (1.5, float("nan"), False),
    ],
)
def test_a_week_agrees_where_it_is_off_on_the_side_of_the_pooled_weeks(
    pooled: float, week: float, agrees: bool
) -> None:
    """The reference is 1, from 0.9 to 1.1."""
    figure = Interval(pooled, pooled - 0.1, pooled + 0.1)
    assert performance.week_agrees(week, figure, Interval(1.0, 0.9, 1.1)) is agrees


@pytest.mark.parametrize(("before", "latest", "degraded"), [(0.5, 0.5, True), (0.3, 1.2, False), (1.5, 0.5, False)])
def test_a_week_off_on_the_other_side_than_its_pool_is_not_degraded(
    expected: dict[str, Interval], before: float, latest: float, degraded: bool
) -> None:
    """Three weeks in which the predictions are too low and one in which they are too high, or the other way round."""
    at, outcome, answer = luck(28)
    scaled = np.minimum(answer * np.where(at < on(21), before, latest), 1.0)
    (window,) = performance.weekly_windows(at, outcome, scaled, on(28), 1, expected, RULE, PLAN)
    ratio = "observed_over_predicted"
    assert performance.is_outside(ratio, window.figures[ratio], expected)
    assert (ratio in window.degraded) is degraded


@pytest.mark.parametrize(
    ("weeks", "rings"),
    [("", False), ("w", False), (".w", False), ("ww", True), ("w.w", True), ("ww.", False), ("w..w", False), ("..ww", True)],
)  # fmt: skip
def test_two_degraded_weeks_of_the_last_three_are_an_alarm(weeks: str, rings: bool) -> None:
    """They are one only if the latest week is one of the two."""
    found = [Window("", "", 0, {}, 0, {}, ["skill"] if week == "w" else []) for week in weeks]
    assert performance.alarm_fires(found, RULE) is rings


def test_numbers_that_are_answered_too_low_ring_by_the_share_above_them() -> None:
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(56), 50)
    outcome = rng.normal(10, 2, len(day)) + rng.normal(0, 0.5, 56)[day]
    plan = Bootstrap(Scoring("regression"), 200, 0)
    known = reference(outcome, np.full(len(day), 10.0), day, plan)
    for answer, wrong in ((10.0, False), (9.0, True)):
        found = performance.weekly_windows(on(day), outcome, np.full(len(day), answer), on(56), 1, known, RULE, plan)
        assert ("share_above" in found[0].degraded) is wrong


def test_one_bad_week_among_ordinary_ones_is_no_alarm() -> None:
    """It is none though the bad week is in the sums of the next weeks."""
    _, outcome, answer = (np.tile(each, 12) for each in luck(7))
    day = np.repeat(np.arange(84), 100)
    known = reference(outcome, answer, day, PLAN)
    answer = np.where((day >= 42) & (day < 49), 1 - answer, answer)
    found = performance.weekly_windows(on(day), outcome, answer, on(84), 10, known, RULE, PLAN)
    assert [window.first for window in found if window.degraded] == ["2013-02-12"]
    last = next(window for window in found if window.first == "2013-03-05")  # that still has the bad week in its sums
    assert any(performance.is_outside(name, value, known) for name, value in last.figures.items())


def test_a_week_without_outcomes_is_no_witness(expected: dict[str, Interval]) -> None:
    at, outcome, answer = luck(49, seed=3)
    answer = np.where(at >= on(42), 1 - answer, answer)
    found = performance.weekly_windows(at, outcome, answer, on(56), 8, expected, RULE, PLAN)
    assert [(window.rows, bool(window.degraded)) for window in found[-2:]] == [(700, True), (0, False)]
    assert (found[-1].week, found[-1].figures) == ({}, {})


def test_a_model_that_decays_rings_within_weeks_and_not_before(expected: dict[str, Interval]) -> None:
    at, outcome, answer = luck(84, seed=3)
    lost = at >= on(42)
    answer = np.where(lost, np.random.default_rng(0).permutation(answer), answer)  # from here on it knows nothing
    rang = [
        week
        for week in range(2, 12)
        if performance.alarm_fires(
            performance.weekly_windows(
                *(part[at < on(7 * week)] for part in (at, outcome, answer)),
                on(7 * week), RULE.out_of, expected, RULE, PLAN,
            ),
            RULE,
        )
    ]  # fmt: skip
    assert rang
    assert 42 // 7 < rang[0] <= 42 // 7 + 4
    assert rang == list(range(rang[0], 12))


def test_an_overconfident_model_rings_though_its_order_is_as_before(expected: dict[str, Interval]) -> None:
    at, outcome, answer = luck(42, seed=4, told=3.0)
    last = performance.weekly_windows(at, outcome, answer, on(42), 1, expected, RULE, PLAN)[0]
    assert "skill" in last.degraded
    assert "roc_auc" not in last.degraded
