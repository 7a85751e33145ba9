"""`make new`: what it makes of small tables with the habits of real files."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline.config.config import Config, load
from pipeline.data.read import read
from pipeline.errors import ConfigError, DataError
from pipeline.onboarding.names import field_name
from pipeline.onboarding.new import new, suspicious
from pipeline.onboarding.summary import lines
from pipeline.onboarding.write import Proposal
from pipeline.runtime.request_model import request_model
from tests.support.command import Command

Rows = dict[str, list[Any]]
Make = Callable[..., Proposal]


def customers(count: int = 200, seed: int = 0) -> Rows:
    """Made-up customers; who has few months leaves more often."""
    draw = random.Random(seed)
    months = [draw.randint(1, 72) for _ in range(count)]
    left = [draw.random() < 0.8 - month / 100 for month in months]
    plan = [draw.choice(["basic", "plus"]) for _ in range(count)]
    spent = [round(month * draw.uniform(20, 110), 2) for month in months]
    return {
        "customer": [f"C{n:04}" for n in range(count)],
        "plan": plan,
        "months": months,
        "spent": spent,
        "left": left,
    }


def csv(rows: Rows, delimiter: str = ",") -> str:
    return pd.DataFrame(rows).to_csv(index=False, sep=delimiter)


def content_of(rows: Rows, kind: str) -> bytes:
    frame = pd.DataFrame(rows)
    return frame.to_parquet() if kind == "parquet" else frame.to_csv(index=False).encode()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the config of a table, whose content it is given."""
    (tmp_path / "configs").mkdir()

    def made(content: str | bytes, target: str = "left", positive: str | None = None, name: str = "t.csv") -> Proposal:
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(raw)
        return new("churn", tmp_path / name, target, tmp_path / "configs", positive)

    return made


def config_of(made: Proposal) -> Config:
    return load(made.table.path.parent / "configs/churn.yaml")


def text_of(made: Proposal) -> str:
    return (made.table.path.parent / "configs/churn.yaml").read_text(encoding="utf-8")


def test_a_plain_table_becomes_a_config_that_loads(make: Make) -> None:
    config = config_of(make(csv(customers())))
    assert (config.task, config.target, config.split.by) == ("binary", "left", "row")
    assert config.features == ["plan", "months", "spent"]
    assert {name: config.columns[name].kind for name in config.features} == {
        "plan": "category", "months": "integer", "spent": "number",
    }  # fmt: skip
    assert config.data.key == ["customer"]
    assert config.columns["months"].example == sorted(customers()["months"])[99]


def test_a_config_that_is_there_is_not_overwritten(make: Make, tmp_path: Path) -> None:
    (tmp_path / "configs/churn.yaml").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        make(csv(customers()))
    assert (tmp_path / "configs/churn.yaml").read_text() == "mine"


def test_a_name_that_cannot_be_one_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(csv(customers()))
    with pytest.raises(ConfigError, match="should be small letters"):
        new("My Churn", tmp_path / "t.csv", "left", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("content", "key", "value"),
    [
        (csv(customers(), ";"), "delimiter", ";"),
        (csv(customers(), "\t"), "delimiter", "\t"),
        (csv(customers()).replace("basic", "café").encode("cp1252"), "encoding", "cp1252"),
        (csv(customers()).encode("utf-16"), "encoding", "utf-16"),
        (gzip.compress(csv(customers()).encode()), "delimiter", ","),
        (csv(customers(), ";").replace(".", ","), "decimal", ","),
        (csv({**customers(), "plan": ["?", "basic"] * 100}), "missing", ["?"]),
    ],
)
def test_how_a_file_is_written_is_found_out(make: Make, content: str | bytes, key: str, value: object) -> None:
    created = make(content)
    config = config_of(created)
    assert getattr(config.data, key) == value
    assert config.columns["spent"].kind == "number"


def test_a_parquet_file_is_a_table_too(make: Make, tmp_path: Path) -> None:
    pd.DataFrame(customers()).to_parquet(tmp_path / "source.parquet")
    config = config_of(make((tmp_path / "source.parquet").read_bytes(), name="t.parquet"))
    assert config.features == ["plan", "months", "spent"]


