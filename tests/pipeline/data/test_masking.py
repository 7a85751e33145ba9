"""Masked copies of training rows: who is copied, what is missing in a copy, and what the folds get."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.data import masking
from pipeline.data.read import TrainingRows
from pipeline.data.split import Fold
from pipeline.datasets.table import derive
from pipeline.errors import ConfigError
from pipeline.runtime.arrays import Examples, tensors
from pipeline.runtime.rolling_features import RollingState
from tests.support.toy import Toy

ROWS = 1000


def rows_of(config: Config) -> TrainingRows:
    """A thousand complete rows; the size is the number of the row."""
    when = np.full(ROWS, np.datetime64("2013-01-01T12:00:00"))
    request = {
        "colour": np.full(ROWS, "red", dtype=object),
        "shape": np.full(ROWS, "round", dtype=object),
        "size": np.arange(ROWS, dtype=np.float64),
        "legs": np.full(ROWS, 4.0),
        "when": when,
    }
    if "share" in config.columns:
        request["share"] = np.full(ROWS, 0.75)
    data = tensors(derive(request), config.contract)
    examples = Examples(request, data, np.arange(ROWS) % 2 == 0)
    return TrainingRows(examples, when, np.arange(ROWS, dtype=np.uint64), {}, {}, None)


def test_a_copy_lacks_the_optional_columns_and_has_all_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = Toy(tmp_path_factory.mktemp("toy")).config()
    rows = rows_of(config)
    copies = masking.make_copies(config, rows)
    assert len(copies.source) == pytest.approx(0.1 * ROWS, rel=0.3)
    assert np.isnan(copies.examples.request["size"]).all()
    assert (copies.examples.request["legs"] == 4).all()
    assert np.array_equal(copies.examples.target, rows.examples.target[copies.source])
    assert np.isnan(copies.examples.data.numbers[:, config.contract.numbers.index("size")]).all()


def test_no_row_is_copied_twice_and_no_share_makes_no_copies(tmp_path_factory: pytest.TempPathFactory) -> None:
    toy = Toy(tmp_path_factory.mktemp("toy"))
    grouped = toy.config("masking={groups: {measures: [size]}, all: 0.5, per_group: 0.1}")
    source = masking.make_copies(grouped, rows_of(grouped)).source
    assert len(source) == len(set(source.tolist())) == pytest.approx(0.6 * ROWS, rel=0.1)

    none = toy.config("masking.all=0")
    assert len(masking.make_copies(none, rows_of(none)).source) == 0


def test_a_fold_gets_the_copies_of_its_own_training_rows_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = Toy(tmp_path_factory.mktemp("toy")).config()
    copies = masking.make_copies(config, rows_of(config))
    fold = Fold("one", np.arange(300), np.arange(300, 600))
    (extended,) = masking.folds_with_copies([fold], copies, ROWS)

    added = extended.train[300:] - ROWS
    assert set(copies.source[added].tolist()) == {row for row in copies.source.tolist() if row < 300}
    assert np.array_equal(extended.valid, fold.valid)


ROLLING = [
    "columns.share={kind: number, known: before, nullable: true, meaning: Share of yeses lately, "
    'rolling: {by: [colour], days: 2, weight: 2, text: "{share} of {colour} ones"}}',
    "columns.when_minute_of_day={kind: integer, known: before, meaning: Minute, derived_from: [when]}",
    "timing={time: when, known_at: 6, ahead: 1}",
    "features=[colour, size, legs, when_minute_of_day, share]",
]


def test_a_masked_rolling_feature_is_the_mean_of_all_rows(tmp_path: Path) -> None:
    """That is what the server takes for a key without rows."""
    config = Toy(tmp_path).config(*ROLLING)
    rows = rows_of(config)._replace(rolling_state=RollingState({}, prior=0.25, as_of=0))
    masked = masking.mask(config, rows.examples, ["share", "size"], masking.prior_of(rows))
    assert (masked.request["share"] == 0.25).all()
    assert np.isnan(masked.request["size"]).all()
    assert (masked.data.numbers[:, config.contract.numbers.index("share")] == 0.25).all()


def test_a_column_that_is_rarely_missing_and_in_no_group_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    toy = Toy(tmp_path_factory.mktemp("toy"))
    assert masking.rarely_missing(toy.config(), rows_of(toy.config()).examples.request) == {"size": 0.0}

    grouped = toy.config("masking.groups={measures: [size]}")
    assert masking.rarely_missing(grouped, rows_of(grouped).examples.request) == {}


def test_a_group_of_a_column_that_has_to_be_sent_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    toy = Toy(tmp_path_factory.mktemp("toy"))
    with pytest.raises(
        ConfigError, match=r"groups.measures: legs is not a declared column that a caller may leave out"
    ):
        toy.config("masking.groups={measures: [legs]}")


def test_shares_of_more_than_all_rows_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The last group, all optional columns, would get no copies."""
    toy = Toy(tmp_path_factory.mktemp("toy"))
    groups = ", ".join(f"group_{number}: [size]" for number in range(10))
    with pytest.raises(ConfigError, match="for 10 groups, add up to 1.1 of the rows"):
        toy.config(f"masking={{groups: {{{groups}}}, all: 0.1, per_group: 0.1}}")
