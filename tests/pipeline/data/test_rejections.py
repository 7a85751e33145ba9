"""What a training says of rejected rows: every column and rule, and the keys of the config that accept the values."""

from typing import Any

import pandas as pd
import pytest

from pipeline.config.config import Config
from pipeline.config.splits import GroupSplit
from pipeline.data.clean import clean
from pipeline.data.rejections import refuse_too_many
from pipeline.errors import DataError
from pipeline.runtime.contract import RollingRule

DAYS = ["2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04"]


def table(**changes: list[Any]) -> pd.DataFrame:
    """Four valid rows, with some columns replaced."""
    rows: dict[str, list[Any]] = {
        "colour": ["red", "blue", "red", "blue"],
        "shape": ["round", "square", "round", "round"],
        "size": [1.0, 2.0, None, 3.0],
        "legs": [4, 2, 0, 1],
        "when": DAYS,
        "later": [0.1, 0.2, 0.3, 0.4],
        "good": [True, False, True, False],
    }
    return pd.DataFrame({**rows, **changes})


def with_keys(config: Config, column: str, **keys: Any) -> Config:
    changed = config.columns[column].model_copy(update=keys)
    return config.model_copy(update={"columns": {**config.columns, column: changed}})


def refusal(raw: pd.DataFrame, config: Config) -> list[str]:
    with pytest.raises(DataError) as refused:
        refuse_too_many(clean(raw, config), raw, config, "reports/rejected.csv")
    return str(refused.value).splitlines()


def test_as_many_rows_as_the_limit_may_be_rejected(tiny_config: Config) -> None:
    data = tiny_config.data.model_copy(update={"max_rejected": 0.25})
    lenient = tiny_config.model_copy(update={"data": data})
    raw = table(legs=[4, 9, 0, 1])
    refuse_too_many(clean(raw, lenient), raw, lenient, "")
    assert refusal(table(legs=[4, 9, 9, 1]), lenient)[0] == (
        "2 of 4 rows were rejected, more than data.max_rejected 0.25 allows (1 rows):"
    )


def test_every_column_and_rule_has_a_line_the_largest_first(tiny_config: Config) -> None:
    raw = table(legs=["4", "n/a", "9", "?"], shape=["round", "oval", "round", "round"], later=["a", "b", "c", "d"])
    lines = refusal(raw, tiny_config)
    assert [line.partition(":")[0] for line in lines[1:-1]] == ["  later", "  legs", "  shape", "  legs"]
    assert lines[2] == (
        "  legs: no integer in 2 rows, such as 'n/a' (row 1), '?' (row 3). "
        'Write missing: ["n/a", "?"], nullable: true'
    )
    assert lines[-1].startswith("All rejected rows: reports/rejected.csv. Where the values are right, ")


@pytest.mark.parametrize(
    ("column", "values", "line"),
    [
        ("legs", [4, 2.5, 0, 1], "no integer in 1 row, such as 2.5 (row 1). Write kind: number"),
        ("legs", ["4", "2.5", "?", "1"], 'Write missing: ["?"], nullable: true, kind: number'),
        ("legs", [4, float("inf"), 0, 1], 'Write missing: ["inf"], nullable: true'),
        ("legs", [4, None, 0, 1], "legs: missing in 1 row. Write nullable: true"),
        ("legs", [4, -3, 11, 1], "below minimum 0 or above maximum 8 in 2 rows, such as -3 (row 1), 11 (row 2). "
         "Write minimum: -3, maximum: 11"),
        ("legs", [-9, -9, 0, 1], "Write minimum: -9. Where it stands for a missing value: Write missing: [-9], null"),
        ("size", ["1,5", "2,5", "3", "4"], "such as '1,5' (row 0), '2,5' (row 1). Write decimal: \",\" in data"),
        ("legs", ["1,5", "2", "0", "1"], "such as '1,5' (row 0). Write decimal: \",\" in data, and kind: number"),
        ("size", ["a", "b", "c", "4"], "Write kind: category, or plain numbers in the file"),
        ("size", ["a", "b", "3", "4"], 'size: no number in 2 rows, such as \'a\' (row 0), \'b\' (row 1). '
         'Write missing: ["a", "b"]'),
        ("size", [1, float("inf"), 2, 3], "infinite, or too large for a float32, in 1 row, such as inf (row 1)"),
        ("legs", [4, 10**40, 0, 1], f"Write missing: [{10**40}], nullable: true"),
        ("shape", ["oval", "round", "oval", "flat"], "not one of its values in 3 rows, such as 'oval' (row 0), 'flat' "
         '(row 3). Add to values: {"oval": "oval", "flat": "flat"}'),
        ("colour", ["r" * 101, "red", "red", "red"], "longer than 100 characters in 1 row"),
        ("when", ["31.12.2024", "30.12.2024"] * 2, 'no datetime in 4 rows, such as \'31.12.2024\' (row 0), '
         '\'30.12.2024\' (row 1). Write format: "%d.%m.%Y"'),
        ("when", [*DAYS[:3], "31.12.2024"], "The other rows write dates in another way: write all in one"),
        ("when", [*DAYS[:3], "2013-01-04T10:00Z"], "Write local times in the file, without an offset"),
        ("when", [*DAYS[:3], "soon"], "Fill or leave out these rows: data.key, split or timing needs the column"),
        ("when", [*DAYS[:3], None], "Fill or leave out these rows: data.key, split or timing needs the column"),
        ("good", ["gone", "stayed"] * 2, 'no boolean in 4 rows, such as \'gone\' (row 0), \'stayed\' (row 1). '
         'Write, as it is meant, positive: ["gone"], negative: ["stayed"]'),
        ("good", ["ja", "nein", "nein", "nein"], 'positive: ["ja"], negative: ["nein"]'),
        ("good", ["a", "b", "c", "a"], 'positive: ["a"], negative: ["b", "c"]'),
        ("good", ["yes", "no", "no", "maybe"], 'such as \'maybe\' (row 3). Write missing: ["maybe"]'),
    ],
)  # fmt: skip
def test_a_line_ends_with_the_key_that_accepts_the_values(
    tiny_config: Config, column: str, values: list[Any], line: str
) -> None:
    lines = refusal(table(**{column: values}), tiny_config)
    assert len(lines) == 3
    assert line in lines[1]


