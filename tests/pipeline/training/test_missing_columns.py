"""How good predictions are without a group of columns: on the folds, and on the holdout."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.candidates.linear import Linear
from pipeline.config.config import Config, load
from pipeline.data import masking
from pipeline.data.masking import ALL, Copies
from pipeline.data.read import TrainingRows
from pipeline.data.split import Fold
from pipeline.datasets.table import derive
from pipeline.evaluation.metrics import metrics
from pipeline.runtime.arrays import Examples, Tensors, tensors
from pipeline.runtime.rolling_features import RollingState
from pipeline.training import estimators, parallel
from pipeline.training.fold_results import CandidateResult
from pipeline.training.missing import (
    FoldLosses,
    fit_and_score,
    leave_out_tasks,
    mean_losses,
    on_holdout,
    with_constants,
)

ROWS = 400
FOLDS = [
    Fold("early", np.arange(200), np.arange(200, 300)),
    Fold("late", np.arange(300), np.arange(300, 400)),
]
BEST = CandidateResult("linear", Linear(), {})


@pytest.fixture
def config(tiny: Path) -> Config:
    """Size may be left out, and stands in a group too. One process, and no category is rare."""
    overrides = ["features=[colour, size, legs]", "masking.groups={scale: [size]}", "train.workers=1", "train.rare=1"]
    return load(tiny, [*overrides, "train.resamples=50"])


@pytest.fixture
def rows(config: Config) -> TrainingRows:
    """A large size makes the outcome likely; legs help a little; all values are there."""
    rng = np.random.default_rng(0)
    size = rng.random(ROWS) * 10
    legs = rng.integers(0, 9, ROWS).astype(np.float64)
    when = np.full(ROWS, np.datetime64("2013-01-01T12:00:00"))
    request = {
        "colour": rng.choice(["red", "blue"], ROWS).astype(object),
        "shape": np.full(ROWS, "round", dtype=object),
        "size": size, "legs": legs, "when": when,
    }  # fmt: skip
    target = rng.random(ROWS) < 1 / (1 + np.exp(5 - size - legs / 8))
    examples = Examples(request, tensors(derive(request), config.contract), target)
    return TrainingRows(examples, when, np.arange(ROWS, dtype=np.uint64), {}, {}, None)


def losses_on_folds(config: Config, rows: TrainingRows, copies: Copies, folds: list[Fold]) -> dict[str, FoldLosses]:
    results = list(parallel.run(config, parallel.call, leave_out_tasks(config, rows, copies, folds, BEST)))
    return mean_losses(results, list(masking.optional_groups(config)))


def loss_by_hand(config: Config, train: Examples, valid: Tensors, target: np.ndarray) -> float:
    fitted = estimators.fit(BEST.settings, train.data, train.target, config.train)
    return metrics(target, estimators.predict(fitted, valid), config.scoring)["log_loss"]


def test_the_model_learns_from_copies_and_the_other_never_had_the_column(config: Config, rows: TrainingRows) -> None:
    """Both losses are means over the folds, on validation rows that lack the column."""
    copies = masking.make_copies(config, rows)
    masked = masking.mask(config, rows.examples, ["size"], {})
    without = masked._replace(data=with_constants(masked.data))

    of_model = []
    of_other = []
    for fold in FOLDS:
        target = rows.examples.target[fold.valid]
        train = masking.with_copies(rows.examples.take(fold.train), copies, fold.train)
        of_model.append(loss_by_hand(config, train, masked.data.take(fold.valid), target))
        of_other.append(loss_by_hand(config, without.take(fold.train), without.data.take(fold.valid), target))

    losses = losses_on_folds(config, rows, copies, FOLDS)
    assert list(losses) == ["scale", ALL]
    for group in losses.values():
        assert group.of_model == pytest.approx(np.mean(of_model))
        assert group.of_other == pytest.approx(np.mean(of_other))
        assert group.error == pytest.approx(np.std(np.subtract(of_model, of_other), ddof=1) / np.sqrt(2))


def test_without_optional_columns_there_is_nothing_to_compare(tiny: Path, rows: TrainingRows) -> None:
    config = load(tiny, ["features=[colour, legs]", "columns.size.nullable=false"])
    copies = masking.make_copies(config, rows)
    assert leave_out_tasks(config, rows, copies, FOLDS, BEST) == []


def test_every_group_of_validation_rows_gets_a_loss_of_its_own(config: Config, rows: TrainingRows) -> None:
    """The same outcomes, with and without the size: without it the loss is higher."""
    target = rows.examples.target
    masked = masking.mask(config, rows.examples, ["size"], {}).data
    valid = {"all there": rows.examples.data, "without": masked}
    fold = Fold("all", np.arange(ROWS), np.arange(ROWS))
    losses = fit_and_score(config, BEST.settings, rows.examples.data, target, fold, valid)
    assert losses["all there"] == pytest.approx(loss_by_hand(config, rows.examples, rows.examples.data, target))
    assert losses["without"] == pytest.approx(loss_by_hand(config, rows.examples, masked, target))
    assert losses["without"] > losses["all there"] + 0.01


class Sized:
    """A model that predicts 0.7 where the size is known and above 5, 0.2 where it is below, and 0.4 without it."""

    def __init__(self, config: Config) -> None:
        self.position = config.contract.numbers.index("size")

    def __call__(self, data: Tensors) -> np.ndarray:
        size = data.numbers[:, self.position]
        return np.where(np.isnan(size), 0.4, np.where(size > 5, 0.7, 0.2))


def test_the_holdout_is_predicted_without_the_columns_of_the_group(config: Config, rows: TrainingRows) -> None:
    """All predictions are 0.4 then, which is compared with a constant of 0.9."""
    losses = {"scale": FoldLosses(0.5, 0.4, 0.01), ALL: FoldLosses(0.6, 0.55, 0.02)}
    blocks = np.arange(ROWS) // 20
    scale, everything = on_holdout(config, rows.examples, Sized(config), {}, losses, np.full(ROWS, 0.9), blocks)

    expected = metrics(rows.examples.target, np.full(ROWS, 0.4), config.scoring)
    assert (scale.group, scale.columns, everything.group) == ("scale", ["size"], ALL)
    assert scale.folds == (0.5, 0.4, 0.01)
    assert scale.holdout == expected
    assert scale.mean_prediction == pytest.approx(0.4)

    constant = metrics(rows.examples.target, np.full(ROWS, 0.9), config.scoring)["log_loss"]
    assert scale.gain.value == pytest.approx(constant - expected["log_loss"])
    assert scale.gain.low < scale.gain.value < scale.gain.high


def test_the_gain_on_the_holdout_has_an_interval_of_90_percent(config: Config, rows: TrainingRows) -> None:
    """From the bootstrap of the training: its seed and its number of resamples."""
    from pipeline.evaluation.bootstrap import Bootstrap, paired

    losses = {"scale": FoldLosses(0.5, 0.4, 0.0), ALL: FoldLosses(0.5, 0.4, 0.0)}
    blocks = np.arange(ROWS) // 20
    (scale, _) = on_holdout(config, rows.examples, Sized(config), {}, losses, np.full(ROWS, 0.9), blocks)
    predictions = np.full(ROWS, 0.4)
    plan = Bootstrap(config.scoring, 50, config.train.seed)
    target = rows.examples.target
    assert scale.gain == paired(target, np.full(ROWS, 0.9), predictions, blocks, plan, 0.9)["log_loss"]


def with_rolling_feature(tiny: Path) -> Config:
    """The share of yes by colour is the only column that may be left out."""
    share = (
        "columns.share={kind: number, known: before, nullable: true, meaning: Share of yes, minimum: 0, maximum: 1, "
        'rolling: {by: [colour], days: 1, weight: 10, text: "{share} of {colour}"}}'
    )
    timing = "timing={time: when, known_at: 3, ahead: 2}"
    minute = "columns.when_minute_of_day={kind: integer, known: before, derived_from: [when], meaning: Minute}"
    features = "features=[colour, legs, when_minute_of_day, share]"
    return load(tiny, [share, timing, minute, features, "train.resamples=50", "train.workers=1", "train.rare=1"])


def test_a_rolling_feature_gets_the_prior_on_the_folds(tiny: Path, rows: TrainingRows) -> None:
    config = with_rolling_feature(tiny)
    request = {**rows.examples.request, "share": np.random.default_rng(1).random(ROWS)}
    examples = rows.examples._replace(request=request, data=tensors(derive(request), config.contract))
    rolling = rows._replace(examples=examples, rolling_state=RollingState({}, prior={"share": 0.25}, as_of=0))
    copies = masking.make_copies(config, rolling)
    (fold, _) = FOLDS

    train = masking.with_copies(examples.take(fold.train), copies, fold.train)
    masked = masking.mask(config, examples, ["share"], {"share": 0.25}).data.take(fold.valid)
    expected = loss_by_hand(config, train, masked, examples.target[fold.valid])
    losses = losses_on_folds(config, rolling, copies, [fold])
    assert losses[ALL].of_model == pytest.approx(expected)


def test_a_rolling_feature_gets_the_prior_on_the_holdout(tiny: Path, rows: TrainingRows) -> None:
    """The prior stands for a key without rows; nothing else is known where it is left out."""
    config = with_rolling_feature(tiny)
    request = {**rows.examples.request, "share": np.full(ROWS, 0.75)}
    holdout = rows.examples._replace(request=request, data=tensors(derive(request), config.contract))

    class Share:
        def __call__(self, data: Tensors) -> np.ndarray:
            return data.numbers[:, config.contract.numbers.index("share")].astype(np.float64)

    losses = {ALL: FoldLosses(0.5, 0.4, 0.0)}
    (result,) = on_holdout(config, holdout, Share(), {"share": 0.25}, losses, np.full(ROWS, 0.9), np.arange(ROWS) // 20)
    assert result.mean_prediction == pytest.approx(0.25)
