"""Logged inputs against the same rows in data that came later, from a real log and a file of a few rows."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config.config import Config, load
from pipeline.errors import ConfigError, DataError
from pipeline.monitoring import logged_inputs, skew
from pipeline.monitoring.skew import ColumnSkew, SkewResult, TableSkew
from pipeline.runtime import prediction_log
from tests.support.command import Command
from tests.support.parcels import CONFIG as PARCELS
from tests.support.toy import TINY, in_folder

ROW = {"colour": "red", "shape": "round", "size": 1.5, "legs": 4, "when": "2013-01-01T10:00"}
OUTCOME = {"later": 0.5, "good": True}
KEY = "data.key=[legs, when]"

Row = dict[str, Any]


def rows(*changes: Row) -> list[Row]:
    """The same row on one day after another, with a change to each."""
    return [{**ROW, "when": f"2013-01-{day:02}T10:00", **change} for day, change in enumerate(changes, 1)]


class Comparison:
    """A folder with the tiny config, the data that came later, and a log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/log.db"
        (folder / "tiny.yaml").write_text(TINY)
        prediction_log.connect(self.url).dispose()

    def log(self, live: list[Row], request_id: str = "a") -> None:
        """The rows as a server logs them, in one request."""
        engine = prediction_log.connect(self.url)
        logged = {
            "request_id": request_id,
            "time": prediction_log.now(),
            "model": "tiny",
            "version": "v",
            "answer": 0.5,
        }
        records = []
        for number, row in enumerate(live):
            at = datetime.fromisoformat(row["when"])
            records.append({**logged, "row": number, "at": at, "inputs": json.dumps(row)})
        prediction_log.write(engine, records)
        engine.dispose()

    def settings(self, later: list[Row], *overrides: str) -> list[str]:
        pd.DataFrame([{**OUTCOME, **row} for row in later]).to_csv(self.folder / "later.csv", index=False)
        return [*in_folder(self.folder), f"data.path={self.folder}/later.csv", KEY, *overrides]

    def config(self, later: list[Row], *overrides: str) -> Config:
        return load(self.folder / "tiny.yaml", self.settings(later, *overrides))

    def run(self, later: list[Row], *overrides: str, as_of: date | None = None) -> SkewResult:
        return skew.run(self.config(later, *overrides), self.url, as_of)


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return Comparison(tmp_path)


def column(result: SkewResult, name: str) -> ColumnSkew:
    return next(column for column in result.columns if column.column == name)


def test_the_same_rows_have_no_skew(comparison: Comparison) -> None:
    """Neither do values that are missing on both sides. The key itself is not compared."""
    same = rows({}, {"size": None})
    comparison.log(same)
    result = comparison.run(same)
    assert (result.code, result.logged, result.rows, result.ambiguous) == (0, 2, 2, 0)
    assert [(column.column, column.share) for column in result.columns] == [("colour", 0), ("shape", 0), ("size", 0)]
    assert (result.first, result.last) == ("2013-01-01", "2013-01-02")


def test_a_column_with_other_values_later_is_skewed(comparison: Comparison) -> None:
    """It comes first, with its median difference in its unit and in standard deviations of the data: 2, 6 and 4 of which
    the mean is 4 and the standard deviation √(8/3).
    """
    comparison.log(rows({"size": 1}, {"size": 3}, {"size": 4}))
    result = comparison.run(rows({"size": 2}, {"size": 6}, {"size": 4}))
    assert result.code == 6
    assert [column.column for column in result.skewed] == ["size"]
    assert result.columns[0] == ColumnSkew("size", "cm", 3, 0, 0, 2, 2.0, pytest.approx(2 / np.sqrt(8 / 3)))
    assert column(result, "colour").share == 0


@pytest.mark.parametrize("left_out", [{"size": None}, {}])
def test_a_value_that_the_caller_did_not_know_is_skew(comparison: Comparison, left_out: Row) -> None:
    """Whether the caller sends null or leaves the field out."""
    live = rows({})
    del live[0]["size"]
    comparison.log([{**live[0], **left_out}])
    assert comparison.run(rows({})).skewed == [ColumnSkew("size", "cm", 1, 1, 0, 0, None, None)]


def test_a_value_that_the_data_have_lost_is_skew(comparison: Comparison) -> None:
    comparison.log(rows({}))
    assert comparison.run(rows({"size": None})).skewed == [ColumnSkew("size", "cm", 1, 0, 1, 0, None, None)]


