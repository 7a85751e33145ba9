"""Each gate on evidence made by hand. Whole trainings that gates refuse are in test_refused.py."""

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.slices import Slice
from pipeline.training.missing import MissingResult
from tests.support.evidence import evidence, refused, result_of


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


def test_a_short_window_refuses_only_what_is_surely_outside(tiny_config: Config) -> None:
    """The window is too short for more. The answers are of no use, so the figures lie outside their limits, but not
    with their whole intervals.
    """
    noise = np.random.default_rng(0).permutation(evidence().predictions)
    wide = {name: Interval(figure.value, 0.0, 1.0) for name, figure in evidence(predictions=noise).figures.items()}
    asked = tiny_config.gates.model_copy(update={"min_gain": 0.5})
    strict = tiny_config.model_copy(update={"gates": asked})
    surely = tiny_config.model_copy(
        update={"gates": asked.model_copy(update={"use_interval": True, "min_gain": 0.001})}
    )
    limits, below = {"roc_auc on the holdout", "log_loss on the holdout"}, "log_loss below the baseline's"
    weak = evidence(predictions=noise)._replace(figures=wide)
    assert limits | {below} <= set(refused(strict, weak))
    assert not limits & set(refused(surely, weak))
    assert below in refused(surely, weak)
    assert below not in refused(surely, evidence())


def test_a_model_that_is_off_by_a_tenth_is_refused_for_its_calibration(tiny_config: Config) -> None:
    assert "ece on the holdout" in refused(
        tiny_config, evidence(predictions=np.clip(evidence().predictions + 0.1, 0, 1))
    )


def test_a_slice_without_skill_is_refused_and_a_small_one_is_not_judged(tiny_config: Config) -> None:
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
    result = MissingResult("weather", ["size"], fold_loss, 0.50, error, {"log_loss": 0.5}, 0.3, gain)
    assert refused(tiny_config, evidence(missing=[result])) == expected


def test_a_slow_or_large_model_is_refused(tiny_config: Config) -> None:
    tight = tiny_config.model_copy(
        update={"gates": tiny_config.gates.model_copy(update={"max_microseconds": 1e-6, "max_megabytes": 0.5})}
    )
    assert refused(tight, evidence()) == ["median time of one row", "size of the bundle"]
