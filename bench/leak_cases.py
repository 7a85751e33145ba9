"""The leaks that `bench/leaks.py` builds into the flights, and the controls, which are honest."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

NUMBER = "{kind: number, known: before, nullable: true, meaning: Built in}"
CATEGORY = "{kind: category, known: before, nullable: true, meaning: Built in}"


class Table(NamedTuple):
    """All flights, the raw rows of the same flights, and a random generator."""

    frame: pd.DataFrame
    raw: pd.DataFrame
    rng: np.random.Generator


Build = Callable[[Table], Any]


class Case(NamedTuple):
    """One leak or control.

    `build` returns the flights with the leak. `columns` are declarations of new columns, and `features` those that the
    model gets. `champion_lacks` are features that the champion does not have. With `other_rows`, the case has another
    sample of the flights than the champion.
    """

    name: str
    build: Build
    columns: Mapping[str, str] = MappingProxyType({})
    features: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    lag_hours: int = 3
    copy_share: float = 0.0
    is_leak: bool = True
    champion_lacks: tuple[str, ...] = ()
    other_rows: bool = False
    not_findable: str = ""


def load_frame(config: Any, lag_hours: int) -> pd.DataFrame:
    """Load the flights with the weather of so many hours before the scheduled hour."""
    from pipeline.datasets import flights
    from pipeline.runtime.dataset import DataFile

    flights.LAG_HOURS = lag_hours
    return flights.load(DataFile(), config.columns).frame


def unchanged(table: Table) -> pd.DataFrame:
    return table.frame


def number(name: str, values: Build, **more: Any) -> Case:
    """A case with one new number."""

    def build(table: Table) -> pd.DataFrame:
        return table.frame.assign(built_in=values(table))

    return Case(name, build, {"built_in": NUMBER}, ("built_in",), **more)


def flipped(share: float) -> Build:
    """The outcome, wrong in this share of the rows."""
    return lambda table: (table.frame["late"] ^ (table.rng.random(len(table.frame)) < share)).astype(float)


def mean_outcome(*keys: str) -> Build:
    """The mean outcome of all flights with the same keys, the flight itself among them."""
    return lambda table: table.frame["late"].groupby([table.raw[key] for key in keys]).transform("mean")


def minute(hhmm: pd.Series) -> pd.Series:
    return hhmm // 100 * 60 + hhmm % 100


def adding_up(noise: float) -> Case:
    """Two numbers whose sum is the outcome and normal noise."""

    def build(table: Table) -> pd.DataFrame:
        first = table.rng.normal(0, 10, len(table.frame))
        second = table.frame["late"] + table.rng.normal(0, noise, len(table.frame)) - first
        return table.frame.assign(first_part=first, second_part=second)

    parts = ("first_part", "second_part")
    return Case(f"two columns that add up to the outcome, noise {noise:g}", build, dict.fromkeys(parts, NUMBER), parts)


def next_leg(table: Table) -> pd.Series:
    """The delay of the plane's next departure from New York."""
    order = table.frame["scheduled_departure"].sort_values().index
    return table.frame["arr_delay"].loc[order].groupby(table.raw["tailnum"].loc[order]).shift(-1)


def own_day(table: Table) -> pd.Series:
    """The share of late flights of the carrier from the origin, of the day before and the flight's own day together."""
    keys = [table.frame["origin"], table.frame["carrier"], day_of(table)]
    daily = table.frame["late"].groupby(keys).agg(["sum", "count"])
    earlier = daily.rename(lambda day: day + pd.Timedelta(days=1), level=2)
    both = daily.add(earlier.reindex(daily.index), fill_value=0)
    share = both["sum"] / both["count"]
    return pd.Series(share.reindex(pd.MultiIndex.from_arrays(keys)).to_numpy(), table.frame.index)


def same_hour(table: Table) -> pd.Series:
    """The share of late flights from the origin in the same hour."""
    hour = table.frame["scheduled_departure"].dt.floor("h")
    return table.frame["late"].groupby([table.frame["origin"], hour]).transform("mean")


