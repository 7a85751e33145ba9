"""Does the champion still predict well? Compares its logged predictions and their labels with the reference in its
bundle, and decides between quiet, retrain and data fault.

This module reads and decides. It must not know how the result is shown, and it does not train.
"""

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
from pipeline.monitoring import drift, logged_inputs, performance
from pipeline.monitoring.drift import ColumnFault, Drift
from pipeline.monitoring.performance import Window
from pipeline.monitoring.reference import comparable, expected_figures
from pipeline.runtime import bundle_store, prediction_log, predictor, rolling_features
from pipeline.runtime.contract import Contract
from pipeline.runtime.dataset import find
from pipeline.runtime.predictor import Predictor

FILE = "monitor.json"  # beside the champion: the latest result, for the server's gauges
QUIET = 0  # this and the next two are exit codes
RETRAIN = 5
FAULT = 6
VERDICTS = {QUIET: "quiet", RETRAIN: "retrain", FAULT: "data fault"}
RESAMPLES = 200


class MonitorResult(NamedTuple):
    """The result of one check of the log.

    `rows` and `labelled_rows` count the rows of the last window, all of them and those with a label. `delay` is the
    median time in seconds until their labels came, NaN without labels. `stale_share` is the share of its rows whose
    rolling features were older than necessary.
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
    """Check the last `weeks` windows before the day `as_of`; by default those up to the newest prediction.

    Performance counts only predictions of the present champion; drift counts the inputs of every model's predictions.
    Raises BundleError if the champion's bundle is from before there was a reference to compare with.
    """
    champion = predictor.load(models)
    contract = champion.contract
    reference, expected = read_reference(champion.folder)

    with prediction_log.opened(url) as engine:
        newest = prediction_log.newest_time(engine, contract.name)
        end = as_of or default_end(newest)
        until = datetime.combine(end, datetime.min.time())
        since = days_before(until, rule.window_days * (weeks + rule.pooled_windows))
        last_window = days_before(until, rule.window_days)
        labelled = prediction_log.read_labelled(
            engine, contract.name, since=since, until=until, version=champion.version
        )
        requests = prediction_log.read_requests(engine, contract.name, last_window, until)

    at = np.array(labelled.at, dtype="datetime64[s]")
    label = np.array(labelled.label, dtype=np.float64)
    answer = as_array_of(labelled.prediction, contract)
    if contract.task == "binary":
        label = label == 1
    plan = Bootstrap(champion.scoring, RESAMPLES, 0)
    windows = performance.weekly_windows(at, label, answer, np.datetime64(end), weeks, expected, rule, plan)
    drifts, faults = incoming_drift(champion, requests, reference, rule)
    delays = [delay for moment, delay in zip(labelled.at, labelled.delay, strict=True) if moment >= last_window]
    median_delay = float(np.median(delays)) if delays else float("nan")

    code, reason = verdict_of(windows, faults, expected, rule)
    return MonitorResult(
        model=contract.name,
        version=champion.version,
        as_of=str(end),
        code=code,
        reason=reason,
        windows=windows,
        expected=expected,
        drifts=drifts,
        column_faults=faults,
        rows=len(requests.at),
        labelled_rows=sum(requests.labelled),
        delay=median_delay,
        stale_share=stale_share(requests, contract),
    )


def as_array_of(predictions: list[Any], contract: Contract) -> NDArray[np.float64]:
    """Logged predictions as an array [rows] or [rows, classes]."""
    array = np.array(predictions, dtype=np.float64)
    return array.reshape(len(predictions), len(contract.classes)) if contract.classes else array


def read_reference(folder: Path) -> tuple[dict[str, Any], dict[str, Interval]]:
    """The reference in a bundle, and its metrics. Raises BundleError where there are none, or the file is broken."""
    try:
        reference: dict[str, Any] = json.loads(bundle_store.read_part(folder, "reference.json"))
        if "outcomes" not in reference:
            raise BundleError(f"{folder}: was made without a reference for the monitor. Train again")
        return reference, expected_figures(reference)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        text = f"{folder / 'reference.json'}: cannot be read as a reference: {error!r}. Train again"
        raise BundleError(text) from None


def default_end(newest: datetime | None) -> date:
    """The day after the newest prediction; today if there is none."""
    return newest.date() + timedelta(days=1) if newest else date.today()


def days_before(until: datetime, days: int) -> datetime:
    """The time that many days earlier, or the beginning of the calendar."""
    return until - min(timedelta(days=days), until - datetime.min)


def verdict_of(
    windows: list[Window], faults: list[ColumnFault], expected: Mapping[str, Interval], rule: Monitor
) -> tuple[int, str]:
    """The exit code and its reason. A data fault comes first, because a model must not be trained on broken data."""
    if faults:
        lost = "; ".join(f"{fault.column} was {fault.fault} on {fault.day} ({fault.rows:,} rows)" for fault in faults)
        return FAULT, f"{lost}. Fix the source first: a model must not be trained on this data"
    if not windows or not windows[-1].figures:
        return QUIET, too_little_reason(windows, rule)

    degraded = [window for window in windows[-rule.out_of :] if window.degraded]
    how = f"in {len(degraded)} of the last {rule.out_of} windows (the monitor fires from {rule.min_bad} on)"
    if performance.alarm_fires(windows, rule):
        return RETRAIN, f"{degraded_figures(windows[-1], expected)}; degraded {how}"
    if windows[-1].degraded:
        return QUIET, f"{degraded_figures(windows[-1], expected)}; but degraded only {how}"
    return QUIET, f"no figure of the latest window is degraded; degraded {how}"


def too_little_reason(windows: list[Window], rule: Monitor) -> str:
    """The labelled rows and days that a judgement needs, and those that the log has."""
    few = rule.min_rows / rule.pooled_windows
    needed = f"{rule.min_rows:,} labelled rows on {rule.min_days} days, with {few:.0f} rows in the latest window"
    rows = [window.rows for window in windows[-rule.pooled_windows :]] or [0]
    days = windows[-1].days if windows else 0
    had = f"{sum(rows):,} labelled rows on {days} days, with {rows[-1]:,} rows in the latest window"
    return f"not enough labels yet: the last {rule.pooled_windows} windows have {had}; the monitor needs {needed}"


def degraded_figures(window: Window, expected: Mapping[str, Interval]) -> str:
    """The degraded metrics of a window, each with the expected one."""
    return ", ".join(
        f"{name} {format_interval(window.figures[name])}, expected {format_interval(expected[name])}"
        for name in window.degraded
    )


def format_interval(figure: Interval) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def incoming_drift(
    champion: Predictor, requests: prediction_log.LoggedRequests, reference: Mapping[str, Any], rule: Monitor
) -> tuple[list[Drift], list[ColumnFault]]:
    """The drift of every column and of the predictions in the last window, largest first, and the faults of columns.

    Rolling features and private columns are not compared, nor columns derived from private ones, because the log does
    not have them. Dates and times are not compared, because they are always new.
    """
    if len(requests.at) < rule.min_rows:
        return [], []
    day = np.array(requests.at, dtype="datetime64[D]").astype(np.int64)
    columns = logged_inputs.parse(requests.inputs, champion.contract.request)
    derived = find(champion.contract.dataset).derive(columns)

    drifts = []
    faults = []
    for name, profile in reference["columns"].items():
        column = champion.contract.columns[name]
        is_hidden = column.private or any(champion.contract.columns[origin].private for origin in column.derived_from)
        if name not in derived or "bins" not in profile or column.rolling or is_hidden:
            continue
        values = derived[name] if column.kind == "category" else derived[name].astype(np.float64)
        drifts.append(drift.drift(name, values, profile))
        if name in champion.contract.request:
            faults += drift.column_faults(name, values, day, profile, rule)

    predictions = comparable(as_array_of(requests.prediction, champion.contract), champion.contract.classes)
    prediction_drift = drift.drift("the answers", predictions, reference["predictions"])
    faults += drift.column_faults("the answer", predictions, day, reference["predictions"], rule)

    return sorted([prediction_drift, *drifts], key=lambda column: column.ratio or 0.0, reverse=True), faults


def stale_share(requests: prediction_log.LoggedRequests, contract: Contract) -> float:
    """The share of rows whose rolling features were older than necessary; 0 for a model without rolling features."""
    if contract.timing is None or not contract.rolling or not requests.at:
        return 0.0
    at = np.array(requests.at, dtype="datetime64[s]")
    newest_day = (at - rolling_features.table_offset(contract.timing)).astype("datetime64[D]")
    used_day = np.array([day or "1970-01-01" for day in requests.rolling_day], dtype="datetime64[D]")
    return float(np.mean(used_day < newest_day))


def result_figures(result: MonitorResult) -> dict[str, float]:
    """The numbers of a result for MLflow and the gauges, without those that are not finite.

    They are the code; the rows, stale share, label delay and metrics of the last window; and the PSI of every column.
    """
    figures = {
        "code": result.code,
        "asked": result.rows,
        "known": result.labelled_rows,
        "old_memory": result.stale_share,
        "delay_seconds": result.delay,
    }
    for column in result.drifts:
        figures[f"drift.{column.column.replace(' ', '_')}"] = column.psi
    for window in result.windows[-1:]:
        for name, interval in window.figures.items():
            figures |= {f"{name}.{end}": value for end, value in interval._asdict().items()}

    return {name: float(value) for name, value in figures.items() if np.isfinite(value)}


def write_result(state: Path, result: MonitorResult) -> None:
    """Write the result to the folder where the champion's server reads it."""
    content = {
        "version": result.version,
        "as_of": result.as_of,
        "reason": result.reason,
        "looked": time.time(),
        "figures": result_figures(result),
    }
    text = json.dumps(content, ensure_ascii=False)
    bundle_store.write_state(state, FILE, text.encode())
