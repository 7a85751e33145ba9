"""What is remembered, brought up to date without training: the champion's own counts, and after them the log's."""

import json
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.runtime import bundle_store, prediction_log, predictor, rolling_features
from pipeline.runtime.arrays import as_array
from pipeline.runtime.contract import Contract


class RefreshResult(NamedTuple):
    """The day that the table is of, and the labelled rows of the log that it counts with the days that they are of."""

    as_of: str
    rows: int
    days: list[str]


def run(models: Path, url: str, as_of: date | None) -> RefreshResult:
    """Write the table of a day to `rolling_features.json` beside the champion, whole or not at all; servers take it on.

    Without a day it is the one after the newest row whose outcome is known. What counts is what has been told by now:
    an outcome that comes later is in the next table. Raises ConfigError where the champion remembers nothing, or the
    day is before its own.
    """
    champion = predictor.load(models)
    contract = champion.contract
    if not contract.rolling:
        raise ConfigError(f"{champion.folder}: this model remembers nothing, so there is nothing to refresh")
    own, first = rolling_features.load_counts((champion.folder / rolling_features.FILE).read_bytes(), contract)
    engine = prediction_log.connect(url)
    try:
        newest = prediction_log.newest_time(engine, contract.name, known=True)
        after = rolling_features.day_number(str(newest.date())) + 1 if newest else first
        day = rolling_features.day_number(str(as_of)) if as_of else max(first, after)
        if day < first:
            raise ConfigError(
                f"as of {as_of}: the champion's own memory is of {rolling_features.date_of(first)} already"
            )
        oldest = day - max(rule.days for rule in contract.rolling.values())
        since = datetime.combine(date.fromisoformat(rolling_features.date_of(max(first, oldest))), time())
        known = prediction_log.read_labelled(engine, contract.name, since=since, inputs=True)
    finally:
        engine.dispose()
    days = [rolling_features.day_number(str(at.date())) for at in known.at]
    new = rolling_features.count_outcomes(
        logged_request_columns(known.inputs, contract), np.array(known.label), contract
    )
    with bundle_store.locked(models):
        bundle_store.replace(
            models / rolling_features.FILE,
            rolling_features.dump_counts(rolling_features.merge_counts(own, new, first), contract, day),
        )
    counted = sorted({each for each in days if each < day})
    return RefreshResult(
        rolling_features.date_of(day),
        sum(each < day for each in days),
        [rolling_features.date_of(each) for each in counted],
    )


def logged_request_columns(inputs: list[str], contract: Contract) -> dict[str, NDArray[Any]]:
    """What the memory needs of logged rows."""
    rows = [json.loads(each) for each in inputs]
    needed = {by for rule in contract.rolling.values() for by in rule.by} | {
        rolling_features.days_needed(contract).time
    }
    return {name: as_array([row.get(name) for row in rows], contract.columns[name].kind) for name in needed}
