"""Does the champion still hold? Its logged predictions and their labels against the reference in its bundle."""

import json
import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.monitoring import Monitor
from pipeline.errors import BundleError
from pipeline.evaluation.bootstrap import Bootstrap, Interval
from pipeline.monitoring import drift, performance
from pipeline.monitoring.drift import ColumnFault, Drift
from pipeline.monitoring.performance import Window
from pipeline.runtime import bundle_store, prediction_log, predictor, rolling_features
from pipeline.runtime.arrays import as_array
from pipeline.runtime.contract import Contract
from pipeline.runtime.dataset import find
from pipeline.runtime.predictor import Predictor

FILE = "monitor.json"  # beside the champion: what was found last, for the server's gauges
QUIET, RETRAIN, FAULT = 0, 5, 6  # the exit codes
VERDICTS = {QUIET: "quiet", RETRAIN: "retrain", FAULT: "data fault"}
RESAMPLES = 200


class MonitorResult(NamedTuple):
    """What one look at the log has found. `asked` and `known` are rows of the last window, all of them and those with
    a label; `delay` is the median of its labels in seconds, `old` the share of its rows that were answered from an
    older memory than could be had.
    """

    model: str
    version: str
    as_of: str
    code: int
    reason: str
    windows: list[Window]
    expected: dict[str, Interval]
    drifts: list[Drift]
    column_faults: list[ColumnFault]
    rows: int
    labelled_rows: int
    delay: float
    stale_share: float

    @property
    def verdict(self) -> str:
        return VERDICTS[self.code]


def check_champion(models: Path, url: str, rule: Monitor, as_of: date | None, weeks: int = 12) -> MonitorResult:
    """The last `weeks` windows before a day, without one those up to the newest prediction.

    Only answers of the present champion say how it does; what came in is looked at whoever answered. Raises BundleError
    where the champion was made before there was a reference to compare with.
    """
    champion = predictor.load(models)
    contract, about = champion.contract, json.loads((champion.folder / "reference.json").read_bytes())
    if "outcomes" not in about:
        raise BundleError(f"{champion.folder}: was made before there was monitoring. Train again")
    expected = {name: Interval(*map(_number, ends.values())) for name, ends in about["outcomes"]["figures"].items()}
    engine = prediction_log.connect(url)
    try:
        newest = prediction_log.newest_time(engine, contract.name)
        end = as_of or (newest.date() + timedelta(days=1) if newest else date.today())
        until = datetime.combine(end, datetime.min.time())
        since, week = (days_before(until, rule.days * windows) for windows in (weeks + rule.pooled_windows, 1))
        known = prediction_log.read_labelled(engine, contract.name, since=since, until=until, version=champion.version)
        asked = prediction_log.read_requests(engine, contract.name, week, until)
    finally:
        engine.dispose()
    at = np.array(known.at, dtype="datetime64[s]")
    plan = Bootstrap(champion.scoring, RESAMPLES, 0)
    label, answer = np.array(known.label, dtype=np.float64), np.array(known.prediction, dtype=np.float64)
    if contract.task == "binary":
        label = label == 1
    found = performance.weekly_windows(at, label, answer, np.datetime64(end), weeks, expected, rule, plan)
    drifts, gone = incoming_drift(champion, asked, about, rule)
    recent = [wait for when, wait in zip(known.at, known.delay, strict=True) if when >= week]
    code, reason = verdict_of(found, gone, expected, rule)
    return MonitorResult(
        contract.name,
        champion.version,
        str(end),
        code,
        reason,
        found,
        expected,
        drifts,
        gone,
        len(asked.at),
        sum(asked.labelled),
        float(np.median(recent)) if len(recent) else float("nan"),
        stale_share(asked, contract),
    )


def days_before(until: datetime, days: int) -> datetime:
    """So many days earlier, as far as the calendar goes."""
    return until - min(timedelta(days=days), until - datetime.min)


