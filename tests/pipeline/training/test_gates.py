"""Each gate on evidence made by hand. Whole trainings that gates refuse are in test_refused.py."""

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.config.gates import Bounds
from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.slices import Slice
from pipeline.runtime.arrays import Tensors
from pipeline.training.evidence import GateResult, verdict_of
from pipeline.training.gates import beats_baseline, cost_of_serving, missing_columns, refusal_message
from pipeline.training.missing import FoldLosses, MissingResult
from tests.support.evidence import ROWS, evidence, refused, result_of

HOLDOUT_WHY = "worse than the limits is useless; better is too good to be true, most often a leak"


def with_gates(config: Config, **limits: Any) -> Config:
    return config.model_copy(update={"gates": config.gates.model_copy(update=limits)})


def test_a_good_first_model_passes_every_gate(tiny_config: Config) -> None:
    assert refused(tiny_config, evidence()) == []


def test_a_model_without_skill_is_refused_by_floor_and_base_rate(tiny_config: Config) -> None:
    random = np.random.default_rng(1).permutation(evidence().predictions)
    assert {"roc_auc on the holdout", "log_loss below the baseline's"} <= set(
        refused(tiny_config, evidence(predictions=random))
    )


def test_a_model_that_is_too_good_is_refused(tiny_config: Config) -> None:
    certain = np.where(evidence().holdout.target, 0.99, 0.01)
    assert {"roc_auc on the holdout", "log_loss on the holdout"} <= set(
        refused(tiny_config, evidence(predictions=certain))
    )


def test_a_short_window_refuses_only_what_is_clearly_outside(tiny_config: Config) -> None:
    """The window is too short for more. The answers are of no use, so the figures lie outside their limits, but not
    with their whole intervals.
    """
    noise = np.random.default_rng(0).permutation(evidence().predictions)
    wide = {name: Interval(figure.value, 0.0, 1.0) for name, figure in evidence(predictions=noise).figures.items()}
    asked = tiny_config.gates.model_copy(update={"min_gain": 0.5})
    strict = tiny_config.model_copy(update={"gates": asked})
    by_interval = tiny_config.model_copy(
        update={"gates": asked.model_copy(update={"use_interval": True, "min_gain": 0.001})}
    )
    limits, below = {"roc_auc on the holdout", "log_loss on the holdout"}, "log_loss below the baseline's"
    weak = evidence(predictions=noise)._replace(figures=wide)
    assert limits | {below} <= set(refused(strict, weak))
    assert not limits & set(refused(by_interval, weak))
    assert below in refused(by_interval, weak)
    assert below not in refused(by_interval, evidence())


def test_a_model_that_is_off_by_a_tenth_is_refused_for_its_calibration(tiny_config: Config) -> None:
    assert "ece on the holdout" in refused(
        tiny_config, evidence(predictions=np.clip(evidence().predictions + 0.1, 0, 1))
    )


def test_a_slice_without_skill_is_refused_and_a_small_one_is_not_evaluated(tiny_config: Config) -> None:
    given = evidence()
    said = given.predictions.copy()
    red = given.holdout.request["colour"] == "red"
    said[red] = np.random.default_rng(1).permutation(said[red])
    assert "roc_auc by colour" in refused(tiny_config, evidence(predictions=said))
    assert "roc_auc by colour" not in refused(tiny_config, evidence(predictions=said, slices=[]))


def test_a_slice_with_half_its_interval_inside_is_let_out(tiny_config: Config) -> None:
    def seen(low: float, high: float) -> list[Slice]:
        return [Slice("colour", "red", 500, {"roc_auc": Interval(0.55, low, high)})]

    assert "roc_auc by colour" not in refused(tiny_config, evidence(slices=seen(0.5, 0.61)))
    assert "roc_auc by colour" in refused(tiny_config, evidence(slices=seen(0.5, 0.59)))


