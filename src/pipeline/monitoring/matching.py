"""Reads the logged rows of a model, and finds them in data that came later by the config's `data.key`.

This module must not know what is compared in these rows.
"""

from datetime import date, datetime, time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.config.splits import TimeSplit
from pipeline.data.keys import refuse_same_keys, rows_of_same_key
from pipeline.errors import ConfigError, DataError
from pipeline.runtime import prediction_log
from pipeline.runtime.arrays import Columns
from pipeline.runtime.prediction_log import LoggedRequests


def require_key(config: Config) -> None:
    """Raise ConfigError unless the config declares a key, and the log has all of its columns."""
    logged = {name: column for name, column in config.request.items() if column.brought and not column.private}
    usable = ", ".join(name for name, column in logged.items() if not column.nullable)
    advice = f"Write those of the columns that callers always send ({usable}) that identify a row"
    if not config.data.key:
        raise ConfigError(
            f"data.key: is missing; logged rows are matched with the data by it. {advice}, such as "
            f"`data: {{key: [{usable}]}}`"
        )

    absent = [name for name in config.data.key if name not in logged]
    if absent:
        reason = "private" if absent[0] in config.request else "not part of what callers send"
        raise ConfigError(f"data.key: {absent[0]} is {reason}, so the prediction log does not have it. {advice}")


def read_log(model: str, url: str, as_of: date | None) -> LoggedRequests:
    """The predictions of a model before a day, by default all. Raises DataError if there are none."""
    until = datetime.combine(as_of, time()) if as_of else datetime.max
    with prediction_log.opened(url) as engine:
        requests = prediction_log.read_requests(engine, model, datetime.min, until)

    if not requests.at:
        before = f" before {as_of}" if as_of else ""
        raise DataError(f"the log has no predictions of {model}{before}: there is nothing to compare")
    return requests


def shared_keys(columns: Columns, config: Config) -> NDArray[np.bool_]:
    """Which rows of the data have the key of another row. Nobody can tell which of them a logged row is.

    Raises DataError if their share is above `data.max_same_key`.
    """
    repeated = rows_of_same_key(columns, config)
    refuse_same_keys(columns, config, repeated)
    shared = np.zeros(len(columns[config.target]), dtype=bool)
    shared[repeated] = True
    return shared


def positions(columns: Columns, logged: Columns, candidates: NDArray[np.int64], key: list[str]) -> NDArray[np.int64]:
    """The position in the data of every logged row, -1 if it is not there: shape [logged rows].

    Only the rows `candidates` of the data are considered, no two of which have the same key.
    """
    index = pd.MultiIndex.from_arrays([columns[name][candidates] for name in key])
    place = index.get_indexer(pd.MultiIndex.from_arrays([logged[name] for name in key]))
    return np.where(place >= 0, candidates[place], -1)


def nothing_in_common(columns: Columns, requests: LoggedRequests, config: Config) -> str:
    """The message for a log without any row of the data: the rows and days of both."""
    time = config.timing.time if config.timing else None
    if time is None and isinstance(config.split, TimeSplit):
        time = config.split.time

    rows = len(columns[config.target])
    data = f"{rows:,} rows"
    if time:
        data += f", of {days_of(columns[time])}"
    logged = f"{len(requests.at):,} logged rows of {config.name}, of {days_of(np.array(requests.at, 'datetime64[s]'))}"
    return (
        f"none of the {logged}, is in the data ({data}). Compare again when the data of these days are there; if they "
        f"are, the callers and the data write data.key ({', '.join(config.data.key)}) in different ways"
    )


def days_of(times: NDArray[Any]) -> str:
    """The first and the last day of these times."""
    first, last = times.min().astype("datetime64[D]"), times.max().astype("datetime64[D]")
    return str(first) if first == last else f"{first} to {last}"
