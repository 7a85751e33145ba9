import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.datasets.table import derive, load
from pipeline.errors import DataError
from pipeline.runtime.contract import Column
from pipeline.runtime.dataset import DataFile

COLUMNS = {
    "code": Column(kind="category", known="before", meaning="A code"),
    "mean_radius": Column(kind="number", known="before", meaning="A radius", source="mean radius"),
    "double": Column(kind="number", known="before", meaning="Twice it", derived_from=["mean_radius"]),
}


def test_a_csv_file_is_read_under_the_declared_names_and_codes_stay_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mean radius,code,other\n1.5,01,x\n")
    loaded = load(DataFile(path=str(tmp_path / "a.csv")), COLUMNS)
    assert loaded.frame.to_dict("list") == {"code": ["01"], "mean_radius": [1.5]}
    assert list(loaded.hashes) == ["a.csv"]


def test_a_category_may_be_called_none_and_a_number_may_not(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mean radius,code\nNA,None\n1.5,\n")
    frame = load(DataFile(path=str(tmp_path / "a.csv")), COLUMNS).frame
    assert frame["code"].isna().tolist() == [False, True]
    assert frame["mean_radius"].isna().tolist() == [True, False]


def test_two_columns_may_be_made_of_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mean radius,code\n1.5,x\n")
    again = {**COLUMNS, "again": COLUMNS["mean_radius"]}
    assert load(DataFile(path=str(tmp_path / "a.csv")), again).frame.columns.tolist() == [
        "code",
        "mean_radius",
        "again",
    ]


@pytest.mark.parametrize("mark", [-999, -999.0])
def test_a_mark_is_missing_in_a_parquet_file_of_floats_too(tmp_path: Path, mark: float) -> None:
    pd.DataFrame({"mean radius": [-999.0, 1.5, None], "code": ["01", "-999", ""]}).to_parquet(tmp_path / "a.parquet")
    radius = COLUMNS["mean_radius"].model_copy(update={"missing": [mark]})
    frame = load(DataFile(path=str(tmp_path / "a.parquet")), {**COLUMNS, "mean_radius": radius}).frame
    assert frame["mean_radius"].isna().tolist() == [True, False, True]
    assert frame["code"].isna().tolist() == [False, False, True]


def test_a_parquet_file_is_read_the_same(tmp_path: Path) -> None:
    pd.DataFrame({"mean radius": [1.5], "code": ["01"]}).to_parquet(tmp_path / "a.parquet")
    assert load(DataFile(path=str(tmp_path / "a.parquet")), COLUMNS).frame.to_dict("list") == {
        "code": ["01"],
        "mean_radius": [1.5],
    }


def test_a_table_derives_nothing() -> None:
    assert derive({}) == {}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.csv",
            b"mean radius\n1\n",
            r"has no column for 1 of 2 declared ones(?s:.*) nothing like code\nFound: mean radius",
        ),
        ("a.csv", b"Code;Mean_Radius\n", r'There is one column only: write delimiter: ";" under data'),
        (
            "a.csv",
            b"Mean_Radius,x\n",
            r"mean_radius: is it 'Mean_Radius'\? Then write source: Mean_Radius\n  nothing like code",
        ),
        ("a.csv", b"x,y\n", r"nothing like code, mean radius\nIs data.path right\? Write columns: !replace if"),
        ("a.csv", "code,é\n".encode("cp1252"), r"Write its encoding under data, such as encoding: cp1252"),
        ("a.csv", b"", "cannot be read as .csv"),
        ("a.parquet", b"PAR1 and no more", "cannot be read as .parquet"),
        ("a.csv", b"code,mean radius,code\n1,2,3\n", "has the column 'code' twice"),
    ],
)
def test_a_file_that_is_not_the_table_is_told_so(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        load(DataFile(path=str(tmp_path / name)), COLUMNS)


def test_a_file_is_read_as_its_config_says(tmp_path: Path) -> None:
    text = "mean radius;code\n1,5;?\n-999;é\n ;-\n"
    (tmp_path / "a.csv").write_bytes(gzip.compress(text.encode("latin-1")))
    file = DataFile(path=str(tmp_path / "a.csv"), delimiter=";", decimal=",", encoding="latin-1", missing=["?", "-"])
    columns = {**COLUMNS, "mean_radius": COLUMNS["mean_radius"].model_copy(update={"missing": [-999]})}

    frame = load(file, columns).frame

    assert frame["mean_radius"].tolist() == [
        1.5,
        pytest.approx(np.nan, nan_ok=True),
        pytest.approx(np.nan, nan_ok=True),
    ]
    assert frame["code"].fillna("none").tolist() == ["none", "é", "none"]


def test_a_missing_path_or_file_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.path: is missing"):
        load(DataFile(), COLUMNS)
    with pytest.raises(DataError, match="no such file"):
        load(DataFile(path=str(tmp_path / "gone.csv")), COLUMNS)


def test_a_date_gives_its_minute_of_day_and_its_day_of_week() -> None:
    times = np.array(["2013-12-02T17:30:59", "1969-12-28T00:00:00", "NaT"], dtype="datetime64[s]")
    derived = derive({"sent": times})
    np.testing.assert_array_equal(derived["sent_minute_of_day"], [1050, 0, np.nan])
    np.testing.assert_array_equal(derived["sent_day_of_week"], [0, 6, np.nan])