def test_a_column_without_slices_leaves_the_others_their_gates(tiny_config: Config) -> None:
    """All slices of the shape have too few rows."""
    rule = tiny_config.gates.slices.model_copy(update={"columns": ["shape", "colour"]})
    assert result_of(with_gates(tiny_config, slices=rule), evidence(), "roc_auc by colour").passed


def test_an_export_that_is_off_is_refused(tiny_config: Config) -> None:
    assert refused(tiny_config, evidence(export_error=2e-5)) == ["export error against scikit-learn"]


def test_the_slices_at_both_ends_are_named(tiny_config: Config) -> None:
    ends = [
        Slice("colour", "red", 500, {"roc_auc": Interval(0.62, 0.61, 0.63)}),
        Slice("colour", "green", 500, {"roc_auc": Interval(0.7, 0.69, 0.71)}),
        Slice("colour", "blue", 500, {"roc_auc": Interval(0.95, 0.94, 0.96)}),
    ]
    result = result_of(tiny_config, evidence(slices=ends), "roc_auc by colour")
    assert result.value == "lowest red 0.62 (0.61 to 0.63), highest blue 0.95 (0.94 to 0.96)"
    assert not result.passed  # 0.94 is above the limit of 0.9


def test_a_wide_interval_makes_no_slice_the_lowest_and_the_highest(tiny_config: Config) -> None:
    """The slice with the widest interval is neither."""
    ends = [
        Slice("colour", "red", 500, {"roc_auc": Interval(0.7, 0.69, 0.71)}),
        Slice("colour", "green", 500, {"roc_auc": Interval(0.75, 0.1, 1.0)}),
        Slice("colour", "blue", 500, {"roc_auc": Interval(0.8, 0.79, 0.81)}),
    ]
    result = result_of(tiny_config, evidence(slices=ends), "roc_auc by colour")
    assert result.value == "lowest red 0.7 (0.69 to 0.71), highest blue 0.8 (0.79 to 0.81)"
    assert result.passed


@pytest.mark.parametrize(
    ("failing", "other", "value"),
    [
        (Interval(0.58, 0.57, 0.59), Interval(0.56, 0.4, 0.7), "lowest red 0.58"),
        (Interval(0.92, 0.91, 0.93), Interval(0.94, 0.7, 0.96), "highest red 0.92"),
    ],
)
def test_a_slice_that_fails_is_named_before_a_more_extreme_one(
    tiny_config: Config, failing: Interval, other: Interval, value: str
) -> None:
    """The other one has few rows, and its interval overlaps the limits of 0.6 and 0.9."""
    parts = [Slice("colour", "red", 500, {"roc_auc": failing}), Slice("colour", "blue", 100, {"roc_auc": other})]
    result = result_of(tiny_config, evidence(slices=parts), "roc_auc by colour")
    assert value in result.value
    assert not result.passed


@pytest.mark.parametrize(
    ("low", "high", "passed"), [(0.5, 0.6, True), (0.5, 0.599, False), (0.9, 0.95, True), (0.901, 0.95, False)]
)
def test_an_interval_that_touches_the_limits_passes(tiny_config: Config, low: float, high: float, passed: bool) -> None:
    part = Slice("colour", "red", 500, {"roc_auc": Interval((low + high) / 2, low, high)})
    assert result_of(tiny_config, evidence(slices=[part]), "roc_auc by colour").passed is passed


@pytest.mark.parametrize(
    ("fold_loss", "error", "gain", "expected"),
    [
        (0.50, 0.0, Interval(0.02, 0.01, 0.03), []),
        (0.509, 0.0, Interval(-0.02, -0.03, -0.01), []),
        (0.511, 0.0, Interval(0.02, 0.01, 0.03), ["log_loss on the folds without weather"]),
        (0.511, 0.002, Interval(0.02, 0.01, 0.03), []),
        (0.50, 0.0, Interval(-0.02, -0.03, -0.011), ["log_loss on the holdout without weather"]),
    ],
)
def test_a_model_that_misreads_missing_columns_is_refused(
    tiny_config: Config, fold_loss: float, error: float, gain: Interval, expected: list[str]
) -> None:
    """On the folds, 0.01 more than a model without the columns is allowed, and one standard error; on the holdout, 0.01
    more than a constant.
    """
    result = MissingResult("weather", ["size"], FoldLosses(fold_loss, 0.50, error), {"log_loss": 0.5}, 0.3, gain)
    assert refused(tiny_config, evidence(missing=[result])) == expected