@pytest.mark.parametrize(
    ("yes", "no"), [("Y", "N"), (">50K", "<=50K"), (2, 1), ("left", "stayed"), (1, 0), ("True", "False")]
)
def test_the_positive_of_two_values_is_named(make: Make, yes: object, no: object) -> None:
    table = {**customers(), "left": [yes if left else no for left in customers()["left"]]}
    created = make(csv(table))
    target = config_of(created).columns["left"]
    assert created.outcome.notes[-1].startswith(f"yes is '{yes}', ")
    assert (target.positive or [str(yes)]) == [str(yes)]
    assert (target.negative or [str(no)]) == [str(no)]


def test_one_of_three_values_can_be_chosen_against_the_rest(make: Make) -> None:
    table = {**customers(), "left": ["gone", "paused", "stayed", "stayed"] * 50}
    target = config_of(make(csv(table), positive="gone")).columns["left"]
    assert (target.positive, target.negative) == (["gone"], ["paused", "stayed"])


def test_a_number_of_many_values_is_a_regression(make: Make) -> None:
    config = config_of(make(csv(customers()), target="spent"))
    assert (config.task, config.question) == ("regression", "What is spent?")


def test_dates_split_by_time_and_have_their_format(make: Make) -> None:
    days = pd.date_range("2024-01-01", periods=200).strftime("%d/%m/%Y").tolist()
    config = config_of(make(csv({**customers(), "joined": days})))
    assert (config.split.by, config.columns["joined"].format) == ("time", "%d/%m/%Y")
    assert "joined_day_of_week" in config.features


def test_rows_of_one_customer_stay_together(make: Make) -> None:
    config = config_of(make(csv({**customers(), "customer": [f"C{n // 4}" for n in range(200)]})))
    assert (config.split.by, "customer" in config.features) == ("group", False)


def test_the_name_of_a_customer_is_no_feature_beside_a_time_either(make: Make) -> None:
    days = pd.date_range("2024-01-01", periods=200).astype(str).tolist()
    created = make(csv({**customers(), "customer": [f"C{n // 4}" for n in range(200)], "ordered": days}))
    assert config_of(created).split.by == "time"
    assert "customer" not in config_of(created).features
    assert any("customer: names what several rows are of (50)" in line for line in lines(created, Path("churn.yaml")))


@pytest.mark.parametrize("missing", ["?", ""])
def test_identifiers_of_which_one_is_missing_are_no_key(make: Make, missing: str) -> None:
    created = make(csv({**customers(), "customer": [missing, *customers()["customer"][1:]]}))
    assert config_of(created).data.key == []


def test_the_end_of_a_contract_is_not_the_time_of_the_split(make: Make) -> None:
    days = pd.date_range("2024-01-01", periods=200).astype(str).tolist()
    later = pd.date_range("2026-01-01", periods=200).astype(str).tolist()
    created = make(csv({"valid_until": later[::-1], "ordered": days, **customers()}))
    assert config_of(created).split.model_dump()["time"] == "ordered"
    assert "look at: valid_until: is this date known before the outcome?" in "\n".join(lines(created, Path("a")))


def test_dates_without_a_time_of_day_are_dates_in_requests(make: Make) -> None:
    days = pd.date_range("2024-01-01", periods=200).astype(str).tolist()
    contract = config_of(make(csv({**customers(), "ordered": days}))).contract
    row = {"plan": "basic", "months": 3, "spent": 5.0}
    assert request_model(contract).model_validate({**row, "ordered": "2024-02-29"}).model_dump()["ordered"] == (
        "2024-02-29T00:00"
    )
    with pytest.raises(ValidationError, match="Should be a date that exists, such as 2024-03-01"):
        request_model(contract).model_validate({**row, "ordered": "2023-02-29"})