def test_keys_that_are_there_already_are_taken_into_account(tiny_config: Config) -> None:
    marked = with_keys(tiny_config, "size", missing=["?"])
    assert refusal(table(size=["1", "n/a", "2", "3"]), marked)[1].endswith('Write missing: ["?", "n/a"]')

    worded = with_keys(tiny_config, "good", positive=["left"], negative=["stayed"])
    values = ["left", "stayed", "gone", "away"]
    assert refusal(table(good=values), worded)[1].endswith("Add 'gone', 'away' to positive or to negative")

    dated = with_keys(tiny_config, "when", format="%d.%m.%Y")
    assert refusal(table(), dated)[1].endswith("Remove format: the dates are ISO 8601")

    coded = with_keys(tiny_config, "colour", pattern="[a-z]{3}")
    assert refusal(table(), coded)[1] == (
        "  colour: unlike the pattern [a-z]{3} in 2 rows, such as 'blue' (row 1). Write another pattern, or none"
    )


def test_many_different_values_are_not_listed(tiny_config: Config) -> None:
    many = pd.concat([table()] * 6, ignore_index=True)
    names = [f"x{n}" for n in range(11)]
    many["size"] = [*names, *range(13)]
    assert refusal(many, tiny_config)[1].endswith("Write on_violation: {type: nullify}")
    many["size"] = 1.0
    many["shape"] = [*names, *["round"] * 13]
    assert refusal(many, tiny_config)[1].endswith("Remove values, or add these 11")


def test_fractions_of_a_key_of_groups_make_a_category_and_no_number(tiny_config: Config) -> None:
    split = GroupSplit(by="group", group="legs", holdout=0.2, folds=2)
    grouped = tiny_config.model_copy(update={"split": split})
    assert refusal(table(legs=[4, 2.5, 0, 1]), grouped)[1].endswith("Write kind: category")
    assert refusal(table(legs=["4", "2.5", "?", "1"]), grouped)[1].endswith(
        "Write kind: category. For the others: Fill or leave out these rows: data.key, split or timing needs the column"
    )


def test_a_key_of_rows_that_lacks_a_number_is_to_be_filled(tiny_config: Config) -> None:
    keyed = tiny_config.model_copy(update={"data": tiny_config.data.model_copy(update={"key": ["legs"]})})
    assert refusal(table(legs=["4", "2.5", "?", "1"]), keyed)[1].endswith(
        "Write kind: number. For the others: Fill or leave out these rows: data.key, split or timing needs the column"
    )


def test_a_key_of_rolling_features_is_not_made_a_number(tiny_config: Config) -> None:
    rule = RollingRule(by=["legs"], days=7, weight=1, text="{share} of them")
    rolling = with_keys(tiny_config, "size", rolling=rule)
    assert refusal(table(legs=[4, 2.5, 0, 1]), rolling)[1].endswith("Write kind: category")


def test_many_numbers_that_are_too_large_are_nullified_by_their_own_rule(tiny_config: Config) -> None:
    many = pd.concat([table()] * 6, ignore_index=True)
    many["size"] = [*(1e39 + n * 1e37 for n in range(11)), *[1.0] * 13]
    assert refusal(many, tiny_config)[1].endswith("Write on_violation: {range: nullify}")


def test_data_without_rows_or_without_any_outcome_is_an_error(tiny_config: Config) -> None:
    assert refusal(table().iloc[:0], tiny_config) == ["the data has no rows"]
    assert refusal(table(good=[None] * 4), tiny_config) == [
        "good: is missing in all 4 rows: there is nothing to learn from"
    ]