def destination_yesterday(table: Table) -> pd.Series:
    """The share of flights to the destination that were late the day before."""
    day = day_of(table)
    daily = table.frame["late"].groupby([table.frame["dest"], day]).mean()
    place = pd.MultiIndex.from_arrays([table.frame["dest"], day - pd.Timedelta(days=1)])
    return pd.Series(daily.reindex(place).to_numpy(), table.frame.index)


def day_of(table: Table) -> pd.Series:
    return table.frame["scheduled_departure"].dt.normalize()


def group_split(name: str, column: Callable[[Table], pd.Series]) -> Case:
    """A split by groups that share their days with each other."""

    def build(table: Table) -> pd.DataFrame:
        return table.frame.assign(split_group=column(table).astype(str))

    split = "split={by: group, group: split_group, holdout: 0.16, folds: 3}"
    declared = {"split_group": "{kind: category, known: before, meaning: Built in}"}
    return Case(name, build, declared, overrides=(split, "retrain=null"))


def with_copies(frame: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Copy a share of the flights of November and December into the months before, each to a day of its own."""
    holdout = frame[frame["scheduled_departure"] >= "2013-11-01"]
    copies = holdout[rng.random(len(holdout)) < share]
    days = pd.to_timedelta(rng.integers(61, 300, len(copies)), unit="D")
    moved = copies.assign(scheduled_departure=copies["scheduled_departure"] - days, landed=copies["landed"] - days)
    return pd.concat([frame, moved], ignore_index=True)


def many_values(table: Table) -> pd.DataFrame:
    return table.frame.assign(built_in=table.rng.integers(0, 5000, len(table.frame)).astype(str))


HONEST = {"is_leak": False}
NO_KEY = ("data.key=[]",)
SMALL = "it is worth less than the strongest honest feature, minute_of_day; only what was sent live tells (`make skew`)"
CASES = [
    Case("weather of the same hour", unchanged, lag_hours=0, not_findable=SMALL),
    Case("weather of an hour before", unchanged, lag_hours=1, not_findable=SMALL),
    number("air_time declared as known before", lambda table: table.raw["air_time"]),
    number("dep_time declared as known before", lambda table: minute(table.raw["dep_time"])),
    Case("20 % of the holdout copied into training, no key declared", unchanged, overrides=NO_KEY, copy_share=0.2),
    Case("the whole holdout copied into training, no key declared", unchanged, overrides=NO_KEY, copy_share=1.0),
    number("the outcome with 20 % flips", flipped(0.2)),
    number("the outcome with 30 % flips", flipped(0.3)),
    number("the outcome with 35 % flips", flipped(0.35)),
    number("the outcome with 40 % flips", flipped(0.4), not_findable=SMALL),
    number("mean outcome by tail number, over all data", mean_outcome("tailnum"), not_findable=SMALL),
    number("mean outcome by flight number, over all data", mean_outcome("carrier", "flight"), not_findable=SMALL),
    number("mean outcome by origin and day, over all data", mean_outcome("origin", "month", "day")),
    adding_up(0),
    adding_up(1),
    adding_up(2),
    number("row number", lambda table: np.arange(len(table.frame), dtype=float)),
    number("row number within the day", lambda table: table.raw.groupby(["month", "day"]).cumcount().astype(float)),
    group_split("split by plane", lambda table: table.raw["tailnum"]),
    group_split("split by random days", lambda table: table.frame["scheduled_departure"].dt.date),
    Case("split by row", unchanged, overrides=("split={by: row, holdout: 0.16, folds: 3}", "retrain=null")),
    number("history that counts its own day", own_day),
    number("delay of the plane's next leg", next_leg, not_findable=SMALL),
    number("share of late flights in the same hour", same_hour),
    Case("the flights as they are, another sample of them", unchanged, other_rows=True, **HONEST),
    number("a random number", lambda table: table.rng.normal(size=len(table.frame)), **HONEST),
    Case("a random category of 5,000 values", many_values, {"built_in": CATEGORY}, ("built_in",), **HONEST),
    number("a copy of a harmless column", lambda table: table.frame["distance"] * 1.6, **HONEST),
    number(
        "an honest feature: share of late flights to the destination the day before", destination_yesterday, **HONEST
    ),
    Case("the strongest honest feature, minute_of_day, new", unchanged, champion_lacks=("minute_of_day",), **HONEST),
]