@pytest.mark.parametrize(("one", "other"), [("pay later", "Pay  Later"), ("Yes", "yes "), ("cheque", "cheque ")])
def test_values_that_differ_in_capitals_or_blanks_are_pointed_out(make: Make, one: str, other: str) -> None:
    created = make(csv({**customers(), "plan": [one, other, "cash", "cash"] * 50}))
    note = f"look at: plan: {one!r} and {other!r} count as different values"
    assert any(line.startswith(note) for line in lines(created, Path("churn.yaml")))


def test_classes_and_answers_that_differ_in_blanks_are_pointed_out(make: Make, tmp_path: Path) -> None:
    created = make(csv({**customers(), "left": ["gone", "gone ", "stayed", "paused"] * 50}))
    assert config_of(created).classes == ("gone", "gone ", "paused", "stayed")
    assert created.outcome.notes[-1].startswith("'gone' and 'gone ' count as different classes: write them alike")
    (tmp_path / "configs/churn.yaml").unlink()
    created = make(csv({**customers(), "left": ["gone", "Gone ", "stayed", "stayed"] * 50}), positive="gone")
    assert created.outcome.notes == ["'gone' and 'Gone' count as one value", "yes is 'Gone', 100 of 200 rows (50%)"]


def test_the_question_about_a_leak_comes_before_any_other_note(make: Make) -> None:
    months = random.Random(0).sample(range(0, 5000, 3), 200)
    score = [month + 9000 * left for month, left in zip(months, customers()["left"], strict=True)]
    about = [line for line in lines(make(csv({**customers(), "score": score})), Path("a")) if "score" in line]
    assert [line.partition(" (")[0] for line in about] == ["look at: score: tells the outcome by itself"]


def test_a_question_that_is_the_name_of_the_target_reads_as_one(make: Make) -> None:
    rows = customers()
    answers = ["Left!" if left else "stayed" for left in rows.pop("left")]
    created = make(csv({**rows, "Gone?": answers}), target="Gone?", positive="Left!")
    assert config_of(created).question == "Is Gone Left?"


def test_what_stands_for_missing_in_the_file_does_so_in_a_request(make: Make) -> None:
    contract = config_of(make(csv({**customers(), "plan": ["?", "basic", "plus", "plus"] * 50}))).contract
    row = request_model(contract).model_validate({"plan": "?", "months": 3, "spent": 5.0})
    assert row.model_dump()["plan"] is None


def test_rows_that_break_a_rule_are_left_to_the_training_to_say(make: Make, tmp_path: Path) -> None:
    created = make(csv(customers()))
    strict = [guess._replace(keys={**guess.keys, "maximum": 60}) for guess in created.guesses if guess.name == "months"]
    assert suspicious(created._replace(guesses=strict), tmp_path) == {}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("value", [1e300, -1e39, float("inf")])
def test_numbers_that_are_too_large_for_a_model_are_missing(make: Make, kind: str, value: float) -> None:
    months = [value if n % 20 == 0 else float(month) for n, month in enumerate(customers()["months"])]
    created = make(content_of({**customers(), "months": months}, kind), name=f"t.{kind}")
    rows = read(config_of(created), created.table.path.parent)
    assert int(np.isnan(rows.examples.request["months"]).sum()) == 10
    note = f"months: infinite or too large for a float32 in 10 of 200 rows, such as {value:g}: taken as missing"
    assert f"look at: {note}" in lines(created, Path("churn.yaml"))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_outcome_that_is_too_large_for_a_model_is_refused(make: Make, kind: str) -> None:
    spent = [1e300, float("inf"), *customers()["spent"][2:]]
    with pytest.raises(
        DataError, match=r"^spent: 2 rows have an outcome that is infinite or .*, such as 1e\+300: leave"
    ):
        make(content_of({**customers(), "spent": spent}, kind), target="spent", name=f"t.{kind}")


def test_a_column_of_numbers_that_are_mostly_too_large_is_left_out(make: Make) -> None:
    created = make(csv({**customers(), "size": [1e39 + n * 1e37 for n in range(200)]}))
    assert "size" not in config_of(created).features
    assert "left out: infinite or too large for a float32 in 200 of 200 rows, such as 1e+39: write their" in text_of(
        created
    )


