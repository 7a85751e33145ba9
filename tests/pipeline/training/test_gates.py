"""Each gate on evidence made by hand. Whole trainings that gates refuse are in test_refused.py."""

from typing import Any

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Bootstrap, Interval, with_intervals
from pipeline.evaluation.slices import Slice, slices
from pipeline.runtime.arrays import Examples, Tensors
from pipeline.runtime.contract import Scoring
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.gates import Evidence, evaluate_gates
from pipeline.training.missing import MissingResult

ROWS = 2000


class Instant:
    """A model that answers at once."""

    def __call__(self, data: Tensors) -> np.ndarray:
        return np.zeros(len(data.numbers))


def evidence(**changes: Any) -> Evidence:
    """A calibrated model on two thousand rows over forty days; colour says nothing, size a little."""
    rng = np.random.default_rng(0)
    said = rng.beta(2, 5, ROWS)
    target = rng.random(ROWS) < said
    colour = rng.choice(["red", "blue"], ROWS).astype(object)
    shape = np.full(ROWS, "round", dtype=object)
    numbers = np.column_stack([said + rng.random(ROWS), np.full(ROWS, 4), np.full(ROWS, 17)]).astype(np.float32)
    rows = Examples({"colour": colour, "shape": shape}, Tensors(np.column_stack([colour, shape]), numbers), target)
    made: dict[str, Any] = {
        "train": rows, "holdout": rows, "blocks": np.arange(ROWS) // 50, "predictions": said, "champion": None,
        "export_error": 1e-7, "session": Instant(), "size": 1_000_000,
    } | changes  # fmt: skip
    given = made["holdout"].target, made["predictions"], made["blocks"], Bootstrap(Scoring("binary", 0.25), 50, 0)
    parts = slices(made["holdout"].request, ["colour"], 100, *given)
    return Evidence(**{"figures": with_intervals(*given), "slices": parts, "missing": [], **made})


def champion(said: np.ndarray) -> ChampionPredictions:
    return ChampionPredictions("0123456789abcdef", np.arange(ROWS), said, "evaluated on the same rows")


def refused(config: Config, given: Evidence) -> list[str]:
    return [verdict.gate for verdict in evaluate_gates(config, given) if not verdict.passed]


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


@pytest.mark.parametrize(
    ("worse", "let_out"),
    [(0.05, False), (0.0, True), (-0.05, True)],
)
def test_a_model_is_held_against_the_champion_on_the_same_rows(
    tiny_config: Config, worse: float, let_out: bool
) -> None:
    """The champion is the calibrated model, moved away from or towards what happened."""
    good = evidence()
    towards = np.where(good.holdout.target, 1.0, 0.0)
    said = (
        good.predictions + worse * (towards - good.predictions)
        if worse > 0
        else good.predictions - worse * (0.5 - good.predictions)
    )
    found = next(v for v in evaluate_gates(tiny_config, evidence(champion=champion(said))) if "champion" in v.gate)
    assert found.passed is let_out, found


def test_a_champion_that_cannot_be_asked_refuses_the_new_model(tiny_config: Config) -> None:
    """The reason of the refusal names what to do."""
    silent = ChampionPredictions("0123456789abcdef", np.empty(0, int), np.empty(0), "gone. Bring it back")
    (found,) = [v for v in evaluate_gates(tiny_config, evidence(champion=silent)) if not v.passed]
    assert (found.gate, found.why) == ("log_loss against the champion", "gone. Bring it back")


def test_only_the_rows_that_the_champion_spoke_of_are_compared(tiny_config: Config) -> None:
    """It is far better, but on the rows that it has no answer for."""
    good = evidence()
    known = np.arange(100, ROWS)
    half = ChampionPredictions("0123456789abcdef", known, good.predictions[known], "from its record")
    found = next(v for v in evaluate_gates(tiny_config, evidence(champion=half)) if "champion" in v.gate)
    assert found.passed
    assert "on 1,900 rows" in found.why


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


