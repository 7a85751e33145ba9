"""Tables that cannot be used, by the two commands that a person tries: one message, and nothing is left half-done."""

import gzip
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.pipeline.onboarding.test_new import Rows, csv, customers
from tests.support.command import Command
from tests.support.toy import in_folder

CONFIG = """
name: churn
question: Who leaves?
task: binary
dataset: table
columns:
  customer: {kind: category, known: before, meaning: Customer}
  plan: {kind: category, known: before, meaning: Plan}
  months: {kind: integer, known: before, meaning: Months}
  spent: {kind: number, known: before, meaning: Spent}
  left: {kind: boolean, known: after, meaning: Whether they left}
target: left
features: [plan, months, spent]
split: {by: row, holdout: 0.2, folds: 2}
candidates: {linear: {}}
costs: {miss: 1, false_alarm: 1}
train: {resamples: 20, workers: 1, rare: 2}
"""
BY_TIME = [
    "columns.day={kind: datetime, known: before, meaning: Day}",
    "split={by: time, time: day, holdout: 30 days, folds: 2, fold_length: 30 days}",
]
EMPTY = {name: [""] * 200 for name in customers()}

Train = Callable[..., str]


@pytest.fixture
def train(command: Command, tmp_path: Path) -> Train:
    """Trains on a file, and returns the message with which that is refused."""

    def refused(file: Path, *overrides: str) -> str:
        (tmp_path / "churn.yaml").write_text(CONFIG)
        settings = [*in_folder(tmp_path), f"data.path={file}", *overrides]
        ended = command("train", str(tmp_path / "churn.yaml"), *[f"--set={text}" for text in settings])
        assert ended.code == 3, ended.stderr
        assert not list((tmp_path / "models/churn").glob("[!.]*"))
        return ended.stderr

    return refused


