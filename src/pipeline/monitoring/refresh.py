"""Brings the rolling features up to date without training: the champion's own counts, then the outcomes in the log.

This module writes one file beside the champion. It must not know the servers, which load that file by themselves.
"""

from datetime import date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError, DataError
from pipeline.monitoring import logged_inputs
from pipeline.runtime import bundle_store, prediction_log, predictor, rolling_features
from pipeline.runtime.contract import Contract
from pipeline.runtime.rolling_features import date_of


class RefreshResult(NamedTuple):
    """The day that the table is for, the number of labelled rows of the log in it, and the days of these rows."""

    as_of: str
    rows: int
    days: list[str]


def run(models: Path, url: str, as_of: date | None, state: Path | None = None) -> RefreshResult:
    """Write the table for a day to `rolling_features.json` in `state` or beside the champion, completely or not at all.

    Running servers load the new file. The default day is the one after the newest row with a known outcome. The table
    has the outcomes that the log has now; a later outcome is in the next table. Raises ConfigError if the champion has
    no rolling features, or if the day is before the day of the champion's own table.
    """
    champion = predictor.load(models)
    contract = champion.contract
    if not contract.rolling:
        raise ConfigError(f"{champion.folder}: this model has no rolling features to refresh")
    own_counts, own_day = rolling_features.load_counts((champion.folder / rolling_features.FILE).read_bytes(), contract)

    with prediction_log.opened(url) as engine:
        newest = prediction_log.newest_time(engine, contract.name, known=True)
        day_after = rolling_features.day_number(str(newest.date())) + 1 if newest else own_day
        day = rolling_features.day_number(str(as_of)) if as_of else max(own_day, day_after)
        if day < own_day:
            raise ConfigError(f"as of {as_of}: the champion's own counts are of {date_of(own_day)} already")

        oldest = day - max(rule.days for rule in contract.rolling.values())
        since = datetime.combine(date.fromisoformat(date_of(max(own_day, oldest))), time())
        labelled = prediction_log.read_labelled(engine, contract.name, since=since, inputs=True)

    columns = logged_request_columns(labelled.inputs, contract)
    new_counts = rolling_features.count_outcomes(columns, np.array(labelled.label), contract)
    counts = rolling_features.merge_counts(own_counts, new_counts, own_day)
    content = rolling_features.dump_counts(counts, contract, day)
    if len(content) > rolling_features.MAX_BYTES:
        limit = f"{rolling_features.MAX_BYTES:,} bytes, which servers read"
        raise DataError(
            f"the rolling features of {date_of(day)} have {len(content):,} bytes, more than the {limit}. Use "
            "fewer days or columns with fewer values in rolling.by"
        )
    bundle_store.write_state(state or models, rolling_features.FILE, content)

    row_days = [rolling_features.day_number(str(at.date())) for at in labelled.at]
    counted = [row_day for row_day in row_days if row_day < day]
    return RefreshResult(
        as_of=date_of(day),
        rows=len(counted),
        days=[date_of(row_day) for row_day in sorted(set(counted))],
    )


def logged_request_columns(inputs: list[str], contract: Contract) -> dict[str, NDArray[Any]]:
    """The columns of logged rows that the rolling features need: their groups and the time."""
    needed = {rolling_features.required_timing(contract).time}
    for rule in contract.rolling.values():
        needed.update(rule.by)
    return logged_inputs.parse(inputs, {name: contract.columns[name] for name in needed})
