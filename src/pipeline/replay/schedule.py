"""Which rows a replay plays, on which day each is asked, and when its outcome is told."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config.candidates import Search
from pipeline.config.config import Config, Paths
from pipeline.config.splits import TimeSplit
from pipeline.data.split import offset
from pipeline.errors import ConfigError
from pipeline.runtime import arrays, rolling_features
from pipeline.runtime.arrays import Columns, columns_to_json, take_rows
from pipeline.runtime.contract import Timing

AT_ONCE = 500  # rows of one request
DAY = np.timedelta64(1, "D")


class Schedule:
    """The rows to be played, by the day on which they are asked; and of which the outcome has been told."""

    def __init__(self, columns: Columns, config: Config, first: date, end: date) -> None:
        rule = rolling_features.days_needed(config.contract)
        asked = (columns[rule.time] - rolling_features.table_offset(rule)).astype("datetime64[D]")
        known = columns[rule.known] if rule.known else columns[rule.time].astype("datetime64[D]") + DAY
        rows = np.flatnonzero((asked >= np.datetime64(first)) & (asked < np.datetime64(end)))
        rows = rows[np.argsort(columns[rule.time][rows], kind="stable")]
        self.columns, self.day = take_rows(columns, rows), asked[rows]
        self.outcome = self.columns[config.target].astype(np.float64)
        self.known = known[rows].astype("datetime64[s]") - np.timedelta64(rule.known_at * rolling_features.HOUR, "s")
        self.request: list[tuple[str, int]] = []  # of each row that was asked: id and place
        self.told = np.zeros(len(rows), dtype=bool)
        contract = config.contract
        self._sent = {name: column for name, column in contract.request.items() if name not in contract.rolling}
        self._number: Any = float if config.task == "regression" else int

    def rows_of(self, day: np.datetime64) -> Iterator[tuple[slice, list[dict[str, Any]]]]:
        """The rows of a day in parts, as a caller sends them: nothing that is remembered."""
        start, stop = np.searchsorted(self.day, [day, day + DAY])
        for first in range(start, stop, AT_ONCE):
            part = slice(first, min(first + AT_ONCE, stop))
            yield part, arrays.to_rows(columns_to_json({n: self.columns[n][part] for n in self._sent}, self._sent))

    def labels_known_on(self, day: np.datetime64) -> list[dict[str, Any]]:
        """The labels that are known by the morning of a day and have not been told yet."""
        asked = len(self.request)
        rows = np.flatnonzero(~self.told[:asked] & (self.known[:asked] <= day))
        self.told[rows] = True
        return [
            {"request_id": self.request[row][0], "row": self.request[row][1], "label": self._number(self.outcome[row])}
            for row in rows.tolist()
        ]


def replay_config(config: Config) -> Config:
    """The config of a replay: its own folder and candidates, and a time by which the log counts days.

    Raises ConfigError where there are no days to play.
    """
    if not isinstance(config.split, TimeSplit):
        raise ConfigError(
            f"{config.name} has no time column (split.by is {config.split.by}): there are no days to replay"
        )
    if config.retrain is None:
        raise ConfigError("replay: wants `retrain:`, which says what judges a model that is trained again")
    time = config.split.time
    if config.columns[time].known == "after":
        raise ConfigError(f"replay: {time} is known only after, so it cannot say when something is asked")
    folder = Path(config.paths.reports) / f"{config.name}.replay"
    changes: dict[str, Any] = {
        "paths": Paths(models=str(folder / "models"), reports=str(folder), tracking=f"sqlite:///{folder}/mlflow.db"),
        "timing": config.timing or Timing(time=time),
    }
    if config.replay.candidates:
        changes |= {"candidates": config.replay.candidates, "search": Search()}
    return Config.model_construct(**{**dict(config), **changes})  # a copy would keep the contract of the old memory


def played_span(config: Config, columns: Columns, until: str | None) -> tuple[date, date]:
    """The first day that is played, and the day after the last."""
    time = columns[rolling_features.days_needed(config.contract).time]
    start, after = (pd.Timestamp(each).floor("D") for each in (time.min(), time.max() + np.timedelta64(1, "D")))
    rule = config.replay
    first = start + (offset(rule.learn) if rule.learn else ((after - start) / 4).floor("D"))
    end = min(after, first + offset(rule.play)) if rule.play else after
    if until:
        end = min(after, end_of_span(until, first))
    if end <= first:
        raise ConfigError(f"replay: nothing lies between {first:%Y-%m-%d}, where it begins, and {end:%Y-%m-%d}")
    return first.date(), end.date()


def end_of_span(until: str, first: pd.Timestamp) -> pd.Timestamp:
    """The day after a date, or after the end of a month that is named and comes next."""
    for month in range(1, 13):
        begin = pd.Timestamp(first.year + (month < first.month), month, 1)
        if len(until) >= 3 and f"{begin:%B}".lower().startswith(until.lower()):
            return begin + pd.DateOffset(months=1)
    try:
        return pd.Timestamp(date.fromisoformat(until)) + pd.Timedelta(days=1)
    except ValueError:
        raise ConfigError(f"UNTIL={until}: should be a month such as december, or a day such as 2013-12-31") from None
