"""Masked copies of training rows: who is copied, what is missing in a copy, and what the folds get."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from pipeline.config.config import Config, load
from pipeline.config.training import Masking
from pipeline.data import masking
from pipeline.data.read import TrainingRows
from pipeline.data.split import Fold
from pipeline.datasets.table import derive
from pipeline.errors import ConfigError
from pipeline.runtime.arrays import Examples, tensors
from pipeline.runtime.rolling_features import RollingState

ROWS = 1000


def config_of(tiny: Path, *overrides: str) -> Config:
    """The tiny config with features that need no deriving."""
    return load(tiny, ["features=[colour, size, legs]", *overrides])


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


def test_a_copy_lacks_the_optional_columns_and_has_all_others(tiny: Path) -> None:
    config = config_of(tiny)
    rows = rows_of(config)
    copies = masking.make_copies(config, rows)
    assert len(copies.source) == pytest.approx(0.5 * ROWS, rel=0.1)  # 500 of few rows, and no more than half of them
    assert np.isnan(copies.examples.request["size"]).all()
    assert (copies.examples.request["legs"] == 4).all()
    assert np.array_equal(copies.examples.target, rows.examples.target[copies.source])
    assert np.isnan(copies.examples.data.numbers[:, config.contract.numbers.index("size")]).all()
    assert np.array_equal(copies.examples.data.strings, rows.examples.data.strings[copies.source])


@pytest.mark.parametrize(
    ("declared", "rows", "share"),
    [("auto", 300, 0.5), ("auto", 2500, 0.2), ("auto", 300_000, 0.1), (0.1, 300, 0.1), (0, 300, 0)],
)
def test_of_few_rows_more_are_copied(declared: Literal["auto"] | float, rows: int, share: float) -> None:
    assert Masking(all=declared).share_of_all(rows) == share


def test_a_masked_text_is_empty_as_where_a_caller_leaves_it_out(tiny: Path) -> None:
    config = config_of(tiny, "columns.colour.nullable=true")
    masked = masking.mask(config, rows_of(config).examples, ["colour"], {})
    assert set(masked.request["colour"].tolist()) == {""}
    assert masked.data.strings[:, config.contract.strings.index("colour")].tolist() == [""] * ROWS


def test_the_seed_of_the_training_decides_which_rows_are_copied(tiny: Path) -> None:
    first, again, other = (
        masking.make_copies(config, rows_of(config)).source.tolist()
        for config in (config_of(tiny), config_of(tiny), config_of(tiny, "train.seed=1"))
    )
    assert first == again != other


def test_no_row_is_copied_twice_and_no_share_makes_no_copies(tiny: Path) -> None:
    grouped = config_of(tiny, "masking={groups: {one: [size], two: [size]}, all: 0.5, per_group: 0.1}")
    copies = masking.make_copies(grouped, rows_of(grouped))
    source = copies.source.tolist()
    assert len(source) == len(set(source)) == pytest.approx(0.7 * ROWS, rel=0.1)
    assert len(copies.examples.data.strings) == len(copies.examples.data.numbers) == len(source)

    none = config_of(tiny, "masking.all=0")
    copies = masking.make_copies(none, rows_of(none))
    assert (len(copies.source), len(copies.examples.target)) == (0, 0)


def test_examples_get_all_copies_or_those_of_the_named_rows(tiny: Path) -> None:
    """Without copies they are the examples themselves."""
    config = config_of(tiny)
    rows = rows_of(config)
    copies = masking.make_copies(config, rows)
    sizes = rows.examples.request["size"]
    every = masking.with_copies(rows.examples, copies)
    assert len(every.target) == ROWS + len(copies.source)
    assert every.request["size"][:ROWS].tolist() == sizes.tolist()
    assert np.isnan(every.request["size"][ROWS:]).all()

    second = copies.source[[1]]
    one = masking.with_copies(rows.examples.take(second), copies, second)
    assert one.request["size"].tolist() == pytest.approx([sizes[second[0]], np.nan], nan_ok=True)
    assert one.target.tolist() == [rows.examples.target[second[0]]] * 2

    nothing = masking.make_copies(config_of(tiny, "masking.all=0"), rows)
    assert masking.with_copies(rows.examples, nothing) is rows.examples


def test_copies_are_not_counted_as_rows(tiny: Path) -> None:
    rows = rows_of(config_of(tiny)).examples
    copies = masking.Copies(rows.take(np.array([2, 0])), np.array([2, 0]))
    assert masking.sizes(rows, masking.with_copies(rows, copies)) == f"{ROWS:,} rows and 2 masked copies"
    assert masking.sizes(rows, rows) == f"{ROWS:,} rows"


def test_a_fold_gets_the_copies_of_its_own_training_rows_alone(tiny: Path) -> None:
    config = config_of(tiny)
    copies = masking.make_copies(config, rows_of(config))
    fold = Fold("one", np.arange(300), np.arange(300, 600))
    (extended,) = masking.folds_with_copies([fold], copies, ROWS)

    added = extended.train[300:] - ROWS
    assert set(copies.source[added].tolist()) == {row for row in copies.source.tolist() if row < 300}
    assert np.array_equal(extended.valid, fold.valid)
    assert extended.name == "one"


def test_a_copy_is_in_the_block_of_the_row_that_it_copies(tiny: Path) -> None:
    """Three rows on two days, and copies of the last row and the first."""
    rows = rows_of(config_of(tiny)).examples
    copies = masking.Copies(rows.take(np.array([2, 0])), np.array([2, 0]))
    key = np.array(["1970-01-05T08:00", "1970-01-05T21:00", "1970-01-09T00:00"], dtype="datetime64[s]")
    assert masking.blocks_with_copies(key, copies).tolist() == [4, 4, 8, 8, 4]


ROLLING = [
    "columns.share={kind: number, known: before, nullable: true, meaning: Share of yeses lately, "
    'rolling: {by: [colour], days: 2, weight: 2, text: "{share} of {colour} ones"}}',
    "columns.when_minute_of_day={kind: integer, known: before, meaning: Minute, derived_from: [when]}",
    "timing={time: when, known_at: 6, ahead: 1}",
    "features=[colour, size, legs, when_minute_of_day, share]",
]


def test_a_masked_rolling_feature_is_the_mean_of_all_rows(tiny: Path) -> None:
    """That is what the server takes for a key without rows."""
    config = config_of(tiny, *ROLLING)
    rows = rows_of(config)._replace(rolling_state=RollingState({}, prior={"share": 0.25}, as_of=0))
    masked = masking.make_copies(config, rows).examples
    assert (masked.request["share"] == 0.25).all()
    assert np.isnan(masked.request["size"]).all()
    assert (masked.data.numbers[:, config.contract.numbers.index("share")] == 0.25).all()


def test_a_column_that_is_rarely_missing_and_in_no_group_is_named(tiny: Path) -> None:
    assert masking.rarely_missing(config_of(tiny), rows_of(config_of(tiny)).examples.request) == {"size": 0.0}

    grouped = config_of(tiny, "masking.groups={measures: [size]}")
    assert masking.rarely_missing(grouped, rows_of(grouped).examples.request) == {}
    grouped = config_of(tiny, "masking.groups={texts: [colour]}", "columns.colour.nullable=true")
    assert masking.rarely_missing(grouped, rows_of(grouped).examples.request) == {"size": 0.0}
    required = config_of(tiny, "columns.size.nullable=false")
    assert masking.rarely_missing(required, rows_of(required).examples.request) == {}


@pytest.mark.parametrize(("missing", "named"), [(9, {"colour": 0.009, "size": 0.009}), (10, {}), (500, {})])
def test_rarely_is_fewer_than_one_row_in_a_hundred(tiny: Path, missing: int, named: dict[str, float]) -> None:
    """A number is missing where it is NaN, a text where it is empty."""
    config = config_of(tiny, "columns.colour.nullable=true")
    request = rows_of(config).examples.request
    colour, size = request["colour"].copy(), request["size"].copy()
    colour[:missing] = ""
    size[:missing] = np.nan
    assert masking.rarely_missing(config, {**request, "colour": colour, "size": size}) == named


def test_a_group_of_a_column_that_has_to_be_sent_is_refused(tiny: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"groups.measures: legs is not a declared column that a caller may leave out"
    ):
        config_of(tiny, "masking.groups={measures: [legs]}")


def test_shares_of_more_than_all_rows_are_refused(tiny: Path) -> None:
    """The last group, all optional columns, would get no copies."""
    groups = ", ".join(f"group_{number}: [size]" for number in range(10))
    with pytest.raises(ConfigError, match="for 10 groups, add up to 1.1 of the rows"):
        config_of(tiny, f"masking={{groups: {{{groups}}}, all: 0.1, per_group: 0.1}}")
