"""Two weeks of real flights, logged as a server that is asked two hours ahead logs them, and compared with data in which
the same columns are filled in other ways.
"""

import json
from datetime import datetime

import pandas as pd
import pytest

from pipeline.config.config import Config
from pipeline.config.config import load as load_config
from pipeline.data import clean
from pipeline.datasets import flights
from pipeline.monitoring import matching, skew
from pipeline.monitoring.skew import SkewResult, TableSkew
from pipeline.runtime import prediction_log
from pipeline.runtime.arrays import columns_to_json, to_rows
from pipeline.runtime.dataset import DataFile
from pipeline.runtime.rolling_features import table_offset
from tests.support import ROOT

FLIGHTS = ROOT / "configs/flights.yaml"
FIRST, AFTER = "2013-03-01", "2013-03-15"


def fortnight() -> pd.DataFrame:
    """The raw flights of two weeks, as the dataset joins them now."""
    frame = flights.load(DataFile(), load_config(FLIGHTS).columns).frame
    return frame[(frame["scheduled_departure"] >= FIRST) & (frame["scheduled_departure"] < AFTER)]


@pytest.fixture(scope="module")
def honest() -> pd.DataFrame:
    return fortnight()


@pytest.fixture(scope="module")
def same_hour() -> pd.DataFrame:
    """With the weather of the hour of departure, which nobody knows two hours before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flights, "LAG_HOURS", 0)
        return fortnight()


@pytest.fixture(scope="module")
def url(honest: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A log of what was known: no rolling feature, which the server looks up, and no `air_time`.

    The flights are logged in the order of their departures, which is not that of the file.
    """
    contract = load_config(FLIGHTS).contract
    sent = {name: column for name, column in contract.request.items() if not column.rolling}
    frame = honest.sort_values("scheduled_departure")
    columns = clean.frame_to_columns(clean.clean(frame, contract).frame, contract)
    days = (columns["scheduled_departure"] - table_offset(contract.timing)).astype("datetime64[D]")

    logged = {"request_id": "a", "time": prediction_log.now(), "model": "flights", "version": "v", "answer": 0.5}
    records = []
    for number, (row, day) in enumerate(zip(to_rows(columns_to_json(columns, sent)), days, strict=True)):
        at = datetime.fromisoformat(row["scheduled_departure"])
        records.append({**logged, "row": number, "at": at, "inputs": json.dumps(row), "memory": str(day)})

    url = f"sqlite:///{tmp_path_factory.mktemp('skew')}/log.db"
    engine = prediction_log.connect(url)
    prediction_log.write(engine, records)
    engine.dispose()
    return url


def compared(url: str, frame: pd.DataFrame, config: Config) -> SkewResult:
    columns = clean.frame_to_columns(clean.clean(frame, config.contract).frame, config.contract)
    return skew.compare(columns, matching.read_log("flights", url, None), config)


def test_the_same_flights_have_no_skew(url: str, honest: pd.DataFrame) -> None:
    result = compared(url, honest, load_config(FLIGHTS))
    assert (result.code, result.logged, result.rows) == (0, len(honest), len(honest))
    assert {column.share for column in result.columns} == {0}
    assert result.tables == TableSkew(rows=len(honest), older=0, newer=0)


def test_weather_of_the_hour_itself_is_skewed(url: str, same_hour: pd.DataFrame) -> None:
    """All of its columns are, and nothing else is. The temperature moves by some degrees in three hours."""
    result = compared(url, same_hour, load_config(FLIGHTS))
    assert result.code == 6
    assert {column.column for column in result.skewed} == set(flights.WEATHER)
    temperature = next(column for column in result.columns if column.column == "temp")
    assert temperature.share > 0.8
    assert 1 < temperature.median_difference < 5


def test_air_time_that_is_said_to_be_known_before_is_skewed(url: str, honest: pd.DataFrame) -> None:
    """Training has it in every row; live it was not known."""
    features = ", ".join([*load_config(FLIGHTS).features, "air_time"])
    too_early = ["columns.air_time.known=before", "columns.air_time.nullable=true", f"features=[{features}]"]
    result = compared(url, honest, load_config(FLIGHTS, too_early))
    assert [column.column for column in result.skewed] == ["air_time"]
    assert result.columns[0].missing_live == result.rows == len(honest)