def test_text_and_times_are_compared_as_such(comparison: Comparison) -> None:
    """An hour's difference is one, another way to write the same time is none; neither has a median."""
    live = rows({"legs": 1}, {"legs": 2, "when": "2013-01-02T10:00:00"}, {"legs": 3, "colour": "blue"})
    later = rows({"legs": 1, "when": "2013-01-01T11:00"}, {"legs": 2}, {"legs": 3})
    comparison.log(live)
    result = comparison.run(later, "data.key=[legs]")
    assert column(result, "when") == ColumnSkew("when", None, 3, 0, 0, 1, None, None)
    assert column(result, "colour") == ColumnSkew("colour", None, 3, 0, 0, 1, None, None)


def test_a_difference_that_float32_does_not_hold_is_none(comparison: Comparison) -> None:
    comparison.log(rows({"size": 0.1}, {"size": 0.1}))
    result = comparison.run(rows({"size": 0.1 + 1e-9}, {"size": 0.1 + 1e-6}))
    assert column(result, "size").different == 1


@pytest.mark.parametrize(("limit", "names"), [(0.25, []), (0.24, ["size"])])
def test_the_share_itself_is_still_allowed(comparison: Comparison, limit: float, names: list[str]) -> None:
    """One of four rows differs: a column is skewed from a larger share on."""
    comparison.log(rows({}, {}, {}, {"size": 9}))
    result = comparison.run(rows({}, {}, {}, {}), f"monitor.max_skew={limit}")
    assert [column.column for column in result.skewed] == names


def test_a_request_id_that_was_used_twice_counts_once(comparison: Comparison) -> None:
    """The later prediction does. Two requests for the same row are two."""
    comparison.log(rows({"size": 9}))
    comparison.log(rows({}))
    assert (comparison.run(rows({})).rows, comparison.run(rows({})).code) == (1, 0)
    comparison.log(rows({"size": 9}), request_id="b")
    result = comparison.run(rows({}))
    assert (result.rows, column(result, "size").different) == (2, 1)


def test_only_rows_before_the_named_day_are_compared(comparison: Comparison) -> None:
    comparison.log(rows({}, {"size": 9}))
    result = comparison.run(rows({}, {}), as_of=date(2013, 1, 2))
    assert (result.logged, result.code) == (1, 0)


def test_logged_rows_without_a_counterpart_are_counted(comparison: Comparison) -> None:
    comparison.log(rows({}, {}, {}))
    result = comparison.run(rows({}))
    assert (result.logged, result.rows) == (3, 1)


def test_a_private_column_is_not_compared(comparison: Comparison) -> None:
    """The log lacks it, whoever sent it."""
    live = rows({})
    del live[0]["size"]
    comparison.log(live)
    result = comparison.run(rows({}), "columns.size.private=true")
    assert [column.column for column in result.columns] == ["colour", "shape"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.key=[]"], r"data.key: is missing; .*such as `data: {key: \[colour, shape, legs, when\]}`"),
        (["data.key=[later]", "columns.later.nullable=false"], "data.key: later is not part of what callers send, so"),
        (["columns.legs.private=true"], "data.key: legs is private, so the prediction log does not have it"),
    ],
)
def test_without_a_key_in_the_log_it_says_what_to_write(
    comparison: Comparison, overrides: list[str], message: str
) -> None:
    comparison.log(rows({}))
    with pytest.raises(ConfigError, match=message):
        comparison.run(rows({}), *overrides)


def test_a_key_that_rows_of_the_data_share_is_refused(comparison: Comparison) -> None:
    comparison.log(rows({}))
    with pytest.raises(DataError, match=r"data.key: 2 of 3 rows .* such as legs 4.0, when "):
        comparison.run([*rows({}, {}), *rows({"colour": "blue"})])


def test_few_rows_that_share_their_key_are_left_out(comparison: Comparison) -> None:
    """As few as the data may have of rejected rows."""
    comparison.log(rows({}, {}))
    result = comparison.run([*rows({}, {}), *rows({"colour": "blue"})], "data.max_same_key=0.7")
    assert (result.ambiguous, result.rows, result.code) == (2, 1, 0)


def test_without_a_common_row_it_names_the_days_of_both(comparison: Comparison) -> None:
    comparison.log(rows({}, {}))
    later = [{**ROW, "when": "2014-05-01T10:00"}]
    message = (
        r"none of the 2 logged rows of tiny, of 2013-01-01 to 2013-01-02, is in the data \(1 rows, of 2014-05-01\)\. "
        r".*data\.key \(legs, when\)"
    )
    with pytest.raises(DataError, match=message):
        comparison.run(later)