@pytest.fixture
def new(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Makes a config as `make new` does, and returns the message with which that is refused."""

    def refused(file: Path) -> str:
        for name, value in {"NAME": "churn", "CSV": str(file), "TARGET": "left"}.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "configs").mkdir()
        ended = command("new", "--configs", str(tmp_path / "configs"))
        assert (ended.code, ended.stdout, list((tmp_path / "configs").iterdir())) == (3, "", []), ended.stderr
        return ended.stderr

    return refused


def longer(rows: Rows, line: int) -> str:
    """A table whose row on this line has a value more than there are names."""
    lines = csv(rows).splitlines()
    lines[line] += ",more"
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("content", "by_new", "by_train"),
    [
        (csv(customers()).replace("spent", "months", 1), "has the column 'months' 2 times", "no column for 1 of 5"),
        (csv({**customers(), "again": [1] * 200}).replace("again", "months", 1), "months' 2 times", "'months' twice"),
        (csv(customers(20)), "20 rows have an outcome", "all 7 outcomes in the training rows of fold part 1 of 2 are"),
        (csv(customers(1)), "1 rows have an outcome", "fold part 1 of 2 has no rows to train on. Use fewer or shorter"),
        (csv(customers(0)), "has names of columns and no rows", "the data has no rows"),
        (csv({**EMPTY}), "0 rows have an outcome", "left: is missing in all 200 rows: there is nothing to learn from"),
        (csv({**customers(), "left": [""] * 200}), "0 rows have an outcome", "left: is missing in all 200 rows"),
        (csv({**EMPTY, "left": customers()["left"]}), "no column to predict left from. customer is left out: always",
         "plan: missing in 200 rows. Write nullable: true"),
        (csv({"left": customers()["left"]}), "no column to predict left from", "nothing like customer, plan, months"),
        (longer(customers(), 1), "rows have more values than the first line has names", "rows have more values than"),
        (longer(customers(), 9), "Expected 5 fields in line 10, saw 6", "Expected 5 fields in line 10, saw 6"),
        (csv(customers()).replace("C0003", "C\x0003"), "line 5 has a NUL byte", "line 5 has a NUL byte"),
        (csv(customers()).encode("utf-16-le"), "line 1 has a NUL byte: it is no text, or has another encoding, such as",
         "line 1 has a NUL byte"),
        (csv(customers()).replace("basic", '"basic', 1), "EOF inside string", "EOF inside string"),
        (gzip.compress(csv(customers()).encode(), mtime=0)[:100], "Compressed file ended", "Compressed file ended"),
        (b"PAR1 and no more", "Parquet magic bytes not found", "Parquet magic bytes not found"),
        (b"PK\x03\x04", "is an Excel or zip file; save the sheet as CSV", "is an Excel or zip file; save the sheet as"),
        (b"\n\n", "is empty", "cannot be read as .csv: No columns to parse from file"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_is_one_message(
    new: Callable[[Path], str], train: Train, tmp_path: Path, content: str | bytes, by_new: str, by_train: str
) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    assert by_new in new(file)
    assert by_train in train(file)


def test_a_folder_is_no_table(new: Callable[[Path], str], train: Train, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert f"{tmp_path}/data: is a folder; name a file in it" in new(tmp_path / "data")
    assert f"{tmp_path}/data: is a folder; name a file in it" in train(tmp_path / "data")


def test_a_file_without_rights_is_told_so(new: Callable[[Path], str], train: Train, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(csv(customers()))
    file.chmod(0)
    try:
        file.read_bytes()
    except PermissionError:
        assert "t.csv: cannot be read: Permission denied" in new(file)
        assert "t.csv: cannot be read: Permission denied" in train(file)
    else:
        pytest.skip("this user may read everything")


def test_bytes_that_are_no_text_are_named_by_column(new: Callable[[Path], str], train: Train, tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pd.DataFrame({**customers(), "plan": [b"basic", b"\xff\xfe"] * 100}).to_parquet(file)
    sentence = "the column 'plan' holds bytes that are no text; save it as text, or without it"
    assert sentence in new(file)
    assert sentence in train(file)


def test_bytes_that_are_text_are_read_as_text(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pd.DataFrame({**customers(), "plan": [plan.encode() for plan in customers()["plan"]]}).to_parquet(file)
    assert command("new", "churn", str(file), "left", "--configs", str(tmp_path)).code == 0
    assert "plan: {kind: category" in (tmp_path / "churn.yaml").read_text()


def test_lines_may_end_as_on_an_old_mac(command: Command, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(csv(customers()).replace("\n", "\r"))
    ended = command("new", "churn", f"{tmp_path}/t.csv", "left", "--configs", str(tmp_path))
    assert (ended.code, ended.stdout.splitlines()[0]) == (0, f"{tmp_path}/t.csv: 200 rows, 5 columns")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["data.key=[customer]"], "200 of 200 rows have the key of another row"),
        (
            ["split={by: group, group: customer, holdout: 0.2}"],
            "all 200 rows are of one group, as their values are the",
        ),
        (["data.key=[customer]", "data.max_same_key=0.999"], "200 of 200 rows have the key of another row"),
    ],
)
def test_rows_that_share_one_key_cannot_be_divided(
    train: Train, tmp_path: Path, overrides: list[str], sentence: str
) -> None:
    (tmp_path / "t.csv").write_text(csv({**customers(), "customer": ["C1"] * 200}))
    assert sentence in train(tmp_path / "t.csv", *overrides)


def test_rows_that_are_all_alike_cannot_be_divided(train: Train, tmp_path: Path) -> None:
    alike = {name: [values[0]] * 200 for name, values in customers().items()}
    (tmp_path / "t.csv").write_text(csv({**alike, "left": customers()["left"]}))
    assert "all 200 rows are of one row, as their values are the same: name columns that" in train(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("first", "last", "overrides", "sentence"),
    [
        (150, 200, [], "all 110 outcomes in the training rows of fold 20 Apr 2024 to 19 May 2024 are the same, False. Use "
         "fewer or shorter folds"),
        (0, 100, [], "all 30 outcomes in the validation rows of fold 20 Apr 2024 to 19 May 2024 are the same, False. Use "
         "fewer or longer folds"),
        (0, 165, [], "all 30 outcomes in the holdout are the same, False. Use a larger holdout"),
        (1, 200, ["search.sample=0.02"],
         "all 3 outcomes in the sampled rows of fold 20 Apr 2024 to 19 May 2024 are the same, False. Use a larger search.sample, or"),
    ],
)  # fmt: skip
def test_a_fold_with_one_outcome_is_named_with_what_to_do(
    train: Train, tmp_path: Path, first: int, last: int, overrides: list[str], sentence: str
) -> None:
    """A third of the rows from `first` to `last` are positive."""
    left: list[Any] = [first <= n < last and n % 3 == 0 for n in range(200)]
    days = [str(date(2024, 1, 1) + timedelta(days=n)) for n in range(200)]
    (tmp_path / "t.csv").write_text(csv({**customers(), "left": left, "day": days}))
    assert sentence in train(tmp_path / "t.csv", *BY_TIME, *overrides)


def test_every_reason_is_named_where_no_column_is_left(command: Command, tmp_path: Path) -> None:
    rows = customers()
    (tmp_path / "t.csv").write_text(csv({"user": [n // 4 for n in range(200)], "left": rows["left"]}))
    ended = command("new", "churn", f"{tmp_path}/t.csv", "left", "--configs", str(tmp_path))
    assert "no column to predict left from. user is left out: names what several rows are of (50)" in ended.stderr


def test_marks_that_a_config_does_not_know_by_itself_are_declared(command: Command, tmp_path: Path) -> None:
    """Numbers, dates and the target may write n/a; NA in a column of words may be a word."""
    rows = customers()
    rows["months"] = ["n/a" if n % 20 == 0 else month for n, month in enumerate(rows["months"])]
    rows["left"] = ["NA" if n % 25 == 0 else ("gone" if yes else "stayed") for n, yes in enumerate(rows["left"])]
    (tmp_path / "t.csv").write_text(csv(rows))
    ended = command("new", "churn", f"{tmp_path}/t.csv", "left", "--configs", str(tmp_path))
    assert ended.code == 0, ended.stderr

    columns = json.loads(command("config", f"{tmp_path}/churn.yaml").stdout)["columns"]
    assert (columns["months"]["missing"], columns["left"]["missing"]) == (["n/a"], ["NA"])