@pytest.mark.parametrize("name", ["bid", "paid", "grid", "Raid", "valid", "casino", "monkey"])
def test_letters_at_the_end_of_a_word_make_no_identifier(make: Make, name: str) -> None:
    created = make(csv({**customers(), name: [n * 37 % 1009 for n in range(1, 201)], "all": [0, 1] * 100}))
    assert name in config_of(created).features


@pytest.mark.parametrize(
    "name", ["customer_id", "customerId", "ID", "id", "CustomerID", "Order No", "userid", "no", "Key"]
)
def test_unique_numbers_with_the_name_of_an_identifier_are_a_key(make: Make, name: str) -> None:
    config = config_of(
        make(csv({**customers(), name: [n * 37 % 1009 for n in range(1, 201)]}).replace("customer,", "c,"))
    )
    assert config.columns[field_name(name)].kind == "integer"
    assert field_name(name) not in config.features


@pytest.mark.parametrize("groups", [120, 190])
@pytest.mark.parametrize("name", ["client_id", "AccountNo", "user"])
@pytest.mark.parametrize("missing", [[], [""]])
def test_an_identifier_that_repeats_is_no_feature_beside_a_time(
    make: Make, groups: int, name: str, missing: list[object]
) -> None:
    numbers = [*missing, *(1000 + n * 37 % groups for n in range(200 - len(missing)))]
    days = pd.date_range("2024-01-01", periods=200).astype(str).tolist()
    created = make(csv({**customers(), name: numbers, "ordered": days}))
    config = config_of(created)
    assert (config.split.by, field_name(name) in config.features) == ("time", False)
    assert f"  # {name}: left out: names what several rows are of ({groups}" in text_of(created)


def test_few_values_with_the_name_of_an_identifier_are_a_feature(make: Make) -> None:
    assert "store_no" in config_of(make(csv({**customers(), "store_no": [n * 37 % 9 for n in range(200)]}))).features


@pytest.mark.parametrize(
    ("values", "classes"),
    [(["0,5", "1,0", "1,5"], ("0,5", "1,0", "1,5")), (["0,5", "1", "1,5", "2"], ("0,5", "1,5", "1", "2"))],
)
def test_classes_with_a_decimal_comma_are_as_the_file_writes_them(
    make: Make, values: list[str], classes: tuple[str, ...]
) -> None:
    left = [values[n * 7 % len(values)] for n in range(200)]
    config = config_of(make(csv({**customers(), "left": left}, ";").replace(".", ",")))
    assert (config.classes, config.columns["spent"].kind) == (classes, "number")
    assert read(config, Path(config.data.path or "").parent).about["rows"]["valid"] == 200


def test_the_larger_of_two_numbers_with_a_comma_is_the_yes(make: Make) -> None:
    created = make(csv({**customers(198), "left": ["2,5", "10,0", "10,0"] * 66}, ";"))
    assert config_of(created).columns["left"].positive == ["10,0"]


def test_a_number_with_a_comma_among_whole_ones_is_a_number(make: Make) -> None:
    rates = ["0,5" if n % 10 == 0 else str(n % 7) for n in range(200)]
    config = config_of(make(csv({**customers(), "rate": rates}, ";").replace(".", ",")))
    assert (config.data.decimal, config.columns["rate"].kind) == (",", "number")


@pytest.mark.parametrize("header", ["", "Unnamed: 0"])
@pytest.mark.parametrize(
    "index",
    [
        list(range(200)),
        random.Random(0).sample(range(1000), 200),
        [*range(100), *range(100)],
    ],
)
def test_row_numbers_without_a_name_are_left_out(make: Make, header: str, index: list[int]) -> None:
    created = make(csv({header: index, **customers()}))
    assert config_of(created).features == ["plan", "months", "spent"]
    assert "# Unnamed: 0: left out: numbers the rows: an index that was written without a name" in text_of(created)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_values_without_a_name_get_one_and_are_read_by_it(make: Make, kind: str) -> None:
    created = make(content_of({"": ["north", "south"] * 100, **customers()}, kind), name=f"t.{kind}")
    config = config_of(created)
    assert (config.features[0], config.columns["Unnamed_0"].source) == ("Unnamed_0", "Unnamed: 0")
    assert read(config, created.table.path.parent).examples.request["Unnamed_0"][0] == "north"
    assert any(line.startswith("look at: Unnamed: 0: has no name in the file") for line in lines(created, Path("a")))