def verdict_of(
    found: list[Window], gone: list[ColumnFault], expected: Mapping[str, Interval], rule: Monitor
) -> tuple[int, str]:
    """The exit code and its reason. Broken data come first: nothing should be learnt from them."""
    if gone:
        lost = "; ".join(f"{each.column} was {each.fault} on {each.day} ({each.rows:,} rows)" for each in gone)
        return FAULT, f"{lost}. Mend the source first: nothing is to be learnt from this"
    if not found or not found[-1].figures:
        few = rule.rows / rule.pooled_windows
        needed = (
            f"a judgement needs {rule.rows:,} labelled rows, {few:.0f} in the last window, and {rule.min_days} days"
        )
        rows = [each.rows for each in found[-rule.pooled_windows :]] or [0]
        days = found[-1].days if found else 0
        had = f"the last {rule.pooled_windows} windows have {sum(rows):,}, {rows[-1]:,} and {days} of this model"
        return QUIET, f"too little is known yet: {needed}, and {had}"
    wrong = [each for each in found[-rule.out_of :] if each.degraded]
    how = f"in {len(wrong)} of the last {rule.out_of} windows, and {rule.min_bad} are an alarm"
    if performance.alarm_fires(found, rule):
        return RETRAIN, f"{degraded_figures(found[-1], expected)}; wrong {how}"
    if found[-1].degraded:
        return QUIET, f"{degraded_figures(found[-1], expected)}; but wrong only {how}"
    return QUIET, f"nothing is surely worse than on rows that it had not seen when it was made; wrong {how}"


def degraded_figures(window: Window, expected: Mapping[str, Interval]) -> str:
    """What is wrong in a window, against what was expected."""
    return ", ".join(
        f"{name} {format_interval(window.figures[name])}, expected {format_interval(expected[name])}"
        for name in window.degraded
    )


def format_interval(figure: Interval) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def incoming_drift(
    champion: Predictor, asked: prediction_log.LoggedRequests, about: Mapping[str, Any], rule: Monitor
) -> tuple[list[Drift], list[ColumnFault]]:
    """What came in during the last window, column by column, the furthest off first; and which columns were lost.

    What is remembered or private stands in no log, nor what is derived from it; and a date and time is always new.
    """
    if len(asked.at) < rule.rows:
        return [], []
    day = np.array(asked.at, dtype="datetime64[D]").astype(np.int64)
    columns = logged_columns(asked.inputs, champion.contract)
    derived = find(champion.contract.dataset).derive(columns)
    drifts, lost = [], []
    for name, reference in about["columns"].items():
        column = champion.contract.columns[name]
        hidden = column.private or any(champion.contract.columns[origin].private for origin in column.derived_from)
        if name not in derived or "bins" not in reference or column.rolling or hidden:
            continue
        values = derived[name] if column.kind == "category" else derived[name].astype(np.float64)
        drifts.append(drift.drift(name, values, reference))
        if name in champion.contract.request:
            lost += drift.column_faults(name, values, day, reference, rule)
    answers = drift.drift("the answers", np.array(asked.prediction, dtype=np.float64), about["predictions"])
    lost += drift.column_faults(
        "the answer", np.array(asked.prediction, dtype=np.float64), day, about["predictions"], rule
    )
    return sorted([answers, *drifts], key=lambda each: each.ratio or 0.0, reverse=True), lost


def logged_columns(inputs: list[str], contract: Contract) -> dict[str, NDArray[Any]]:
    """Request columns from the log's JSON."""
    rows = [json.loads(each) for each in inputs]
    return {name: as_array([row.get(name) for row in rows], each.kind) for name, each in contract.request.items()}


def stale_share(asked: prediction_log.LoggedRequests, contract: Contract) -> float:
    """The share of rows that were answered from an older memory than one could have had."""
    if contract.timing is None or not contract.rolling or not asked.at:
        return 0.0
    at = np.array(asked.at, dtype="datetime64[s]")
    wanted = (at - rolling_features.table_offset(contract.timing)).astype("datetime64[D]")
    had = np.array([day or "1970-01-01" for day in asked.rolling_day], dtype="datetime64[D]")
    return float(np.mean(had < wanted))


def result_figures(found: MonitorResult) -> dict[str, float]:
    """What is recorded of a look: its code, rows and memory of the last window, drifts, and what was judged last."""
    told = {"code": found.code, "asked": found.rows, "known": found.labelled_rows, "old_memory": found.stale_share}
    told["delay_seconds"] = found.delay
    told |= {f"drift.{each.column.replace(' ', '_')}": each.psi for each in found.drifts}
    for window in found.windows[-1:]:
        for name, figure in window.figures.items():
            told |= {f"{name}.{end}": value for end, value in figure._asdict().items()}
    return {name: float(value) for name, value in told.items() if np.isfinite(value)}


def write_result(models: Path, found: MonitorResult) -> None:
    """Leave the verdict beside the champion, where its server reads it."""
    said = {"version": found.version, "as_of": found.as_of, "reason": found.reason, "looked": time.time()}
    content = json.dumps({**said, "figures": result_figures(found)}, ensure_ascii=False)
    with bundle_store.locked(models):
        bundle_store.replace(models / FILE, content.encode())


def _number(end: float | None) -> float:
    return float("nan") if end is None else end