@pytest.mark.parametrize(("increase", "passed"), [(0.01, True), (0.0101, False)])
def test_the_limit_without_columns_is_inclusive(tiny_config: Config, increase: float, passed: bool) -> None:
    result = MissingResult("weather", ["size"], FoldLosses(increase, 0.0, 0.0), {}, 0.3, Interval(0.02, 0.01, 0.03))
    assert result_of(tiny_config, evidence(missing=[result]), "on the folds without weather").passed is passed


@pytest.mark.parametrize(("increase", "passed"), [(0.09, True), (0.11, False)])
def test_a_regression_without_columns_is_compared_in_deviations(
    tiny_config: Config, increase: float, passed: bool
) -> None:
    """The outcome has a deviation of ten, so the limit of 0.01 is an error of 0.1."""
    config = tiny_config.model_copy(update={"task": "regression", "costs": None})
    train = evidence().train._replace(target=np.tile([-10.0, 10.0], ROWS // 2))
    missing = MissingResult("weather", ["size"], FoldLosses(increase, 0.0, 0.0), {}, 0.3, Interval(0.02, 0.01, 0.03))
    result, _ = missing_columns(config, evidence(train=train, missing=[missing]))
    assert result.passed is passed
    assert result.limit == "≤ +0.1 beyond one standard error"


def test_a_slow_or_large_model_is_refused(tiny_config: Config) -> None:
    tight = tiny_config.model_copy(
        update={"gates": tiny_config.gates.model_copy(update={"max_microseconds": 1e-6, "max_megabytes": 0.5})}
    )
    assert refused(tight, evidence()) == ["median time of one row", "size of the bundle"]


WEATHER = MissingResult(
    "weather", ["size"], FoldLosses(0.511, 0.5, 0.002), {"log_loss": 0.5}, 0.3, Interval(0.02, 0.01, 0.03)
)
EXPECTED = [
    ("roc_auc on the holdout", "0.7163", "0.6 to 0.9", HOLDOUT_WHY),
    ("log_loss on the holdout", "0.5296", "0.3 to 0.62", HOLDOUT_WHY),
    ("ece on the holdout", "0.02987", "0 to 0.05", HOLDOUT_WHY),
    ("log_loss below the baseline's", "by 0.0621", "by ≥ 0.001", "always predicting 0.2865 needs no model"),
    (
        "roc_auc by colour", "lowest blue 0.7049 (0.6765 to 0.7402), highest red 0.7267 (0.6983 to 0.765)",
        "both intervals overlap 0.6 to 0.9", "lowest and highest of 2: a good average can hide a group for which the model fails",
    ),
    (
        "log_loss on the folds without weather", "0.5110, +0.0110 (± 0.0020) against a model trained without",
        "≤ +0.01 beyond one standard error",
        "callers may leave these columns out. If this fails: raise masking.all, or make them nullable: false",
    ),
    (
        "log_loss on the holdout without weather", "below the baseline's by 0.0200 (0.0100 to 0.0300)",
        "interval not below -0.01", "without these columns the predictions must not be clearly worse than a constant",
    ),
    (
        "export error against scikit-learn", "1.0e-07", "≤ 1e-05",
        "the server runs the ONNX export, and the folds evaluated the scikit-learn model",
    ),
    ("size of the bundle", "1.0 MB", "≤ 20 MB", "it is copied into every image"),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "value", "limit", "why"), EXPECTED, ids=[row[0] for row in EXPECTED])
def test_a_gate_shows_value_limit_and_reason(tiny_config: Config, gate: str, value: str, limit: str, why: str) -> None:
    result = result_of(tiny_config, evidence(missing=[WEATHER]), gate)
    assert result == GateResult(gate, value, limit, True, why)


def test_with_intervals_a_gate_shows_them(tiny_config: Config) -> None:
    config = with_gates(tiny_config, use_interval=True)
    roc_auc = result_of(config, evidence(), "roc_auc on the holdout")
    limit = "interval overlaps 0.6 to 0.9"
    assert roc_auc == GateResult(roc_auc.gate, "0.7163 (0.6991 to 0.7365)", limit, True, HOLDOUT_WHY)

    baseline = result_of(config, evidence(), "below the baseline's")
    value, limit = "by 0.0621 (0.0518 to 0.0734)", "upper end of the interval ≥ 0.001"
    assert baseline == GateResult(baseline.gate, value, limit, True, "always predicting 0.2865 needs no model")


def test_one_row_is_timed_and_its_median_compared(tiny_config: Config) -> None:
    """A model that waits two milliseconds is slower than one, and faster than a second."""

    class Slow:
        def __call__(self, data: Tensors) -> np.ndarray:
            assert len(data.numbers) == 1
            time.sleep(0.002)
            return np.zeros(1)

    slow = evidence(session=Slow())
    result = result_of(with_gates(tiny_config, max_microseconds=1000.0), slow, "median time of one row")
    assert (result.passed, result.limit, result.why) == (False, "≤ 1000 µs", "callers wait for it")
    assert float(result.value.removesuffix(" µs")) >= 2000
    assert result_of(with_gates(tiny_config, max_microseconds=1e6), slow, "median time of one row").passed


def test_a_median_time_that_is_its_limit_passes(tiny_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which 1/1024 of a second passes between any two readings."""
    readings = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(readings) / 1024)
    for limit, passed in ((976.5625, True), (976.562, False)):
        config = with_gates(tiny_config, max_microseconds=limit)
        assert result_of(config, evidence(), "median time of one row", cost_of_serving).passed is passed


def test_a_holdout_of_one_row_is_enough_to_measure_the_time(tiny_config: Config) -> None:
    shapes = set()

    class Recording:
        def __call__(self, data: Tensors) -> np.ndarray:
            shapes.add((data.strings.shape, data.numbers.shape))
            return np.zeros(1)

    one_row = evidence(holdout=evidence().holdout.take(np.array([0])), session=Recording())
    list(cost_of_serving(tiny_config, one_row))
    assert shapes == {((1, 2), (1, 3))}


@pytest.mark.parametrize(
    ("gate", "limits"),
    [
        ("roc_auc on the holdout", lambda value, step: {"low": step(value, 1), "high": 1.0}),
        ("roc_auc on the holdout", lambda value, step: {"low": 0.0, "high": step(value, -1)}),
    ],
    ids=["low", "high"],
)
def test_the_limits_of_a_metric_are_inclusive(tiny_config: Config, gate: str, limits: Any) -> None:
    """The measured value itself passes as a limit; a limit that is the next number beyond it does not."""
    value = evidence().figures["roc_auc"].value
    for step, passed in ((lambda number, _: number, True), (lambda number, sign: number + sign * 1e-9, False)):
        config = with_gates(tiny_config, holdout={"roc_auc": Bounds(**limits(value, step))})
        assert result_of(config, evidence(), gate).passed is passed


@pytest.mark.parametrize(
    ("bounds", "passed"),
    [((0.0, 0.6), False), ((0.0, 0.7), True), ((0.74, 1.0), False), ((0.73, 1.0), True)],
)
def test_with_intervals_a_metric_that_may_be_inside_passes(
    tiny_config: Config, bounds: tuple[float, float], passed: bool
) -> None:
    """The interval is 0.699 to 0.737."""
    low, high = bounds
    config = with_gates(tiny_config, use_interval=True, holdout={"roc_auc": Bounds(low=low, high=high)})
    assert result_of(config, evidence(), "roc_auc on the holdout").passed is passed


@pytest.mark.parametrize(
    ("use_interval", "min_gain", "passed"),
    [(False, 0.062, True), (False, 0.063, False), (True, 0.073, True), (True, 0.074, False)],
)
def test_the_baseline_is_beaten_by_the_margin(
    tiny_config: Config, use_interval: bool, min_gain: float, passed: bool
) -> None:
    """The loss is 0.0621 below the baseline's, with an interval up to 0.0734."""
    config = with_gates(tiny_config, use_interval=use_interval, min_gain=min_gain)
    assert result_of(config, evidence(), "below the baseline's").passed is passed


@pytest.mark.parametrize("use_interval", [False, True])
def test_a_gain_that_is_its_limit_passes(tiny_config: Config, use_interval: bool) -> None:
    """The model predicts what the baseline predicts, and its gain of 0 is allowed."""
    constant = float(evidence().train.target.mean())
    model = evidence()._replace(predictions=np.full(ROWS, constant))
    assert beats_baseline(with_gates(tiny_config, use_interval=use_interval, min_gain=0.0), model).passed


def test_the_baseline_of_a_regression_is_the_median(tiny_config: Config) -> None:
    """One large outcome in a hundred moves the mean and not the median."""
    config = tiny_config.model_copy(update={"task": "regression", "costs": None})
    outcome = np.where(np.arange(ROWS) % 100 == 0, 1000.0, 5.0)
    rows = evidence().train._replace(target=outcome)
    result = beats_baseline(config, evidence(train=rows)._replace(holdout=rows, predictions=outcome))
    assert result.why == "always predicting 5 needs no model"
    assert result.value == "by 9.9500"


@pytest.mark.parametrize(("bound", "passed"), [(0.0, True), (1e-9, False)])
def test_an_interval_that_touches_a_limit_of_the_holdout_passes(
    tiny_config: Config, bound: float, passed: bool
) -> None:
    """The upper end of the interval is the lowest value that passes, or is a little below it."""
    low = evidence().figures["roc_auc"].high + bound
    config = with_gates(tiny_config, use_interval=True, holdout={"roc_auc": Bounds(low=low, high=1.0)})
    assert result_of(config, evidence(), "roc_auc on the holdout").passed is passed


@pytest.mark.parametrize(("change", "gate"), [({"export_error": 1e-5}, "export"), ({"size": 20_000_000}, "size of")])
def test_a_value_that_is_its_limit_passes(tiny_config: Config, change: dict[str, float], gate: str) -> None:
    ((name, limit),) = change.items()
    assert result_of(tiny_config, evidence(**change), gate).passed
    assert not result_of(tiny_config, evidence(**{name: limit * 1.001}), gate).passed


def test_a_bundle_of_one_byte_more_than_its_limit_is_refused(tiny_config: Config) -> None:
    config = with_gates(tiny_config, max_megabytes=20.0)
    assert not result_of(config, evidence(size=20_000_001), "size of the bundle").passed


def test_the_reports_of_a_refusal_and_of_a_verdict(tiny_config: Config) -> None:
    """A refusal names every gate that refuses, and where the challenger is."""
    passed = GateResult("a", "1", "≤ 2", True, "why a")
    warned = passed._replace(warning=True)
    refused_one = GateResult("b", "3", "≤ 2", False, "why b", warning=True)
    refused_two = GateResult("c", "4", "≤ 2", False, "why c")
    assert [verdict_of(result) for result in (passed, warned, refused_one)] == ["pass", "WARN", "REFUSED"]

    text = refusal_message([refused_one, refused_two], Path("models/tiny/abc"))
    assert text == (
        "this model is not promoted. b: 3, allowed ≤ 2 (why b); c: 4, allowed ≤ 2 (why c). It stays in models/tiny/abc as "
        "the challenger; the champion is unchanged"
    )
