"""Training and serving compared: the inputs that were logged live, and the same rows in data that came later.

A column that differs is filled later, or otherwise, than at the moment of prediction, whatever its declaration says.

Private columns are in no log, so they are not compared. Nor are the values of rolling features, not even those that a
caller sent: where the server looked them up, its table's day is compared with that of training's table for the row.

This module compares and decides. It must not know how the result is shown, and it needs no champion.
"""

from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.data.read import read_and_clean
from pipeline.errors import DataError
from pipeline.monitoring import logged_inputs, matching
from pipeline.monitoring.drift import empty
from pipeline.monitoring.monitor import FAULT, QUIET
from pipeline.registry import run_folder
from pipeline.runtime import rolling_features
from pipeline.runtime.arrays import Columns, json_bytes, take_rows
from pipeline.runtime.contract import Column, Contract
from pipeline.runtime.prediction_log import LoggedRequests

Array = NDArray[Any]
FILE = "skew.json"  # in the folder of the report


class ColumnSkew(NamedTuple):
    """How the logged values of a column differ from the later ones, in numbers of rows.

    `missing_live` rows have a value in the data alone, `missing_later` in the log alone, and `different` two values.
    `median_difference` is the median absolute difference of the latter in the column's unit, and `deviations` is that
    in standard deviations of the column in the data; both are None without such rows, and for what is no number.
    """

    column: str
    unit: str | None
    rows: int
    missing_live: int
    missing_later: int
    different: int
    median_difference: float | None
    deviations: float | None

    @property
    def share(self) -> float:
        """The share of the compared rows that differ in one of the three ways, between 0 and 1."""
        return (self.missing_live + self.missing_later + self.different) / self.rows


class TableSkew(NamedTuple):
    """The rows whose rolling features the server looked up, and how many of them in an older or newer table than
    training does.
    """

    rows: int
    older: int
    newer: int


class SkewResult(NamedTuple):
    """The result of a comparison.

    `logged` counts the rows of the log, of the days `first` to `last`, and `rows` those of them that are in the data.
    `ambiguous` counts the rows of the data that were left out because they share their key. `columns` begin with the
    largest share of rows that differ; `tables` is None for a model without rolling features.
    """

    model: str
    first: str
    last: str
    logged: int
    rows: int
    ambiguous: int
    max_skew: float
    columns: list[ColumnSkew]
    tables: TableSkew | None

    @property
    def skewed(self) -> list[ColumnSkew]:
        return [column for column in self.columns if column.share > self.max_skew]

    @property
    def code(self) -> int:
        """The exit code of the command. Tables of another day do not count: the data are not at fault."""
        return FAULT if self.skewed else QUIET


def run(config: Config, url: str, as_of: date | None) -> SkewResult:
    """Compare the logged rows before a day, by default all; write `reports/NAME.skew`, completely or not at all.

    Raises ConfigError without a key that is in the log, DataError if log and data cannot be compared.
    """
    matching.require_key(config)
    requests = matching.read_log(config.name, url, as_of)

    home = Path(config.paths.reports)
    name = f"{config.name}.skew"
    run_folder.make_folders(reports=home)
    for folder in run_folder.abandoned(home, name):
        run_folder.remove(folder, name)

    with run_folder.working_folder(home, name) as work:
        renamed = config.model_copy(update={"name": name})  # so that an error about rejected rows names their file
        columns = read_and_clean(renamed, work).columns
        result = compare(columns, requests, config)
        (work / FILE).write_bytes(json_bytes(as_content(result)))
    return result


def compare(columns: Columns, requests: LoggedRequests, config: Config) -> SkewResult:
    """Compare logged rows with the data's columns.

    Raises DataError if the key does not identify the rows of the data, or if no logged row is among them.
    """
    logged = logged_inputs.parse(requests.inputs, config.request)
    shared = matching.shared_keys(columns, config)
    position = matching.positions(columns, logged, np.flatnonzero(~shared), config.data.key)
    rows = np.flatnonzero(position >= 0)
    if not len(rows):
        raise DataError(matching.nothing_in_common(columns, requests, config))

    live = take_rows(logged, rows)
    later = take_rows(columns, position[rows])
    skews = []
    for name, column in config.request.items():
        if column.brought and not column.private and name not in config.data.key:
            skews.append(compare_column(name, column, live[name], later[name], columns[name]))

    table_days = [requests.rolling_day[row] for row in rows]
    return SkewResult(
        model=config.name,
        first=str(min(requests.at).date()),
        last=str(max(requests.at).date()),
        logged=len(requests.at),
        rows=len(rows),
        ambiguous=int(shared.sum()),
        max_skew=config.monitor.max_skew,
        columns=sorted(skews, key=lambda skew: skew.share, reverse=True),
        tables=compare_tables(table_days, live, later, config.contract),
    )


def compare_column(name: str, column: Column, live: Array, later: Array, whole: Array) -> ColumnSkew:
    """Compare the values [rows] of one column; `whole` has all of its values in the data."""
    live_lacks = empty(live)
    later_lacks = empty(later)
    unequal = live != later
    if live.dtype == np.float64:
        unequal = live.astype(np.float32) != later.astype(np.float32)  # as the model gets them
    different = unequal & ~live_lacks & ~later_lacks

    median = None
    deviations = None
    if column.kind in ("number", "integer") and different.any():
        median = float(np.median(np.abs(live[different] - later[different])))
        deviation = float(np.nanstd(whole))
        deviations = median / deviation if deviation else None

    return ColumnSkew(
        column=name,
        unit=column.unit,
        rows=len(live),
        missing_live=int((live_lacks & ~later_lacks).sum()),
        missing_later=int((~live_lacks & later_lacks).sum()),
        different=int(different.sum()),
        median_difference=median,
        deviations=deviations,
    )


def compare_tables(days: list[str | None], live: Columns, later: Columns, contract: Contract) -> TableSkew | None:
    """Compare the days of the tables that the server used with those that training uses, for rows without a feature."""
    if not contract.rolling:
        return None
    timing = rolling_features.required_timing(contract)
    expected = (later[timing.time] - rolling_features.table_offset(timing)).astype("datetime64[D]")
    used = np.array([day or "NaT" for day in days], dtype="datetime64[D]")

    looked_up = np.any([empty(live[name]) for name in contract.rolling], axis=0) & ~np.isnat(used)
    return TableSkew(
        rows=int(looked_up.sum()),
        older=int((used < expected)[looked_up].sum()),
        newer=int((used > expected)[looked_up].sum()),
    )


def as_content(result: SkewResult) -> dict[str, Any]:
    content = result._asdict()
    content["columns"] = [{**column._asdict(), "share": column.share} for column in result.columns]
    content["skewed"] = [column.column for column in result.skewed]
    content["tables"] = result.tables._asdict() if result.tables else None
    return content