def test_a_log_without_rows_of_the_model_has_nothing(comparison: Comparison) -> None:
    with pytest.raises(DataError, match="the log has no predictions of tiny: there is nothing to compare"):
        comparison.run(rows({}))
    comparison.log(rows({}))
    with pytest.raises(DataError, match="no predictions of tiny before 2013-01-01"):
        comparison.run(rows({}), as_of=date(2013, 1, 1))


def test_a_log_of_another_kind_of_column_is_refused(comparison: Comparison) -> None:
    comparison.log(rows({"size": "large"}))
    with pytest.raises(DataError, match=r"'large'. A column had another kind when this was logged"):
        comparison.run(rows({}))


def test_a_log_is_parsed_in_parts(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logged_inputs, "CHUNK_ROWS", 2)
    live = rows({}, {"size": 2}, {"size": None}, {"colour": "blue"}, {})
    comparison.log(live)
    result = comparison.run(live)
    assert (result.rows, result.code) == (5, 0)


def test_the_day_of_the_servers_table_is_compared_with_trainings() -> None:
    """A table is of use from three o'clock on, for rows two hours later. A row whose caller sent all rolling features
    was not looked up; for one that was logged before there was a column for it, the day is not known.
    """
    contract = load(PARCELS).contract
    times = ["2013-12-02T04:59", "2013-12-02T05:00", "2013-12-02T05:00", "2013-12-02T12:00", "2013-12-02T12:00"]
    days = ["2013-12-01", "2013-12-01", "2013-12-03", "2013-12-01", None]
    absent = np.array([np.nan, np.nan, np.nan, 0.5, np.nan])
    live = dict.fromkeys(contract.rolling, absent)
    later = {"sent": np.array(times, "datetime64[s]")}
    assert skew.compare_tables(days, live, later, contract) == TableSkew(rows=3, older=1, newer=1)


def invoke(comparison: Comparison, command: Command, later: list[Row], *overrides: str) -> Any:
    sets = [word for override in comparison.settings(later, *overrides) for word in ("--set", override)]
    return command("skew", str(comparison.folder / "tiny.yaml"), "--log-url", comparison.url, *sets)


def test_the_command_names_the_column_and_what_to_do(comparison: Comparison, command: Command) -> None:
    comparison.log(rows({}, {"size": 9}))
    ended = invoke(comparison, command, rows({}, {}))
    assert ended.code == 6, ended.stderr
    assert "2 of 2 logged rows, 2013-01-01 to 2013-01-02, are in the data." in ended.stdout
    assert " ".join(ended.stdout.splitlines()[2].split()) == "size * 2 50.0 % 0.0 % 0.0 % 50.0 % 7.5 cm"
    assert "skewed: size, in more than 1 % of the rows" in ended.stdout
    assert "declare it `known: after`" in ended.stdout

    folder = comparison.folder / "reports/tiny.skew"
    written = json.loads((folder / skew.FILE).read_text())
    assert (written["skewed"], written["columns"][0]["share"]) == (["size"], 0.5)
    assert f"Written: {folder}/skew.json" in ended.stdout


def test_the_command_ends_with_0_where_nothing_differs(comparison: Comparison, command: Command) -> None:
    comparison.log(rows({}))
    ended = invoke(comparison, command, rows({}))
    assert ended.code == 0, ended.stderr
    assert "no skew: no column differs in more than 1 % of the rows" in ended.stdout


def test_a_mistake_ends_with_one_message_and_its_code(comparison: Comparison, command: Command) -> None:
    comparison.log(rows({}))
    ended = invoke(comparison, command, rows({}), "data.key=[]")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: data.key: is missing")


def test_a_comparison_that_fails_leaves_the_report_before_it(comparison: Comparison, command: Command) -> None:
    """Rows that cleaning rejects are where the message says."""
    comparison.log(rows({}))
    assert invoke(comparison, command, rows({})).code == 0
    ended = invoke(comparison, command, rows({"size": 99}))
    assert ended.code == 3
    reports = comparison.folder / "reports"
    assert f"All rejected rows: {reports}/tiny.skew.failed/rejected.csv" in ended.stderr
    assert (reports / "tiny.skew.failed/rejected.csv").exists()
    assert json.loads((reports / "tiny.skew" / skew.FILE).read_text())["rows"] == 1


def test_a_killed_comparisons_folder_is_removed(comparison: Comparison) -> None:
    abandoned = comparison.folder / "reports/.unfinished-tiny.skew-abc"
    abandoned.mkdir(parents=True)
    comparison.log(rows({}))
    comparison.run(rows({}))
    assert not abandoned.exists()