def test_two_columns_without_a_name_are_not_one_name_twice(make: Make) -> None:
    table = csv({**customers(), "x": ["a", "b"] * 100, "y": [n * 7 % 13 for n in range(200)]})
    assert config_of(make(table.replace(",x,y", ",,"))).features[-2:] == ["Unnamed_5", "Unnamed_6"]


def test_words_for_missing_are_counted_where_no_words_are(make: Make) -> None:
    months = [("NA", "-999.0", month)[min(n % 20, 2)] for n, month in enumerate(customers()["months"])]
    flag = [("NA", "True", "False")[n % 3] for n in range(200)]
    created = make(csv({**customers(), "months": months, "flag": flag, "plan": ["NA", "EU"] * 100}))
    assert "missing values: flag 67, months 20" in lines(created, Path("a"))
    assert config_of(created).columns["flag"].kind == "boolean"


def test_marks_with_blanks_after_them_are_missing_too(make: Make) -> None:
    months = ["? " if n % 20 == 0 else month for n, month in enumerate(customers()["months"])]
    created = make(csv({**customers(), "months": months, "plan": ["? ", "basic", "plus", "plus"] * 50}))
    request = read(config_of(created), created.table.path.parent).examples.request
    assert (int(np.isnan(request["months"]).sum()), request["plan"][0]) == (10, "")


def test_dates_with_blanks_after_them_are_dates(make: Make) -> None:
    days = [f"2024-01-{n % 28 + 1:02} " for n in range(200)]
    created = make(csv({**customers(), "ordered": days}))
    assert read(config_of(created), created.table.path.parent).about["rows"]["valid"] == 200


def test_times_of_which_some_have_an_offset_are_left_out(make: Make) -> None:
    days = [f"2024-01-{n % 28 + 1:02}T00:00:00{'Z' * (n % 2)}" for n in range(200)]
    assert "# day: left out: times with an offset" in text_of(make(csv({**customers(), "day": days})))


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (["NL"] * 200, "always NL"),
        ([f"note {n} of a customer" for n in range(200)], "text: 200 different values in 200 rows"),
        (list(range(200)), "counts the rows"),
        (list(range(0, 1000, 5)), "goes on from row to row"),
        (list(range(1000, 0, -5)), "goes on from row to row"),
        ([""] * 200, "always empty"),
        (customers()["months"], "the same as months"),
        ([f"${n},000.50" for n in range(1, 201)], "numbers with other signs, such as $1,000.50"),
        (["2024-01-01T00:00:00Z"] * 100 + ["2024-02-01T00:00:00Z"] * 100, "times with an offset"),
        (["x" * 101, "y"] * 100, "text: up to 101 characters"),
    ],
)
def test_what_says_nothing_of_a_new_row_is_left_out(make: Make, column: list[object], reason: str) -> None:
    created = make(csv({**customers(), "extra": column}))
    left_out = {guess.header: guess.left_out for guess in created.guesses}
    assert left_out["extra"].startswith(reason)
    assert "extra" not in config_of(created).features
    assert f"left out: {reason}" in text_of(created)


@pytest.mark.parametrize("positive", [None, "yes", "YES"])
def test_answers_that_differ_in_case_are_one(make: Make, positive: str | None) -> None:
    rows = customers()
    answers = [("yes", "Yes", "YES")[n % 3] if left else ("no", "No")[n % 2] for n, left in enumerate(rows["left"])]
    created = make(csv({**rows, "left": answers}), positive=positive)
    assert config_of(created).columns["left"].positive == []
    assert any(f"yes is 'yes', {sum(rows['left'])} of 200 rows" in line.lower() for line in lines(created, Path("a")))