@pytest.mark.parametrize("how", ["copy", "missing"])
def test_a_feature_that_tells_the_outcome_alone_is_refused_by_name(tiny_config: Config, how: str) -> None:
    given = evidence()
    numbers = given.train.data.numbers.copy()
    numbers[:, 1] = given.train.target if how == "copy" else np.where(given.train.target, np.nan, 4)
    leaked = given.train._replace(data=Tensors(given.train.data.strings, numbers))
    (found,) = [v for v in evaluate_gates(tiny_config, evidence(train=leaked)) if not v.passed]
    assert (found.gate, found.value) == ("roc_auc of a single feature", "legs 1.000")


@pytest.mark.parametrize(
    ("max_gain", "warn_gain", "skill_of_champion", "passed", "warning"),
    [
        (0.3, 0.25, 0.0, True, False),
        (0.3, 0.05, 0.0, True, True),
        (0.05, 0.025, 0.0, False, True),
        (0.05, 0.025, 0.9, True, True),
    ],
)
def test_a_gain_that_is_too_large_warns_and_then_refuses(
    tiny_config: Config, max_gain: float, warn_gain: float, skill_of_champion: float, passed: bool, warning: bool
) -> None:
    """The champion predicts one half for all rows; the model's log loss is 0.1 to 0.25 lower. A champion that was once
    better than the new model has decayed, so its loss proves no leak.
    """
    rule = tiny_config.gates.champion.model_copy(update={"max_gain": max_gain, "warn_gain": warn_gain})
    config = tiny_config.model_copy(update={"gates": tiny_config.gates.model_copy(update={"champion": rule})})
    decayed = champion(np.full(ROWS, 0.5))._replace(metrics={"skill": {"high": skill_of_champion}})
    given = evidence(champion=decayed)
    (gain,) = [result for result in evaluate_gates(config, given) if "below the champion's" in result.gate]
    assert (gain.passed, gain.warning) == (passed, warning)


def test_the_slices_at_both_ends_are_named(tiny_config: Config) -> None:
    ends = [
        Slice("colour", "red", 500, {"roc_auc": Interval(0.62, 0.61, 0.63)}),
        Slice("colour", "green", 500, {"roc_auc": Interval(0.7, 0.69, 0.71)}),
        Slice("colour", "blue", 500, {"roc_auc": Interval(0.95, 0.94, 0.96)}),
    ]
    (result,) = [
        found for found in evaluate_gates(tiny_config, evidence(slices=ends)) if found.gate == "roc_auc by colour"
    ]
    assert result.value == "lowest red 0.62 (0.61 to 0.63), highest blue 0.95 (0.94 to 0.96)"
    assert not result.passed  # 0.94 is above the limit of 0.9


@pytest.mark.parametrize(
    ("fold_loss", "gain", "expected"),
    [
        (0.50, Interval(0.02, 0.01, 0.03), []),
        (0.509, Interval(-0.02, -0.03, -0.01), []),
        (0.511, Interval(0.02, 0.01, 0.03), ["log_loss on the folds without weather"]),
        (0.50, Interval(-0.02, -0.03, -0.011), ["log_loss on the holdout without weather"]),
    ],
)
def test_a_model_that_misreads_missing_columns_is_refused(
    tiny_config: Config, fold_loss: float, gain: Interval, expected: list[str]
) -> None:
    """On the folds, 0.01 more than a model without the columns is allowed; on the holdout, 0.01 more than a constant."""
    result = MissingResult("weather", ["size"], fold_loss, 0.50, {"log_loss": 0.5}, 0.3, gain)
    assert refused(tiny_config, evidence(missing=[result])) == expected


def test_a_slow_or_large_model_is_refused(tiny_config: Config) -> None:
    tight = tiny_config.model_copy(
        update={"gates": tiny_config.gates.model_copy(update={"max_microseconds": 1e-6, "max_megabytes": 0.5})}
    )
    assert refused(tight, evidence()) == ["median time of one row", "size of the bundle"]
