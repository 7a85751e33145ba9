"""The schedule of a replay: its rows, the day on which each row is sent, and the day on which its label is known.

This module must not know the servers.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config.candidates import Search
from pipeline.config.config import Config
from pipeline.config.splits import TimeSplit
from pipeline.config.training import Paths
from pipeline.data.split import offset
from pipeline.errors import ConfigError
from pipeline.runtime import arrays, rolling_features
from pipeline.runtime.arrays import Columns, columns_to_json, take_rows
from pipeline.runtime.contract import Timing

ROWS_PER_REQUEST = 500
DAY = np.timedelta64(1, "D")


class Schedule:
    """The rows of a replay, ordered by the day on which they are sent, and which of their labels have been sent.

    `columns`, `day`, `outcome`, `known` (the time at which the outcome is known, minus `timing.known_at` hours) and
    `labelled` (whether the label has been sent) have one element per row. `request` holds, for every row that has been
    sent, the id of its request and its place in it; the caller adds them.
    """

    def __init__(self, columns: Columns, config: Config, first: date, end: date) -> None:
        rule = rolling_features.required_timing(config.contract)
        day = (columns[rule.time] - rolling_features.table_offset(rule)).astype("datetime64[D]")
        known = columns[rule.known] if rule.known else columns[rule.time].astype("datetime64[D]") + DAY
        rows = np.flatnonzero((day >= np.datetime64(first)) & (day < np.datetime64(end)))
        rows = rows[np.argsort(columns[rule.time][rows], kind="stable")]

        self.columns = take_rows(columns, rows)
        self.day = day[rows]
        self.outcome = arrays.as_outcome(self.columns[config.target], config.contract)
        self.known = known[rows].astype("datetime64[s]") - np.timedelta64(rule.known_at * rolling_features.HOUR, "s")
        self.request: list[tuple[str, int]] = []
        self.labelled = np.zeros(len(rows), dtype=bool)

        contract = config.contract
        self._sent = {name: column for name, column in contract.request.items() if name not in contract.rolling}
        of_task: dict[str, Any] = {"binary": int, "multiclass": contract.classes.__getitem__, "regression": float}
        self._label = of_task[config.task]

    def rows_of(self, day: np.datetime64) -> Iterator[tuple[slice, list[dict[str, Any]]]]:
        """The rows of a day in parts of `ROWS_PER_REQUEST`, as a client sends them: without the rolling features."""
        start, stop = np.searchsorted(self.day, [day, day + DAY])
        for first in range(start, stop, ROWS_PER_REQUEST):
            part = slice(first, min(first + ROWS_PER_REQUEST, stop))
            columns = {name: self.columns[name][part] for name in self._sent}
            yield part, arrays.to_rows(columns_to_json(columns, self._sent))

    def labels_known_on(self, day: np.datetime64) -> list[dict[str, Any]]:
        """The labels that are known at the hour `timing.known_at` of a day and have not been returned before."""
        sent = len(self.request)
        rows = np.flatnonzero(~self.labelled[:sent] & (self.known[:sent] <= day))
        self.labelled[rows] = True
        return [
            {"request_id": self.request[row][0], "row": self.request[row][1], "label": self._label(self.outcome[row])}
            for row in rows.tolist()
        ]


def replay_config(config: Config) -> Config:
    """The config of a replay, with its own folder and candidates, and with a timing by which the log counts days.

    Raises ConfigError if the config has no time split or no `retrain`, or if its time is known only afterwards.
    """
    if not isinstance(config.split, TimeSplit):
        raise ConfigError(
            f"{config.name} has no time column (split.by is {config.split.by}): there are no days to replay"
        )
    if config.retrain is None:
        raise ConfigError("replay: needs `retrain:`, the days on which a new model is compared with the champion")

    time = config.split.time
    if config.columns[time].known == "after":
        raise ConfigError(f"replay: {time} is known only after the prediction, so it cannot be the time of a request")

    folder = Path(config.paths.reports) / f"{config.name}.replay"
    changes: dict[str, Any] = {
        "paths": Paths(models=str(folder / "models"), reports=str(folder), tracking=f"sqlite:///{folder}/mlflow.db"),
        "timing": config.timing or Timing(time=time),
    }
    if config.replay.candidates:
        changes |= {"candidates": config.replay.candidates, "search": Search()}
    # model_construct, since a copy would keep the cached contract, which has the old timing.
    return Config.model_construct(**{**dict(config), **changes})


def played_span(config: Config, columns: Columns, until: str | None) -> tuple[date, date]:
    """The first day of the replay, and the day after its last. Raises ConfigError if no day is left between them."""
    time = columns[rolling_features.required_timing(config.contract).time]
    start = pd.Timestamp(time.min()).floor("D")
    after = pd.Timestamp(time.max() + np.timedelta64(1, "D")).floor("D")

    rule = config.replay
    learn = offset(rule.learn) if rule.learn else ((after - start) / 4).floor("D")
    first = start + learn
    end = min(after, first + offset(rule.play)) if rule.play else after
    if until:
        end = min(after, end_of_span(until, first))

    if end <= first:
        raise ConfigError(f"replay: nothing lies between {first:%Y-%m-%d}, where it begins, and {end:%Y-%m-%d}")
    return first.date(), end.date()


def end_of_span(until: str, first: pd.Timestamp) -> pd.Timestamp:
    """The day after `until`, which is a date or the name of a month: the next such month, not before `first`.

    Three letters of a month's name are enough. Raises ConfigError if `until` is neither.
    """
    for month in range(1, 13):
        begin = pd.Timestamp(first.year + (month < first.month), month, 1)
        if len(until) >= 3 and f"{begin:%B}".lower().startswith(until.lower()):
            return begin + pd.DateOffset(months=1)
    try:
        return pd.Timestamp(date.fromisoformat(until)) + pd.Timedelta(days=1)
    except ValueError:
        raise ConfigError(f"UNTIL={until}: should be a month such as december, or a day such as 2013-12-31") from None