@pytest.mark.parametrize("positive", ["gone", "Gone", " GONE "])
def test_every_spelling_of_the_values_is_in_the_config(make: Make, positive: str) -> None:
    states = [("gone", "Gone", "paused", "stayed")[n % 4] for n in range(200)]
    target = config_of(make(csv({**customers(), "left": states}), positive=positive)).columns["left"]
    assert [*target.positive] == ["Gone", "gone"]
    assert [*target.negative] == ["paused", "stayed"]


@pytest.mark.parametrize(
    ("values", "classes"),
    [(["gone", "paused", "stayed", "stayed"], ["gone", "paused", "stayed"]), ([10, 2, 1, 1], ["1", "2", "10"])],
)
def test_three_values_or_more_are_classes(make: Make, values: list[object], classes: list[str]) -> None:
    created = make(csv({**customers(), "left": values * 50}))
    config = config_of(created)
    assert (config.task, config.classes, config.costs) == ("multiclass", tuple(classes), None)
    assert config.question == "Which left is it?"
    assert created.outcome.notes[-1] == f"3 classes: 100 rows of '{values[-1]}' to 50 of '{values[0]}'"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([f"state {n % 60}" for n in range(1200)], "has 60 values, and a model tells 50 classes apart at most"),
        (["a", "b"] * 600 + ["c"] * 9, "9 of 1,209 rows are 'c'; folds and a holdout need 10 of each class"),
    ],
)
def test_classes_that_no_model_can_learn_are_refused(make: Make, values: list[str], said: str) -> None:
    with pytest.raises(DataError, match=f"{said}.*POSITIVE="):
        make(csv({**customers(len(values)), "left": values}))


