"""Features that know yesterday: what they count, what they may not know yet, and that all ways give the same."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config.config import load
from pipeline.errors import ConfigError
from pipeline.runtime import rolling_features
from pipeline.runtime.contract import Contract
from serve.protocols.explain import rolling_value_text
from tests.support.rolling import REMEMBERS, SIX, rows, shares, tables


@pytest.fixture
def contract(tiny: Path) -> Contract:
    return load(tiny, REMEMBERS).contract


def test_six_rows_worked_out_by_hand(contract: Contract) -> None:
    """(yeses + 2 × 0.5) / (rows + 2): no outcomes are known on the 1st; on the 2nd two reds, both a yes; on the 3rd four.

    Four digits are kept.
    """
    assert shares(contract, SIX) == [0.5, 0.5, 0.5, 0.5, (2 + 1) / (2 + 2), 0.6667]


def test_of_several_classes_the_rows_of_one_are_counted(contract: Contract) -> None:
    """Outcomes are positions of classes: of the reds of the first, one of two is a gold."""
    classes = contract.model_dump() | {"task": "multiclass"}
    classes["columns"]["share"]["rolling"]["of"] = "gold"
    classes["columns"]["good"] |= {"kind": "category", "values": {"tin": "Tin", "gold": "Gold", "lead": "Lead"}}
    columns, outcome, known = rows("red 01T10 1 01T12", "red 01T11 2 01T12", "blue 01T11 0 01T12")
    counts = rolling_features.count_outcomes(columns, outcome, Contract.model_validate(classes), known)["share"]
    day = rolling_features.day_number("2013-01-01")
    assert counts[day] == {(day + 1, ("red",)): (2, 1.0), (day + 1, ("blue",)): (1, 0.0)}


def test_days_that_are_too_long_ago_are_forgotten(contract: Contract) -> None:
    assert shares(contract, ["red 01T10 1 01T12", "red 03T10 0 03T12", "red 04T10 0 04T12"]) == [0.5, 0.6667, 0.3333]


def test_a_row_asked_before_the_hour_has_the_table_of_the_day_before(contract: Contract) -> None:
    """Asked an hour ahead: of rows at seven the question comes at six, when the table of the day has just been made. A
    row asked before that has to do with the table of the day before.
    """
    before, after = shares(contract, [*SIX, "red 02T06 0 02T11", "red 02T07 0 02T11"])[-2:]
    assert (before, after) == (0.5, 3 / 4)
    before, after = shares(contract, [*SIX, "red 03T06 0 04T11", "red 03T07 0 04T11"])[-2:]
    assert (before, after) == (3 / 4, 0.6667)


def test_labels_of_a_day_and_later_change_no_feature_of_that_day(contract: Contract) -> None:
    rng = np.random.default_rng(0)
    lines = [
        f"{rng.choice(['red', 'blue'])} {1 + n // 30:02}T{rng.integers(7, 24):02} {rng.integers(2)}" for n in range(300)
    ]
    lines = [f"{line} {line.split()[1]}" for line in lines]
    found = shares(contract, lines)
    for day in range(1, 11):
        flipped = [
            line
            if int(line.split()[1][:2]) < day
            else line.replace(" 0 ", " x ").replace(" 1 ", " 0 ").replace(" x ", " 1 ")
            for line in lines
        ]
        upto = [n for n, line in enumerate(lines) if int(line.split()[1][:2]) <= day]
        assert [shares(contract, flipped)[n] for n in upto] == [found[n] for n in upto]
        assert shares(contract, flipped) != found or day == 10


def test_shuffling_the_future_changes_nothing(contract: Contract) -> None:
    future = ["red 04T10 1 04T11", "blue 05T10 0 05T11", "red 05T09 0 05T12"]
    assert shares(contract, SIX + future)[:6] == shares(contract, SIX + future[::-1])[:6] == shares(contract, SIX)
    assert shares(contract, SIX[::-1]) == shares(contract, SIX)[::-1]


def test_a_value_that_a_caller_sends_stays(contract: Contract) -> None:
    """Only a missing value is looked up in the table."""
    columns, _, _ = rows("red 03T10 0 03T10", "red 03T10 0 03T10", "green 03T10 0 03T10", "red 02T10 0 03T10")
    asked = {**columns, "share": np.array([0.9, np.nan, np.nan, np.nan])}
    found = rolling_features.fill_from_table(asked, tables(contract), "when")
    assert found["share"].tolist() == [0.9, 0.6667, 0.5, 0.5]  # unknown colour; older than the table
    assert np.isnan(asked["share"][1:]).all()


def test_the_counts_that_were_written_are_read_again(contract: Contract) -> None:
    """A changed file is refused, and so is one that was made for other features."""
    columns, good, told = rows(*SIX)
    day = rolling_features.day_number("2013-01-03")
    tallies = rolling_features.count_outcomes(columns, good, contract, told)
    content = rolling_features.dump_counts(tallies, contract, day)
    again, as_of = rolling_features.load_counts(content, contract)
    assert rolling_features.build_table(again, contract, as_of, {"share": 0.5}) == tables(contract)
    with pytest.raises(ValueError, match="has been changed"):
        rolling_features.load_counts(content.replace(b"red", b"rad"), contract)
    other = contract.model_copy(update={"timing": contract.timing.model_copy(update={"known_at": 5})})
    with pytest.raises(ValueError, match="made for other features"):
        rolling_features.load_counts(content, other)


def test_old_counts_are_followed_by_new_ones_from_a_day_on(contract: Contract) -> None:
    old, new = (
        rolling_features.count_outcomes(*rows(*lines)[:2], contract)
        for lines in (SIX, ["blue 02T10 1 02T11", "red 01T10 0 01T11"])
    )
    joined = rolling_features.merge_counts(old, new, rolling_features.day_number("2013-01-02"))["share"]
    assert {rolling_features.date_of(day): sorted(cells.values()) for day, cells in joined.items()} == {
        "2013-01-01": [(1, 0.0), (3, 3.0)],
        "2013-01-02": [(1, 1.0)],
    }


def test_words_say_of_whom_and_when_or_that_nothing_is_known(contract: Contract) -> None:
    known, time = tables(contract), np.datetime64("2013-01-03T10:00", "s")
    assert (
        rolling_value_text(known, "share", {"colour": "red"}, time, None) == "75 % of red ones (4 known on 2013-01-03)"
    )
    assert rolling_value_text(known, "share", {"colour": "red"}, time, 0.31) == "31 % of red ones"
    assert "no outcomes are known, so the average of 50 %" in rolling_value_text(
        known, "share", {"colour": "green"}, time, None
    )


def test_a_mean_of_numbers_is_no_percentage(contract: Contract) -> None:
    """Also where no outcomes are known of the key, and the prior stands in."""
    table = tables(contract)
    rule, cells = table.features["share"]
    minutes = rule.model_copy(update={"text": "{mean} minutes for {colour} ones"})
    table = table._replace(prior={"share": 12.34}, features={"share": (minutes, cells)})
    time = np.datetime64("2013-01-03T10:00", "s")
    assert rolling_value_text(table, "share", {"colour": "green"}, time, None).endswith(
        "so the average of 12.3 is used"
    )
    assert rolling_value_text(table, "share", {"colour": "red"}, time, 31.2) == "31.2 minutes for red ones"


def test_a_column_of_the_key_may_be_called_like_the_value(contract: Contract) -> None:
    """The sentence then has the value."""
    table = tables(contract)
    rule, _ = table.features["share"]
    table = table._replace(features={"share": (rule.model_copy(update={"by": ["share"], "text": "{share}"}), {})})
    time = np.datetime64("2013-01-03T10:00", "s")
    assert rolling_value_text(table, "share", {"share": "red"}, time, 0.25) == "25 %"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("timing=null", "share is a rolling feature: timing.time has to name a column that a caller sends"),
        ("columns.when.nullable=true", "time: when is not a declared datetime that is known before and never missing"),
        ("timing.time=later", "time: later is not a declared datetime that is known before"),
        ("timing.known=when", "known: when is not a declared datetime that is known after"),
        ("features=[colour, size, share]", "timing.time has to name a column that a caller sends"),
        (
            "features=[size, hour, share]",
            "share: rolling.by names colour, which is no category or integer that a caller sends",
        ),
        ("columns.colour.private=true", "share: rolling.by names colour, which is private"),
        ("columns.share.nullable=false", "a rolling feature is a nullable number that is known before"),
    ],
)
def test_a_memory_that_cannot_be_is_refused(tiny: Path, override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tiny, [*REMEMBERS, override])