@pytest.mark.parametrize("name", ["no", "on", "null"])
def test_a_name_that_yaml_misreads_is_quoted(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.csv").write_text(csv(customers()))
    new(name, tmp_path / "t.csv", "left", tmp_path)
    assert load(tmp_path / f"{name}.yaml").name == name


def test_missing_values_are_counted_and_the_format_of_dates_is_said(make: Make) -> None:
    days = pd.date_range("2024-01-01", periods=200).strftime("%d/%m/%Y").tolist()
    months = ["?" if n % 20 == 0 else month for n, month in enumerate(customers()["months"])]
    printed = list(lines(make(csv({**customers(), "months": months, "joined": days})), Path("churn.yaml")))
    assert "missing values: months 10" in printed
    assert "look at: joined: dates are read as %d/%m/%Y, such as 01/01/2024" in printed


def test_a_number_far_from_all_others_is_a_missing_one(make: Make) -> None:
    months = [-999 if n % 20 == 0 else month for n, month in enumerate(customers()["months"])]
    created = make(csv({**customers(), "months": months}))
    assert config_of(created).columns["months"].missing == [-999]
    assert "look at: months: -999 stands there 10 times, far from all others: taken as missing" in lines(
        created, Path("churn.yaml")
    )


def test_whole_numbers_that_no_rows_share_are_pointed_out(make: Make) -> None:
    created = make(csv({**customers(), "balance": [n * 37 % 1009 for n in range(1, 201)]}))
    assert "balance" in config_of(created).features
    assert any(line.startswith("look at: balance: no two rows share") for line in lines(created, Path("churn.yaml")))


def test_codes_with_a_leading_zero_are_no_numbers(make: Make) -> None:
    config = config_of(make(csv({**customers(), "office": ["007", "012"] * 100})))
    assert config.columns["office"].kind == "category"


def test_names_that_are_no_fields_get_a_source(make: Make) -> None:
    table = customers()
    renamed = {"no": table["months"], "Monthly Charge ($)": table["spent"], "copy": table["plan"], "on": table["left"]}
    config = config_of(make(csv(renamed), target="on"))
    assert config.features == ["no", "Monthly_Charge", "copy_value"]
    assert config.columns["Monthly_Charge"].source == "Monthly Charge ($)"


def test_a_column_that_is_there_for_one_outcome_only_is_known_after(make: Make) -> None:
    left = customers()["left"]
    created = make(csv({**customers(), "cancelled": ["2024-01-01" if yes else "" for yes in left]}))
    config = config_of(created)
    assert (config.columns["cancelled"].known, "cancelled" in config.features) == ("after", False)
    assert "Is it known before?" in text_of(created)


def test_two_columns_that_make_the_outcome_are_a_leak(make: Make) -> None:
    table = {"base": [n % 37 for n in range(200)], "extra": [n % 11 for n in range(200)]}
    total = [base + extra for base, extra in zip(table["base"], table["extra"], strict=True)]
    with pytest.raises(DataError, match="every column looks like a leak of total"):
        make(csv({**table, "total": total}), target="total")


def test_rows_without_an_outcome_are_counted(make: Make) -> None:
    table = {**customers(), "left": ["" if n % 20 == 0 else str(left) for n, left in enumerate(customers()["left"])]}
    assert "10 rows without left are left out" in make(csv(table)).outcome.notes


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("plan,months,left\n", "has names of columns and no rows"),
        (csv(customers()).partition("\n")[2], "the first line looks like data: C0000"),
        (csv(customers()).replace("spent", "months", 1), "has the column 'months' 2 times"),
        (csv(customers()).replace("left", "lefft", 1), "has no column 'left'. Did you mean 'lefft'?"),
        (csv(customers(20)), "20 rows have an outcome; folds and a holdout need 50 at least"),
        (csv({**customers(), "left": [n % 50 == 0 for n in range(200)]}), "4 of 200 rows have the rarer outcome"),
        (csv({**customers(), "left": ["yes"] * 200}), "is 'yes' in every row"),
        (b"PK\x03\x04 and more", "is an Excel or zip file; save the sheet as CSV"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(
    make: Make, tmp_path: Path, content: str | bytes, sentence: str
) -> None:
    with pytest.raises(DataError) as refused:
        make(content)
    assert sentence in str(refused.value)
    assert list((tmp_path / "configs").iterdir()) == []


def test_the_command_says_what_it_found_and_what_to_do_next(command: Command, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(csv(customers()))
    ended = command("new", "churn", f"{tmp_path}/t.csv", "left", "--configs", str(tmp_path))
    assert (ended.code, (tmp_path / "churn.yaml").exists()) == (0, True), ended.stderr
    assert ended.stdout.splitlines()[:2] == [
        f"{tmp_path}/t.csv: 200 rows, 5 columns",
        f"task: binary; yes is 'True', {sum(customers()['left'])} of 200 rows ({sum(customers()['left']) / 200:.0%})",
    ]
    assert "  make train MODEL=churn   train, evaluate, and promote if the gates pass" in ended.stdout


def test_a_command_without_its_words_shows_how_it_is_called(command: Command) -> None:
    ended = command("new", "churn")
    assert (ended.code, ended.stderr) == (
        2,
        "error: name a table: make new NAME=churn CSV=data/churn.csv TARGET=churned\n",
    )


@pytest.mark.parametrize("false_alarm", [1, 200])  # with 200 no fold has a row that is called positive
def test_what_it_writes_trains_and_is_promoted(command: Command, tmp_path: Path, false_alarm: int) -> None:
    (tmp_path / "t.csv").write_text(csv(customers(300)))
    assert command("new", "churn", f"{tmp_path}/t.csv", "left", "--configs", str(tmp_path)).code == 0
    paths = [f"--set=paths.{of}={tmp_path}/{of}" for of in ("models", "reports")]
    quick = [
        "--set=candidates.forest=null",
        "--set=search.kinds={}",
        "--set=train.resamples=50",
        f"--set=costs.false_alarm={false_alarm}",
    ]
    tracking = f"--set=paths.tracking=sqlite:///{tmp_path}/mlflow.db"

    ended = command("train", str(tmp_path / "churn.yaml"), *paths, tracking, *quick)

    assert ended.code == 0, ended.stderr
    assert (tmp_path / "models/churn/champion").exists()
