"""The prediction log's writer: a bounded queue before a thread of its own. Whoever answers never waits for it.

A database that cannot be written to is tried again and again. Meanwhile the queue fills up; what does not fit is
dropped and counted.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from pipeline.errors import ConfigError
from pipeline.runtime.contract import Contract
from serve.telemetry.event_log import EventLog
from serve.telemetry.metrics import Metrics

AT_ONCE = 1000  # rows of one transaction
OFTEN = 0.05  # seconds between two looks at the queue
PATIENCE = 5.0  # seconds for what is still in the queue when the server stops


class PredictionBatch(NamedTuple):
    """One request that was answered; `time` is in seconds since 1970, `memory` the day of what was remembered."""

    id: str
    time: float
    contract: Contract
    version: str
    rows: Sequence[Mapping[str, Any]]
    predictions: NDArray[np.float64]
    rolling_day: str | None = None


class LabelBatch(NamedTuple):
    """Labels by request id and row; who sent them waits for those of which no prediction is known."""

    labels: list[tuple[str, int, float]]
    unknown: "Future[list[tuple[str, int]]]"


class LogWriter:
    """`put` and `tell` may be called from any thread."""

    def __init__(self, url: str, most: int, metrics: Metrics, log: EventLog) -> None:
        """At most about `most` rows wait."""
        self.url, self._most, self._metrics, self._log = url, most, metrics, log
        self._queue: deque[PredictionBatch | LabelBatch] = deque()
        self._waiting, self._lock, self._wake = 0, threading.Lock(), threading.Event()
        self._until: float | None = None  # when to give up, once the server stops
        self._broken = False
        self._engine: Any = None  # of the log, which is imported by the thread: it takes a while
        self._thread = threading.Thread(target=self._run, name="prediction log", daemon=True)
        metrics.log_waiting.set_function(lambda: self._waiting)
        self._thread.start()

    def put(self, asked: PredictionBatch) -> None:
        with self._lock:
            if self._waiting < self._most and self._until is None:
                self._waiting += len(asked.rows)
                self._queue.append(asked)
                return
        self._metrics.log_dropped.inc(len(asked.rows))

    def put_labels(self, labels: list[tuple[str, int, float]]) -> "Future[list[tuple[str, int]]]":
        """Labels, after all predictions that were put before them."""
        told = LabelBatch(labels, Future())
        with self._lock:
            self._queue.append(told)
        self._wake.set()
        return told.unknown

    def stop(self) -> None:
        """Write what was put until now, and end. What a dead database leaves is counted as dropped."""
        with self._lock:
            self._until = time.monotonic() + PATIENCE
        self._wake.set()
        self._thread.join(PATIENCE + 1)

    def _run(self) -> None:
        pause = OFTEN
        while self._until is None or self._queue:
            self._wake.wait(pause)
            self._wake.clear()
            try:
                self._empty()
                pause = OFTEN
            except Exception as error:  # noqa: BLE001 -- reason: whatever it is, serving goes on and this is tried again
                self._fail(error)
                pause = min(2.0, pause * 2)
                if self._until is not None and time.monotonic() + pause > self._until:
                    self._give_up()
        if self._engine is not None:
            self._engine.dispose()

    def _empty(self) -> None:
        """Write the queue, a transaction at a time; what is written leaves it, and nothing else does."""
        from pipeline.runtime import prediction_log

        while self._queue:
            if self._engine is None:
                self._engine = prediction_log.connect(self.url)
            part, first = self._next_batch(), self._queue[0]
            if part:
                records = [record for asked in part for record in log_rows(asked)]
                prediction_log.write(self._engine, records)
                self._finish(len(part), len(records))
                self._metrics.log_written.inc(len(records))
            elif isinstance(first, LabelBatch):
                unknown = prediction_log.store_labels(self._engine, first.labels, prediction_log.now())
                self._finish(1, 0)
                self._metrics.record_labels(len(first.labels))
                first.unknown.set_result(unknown)
            if self._broken:
                self._broken = False
                self._log.write("prediction log works again")

    def _next_batch(self) -> list[PredictionBatch]:
        """The answered requests at the head of the queue, as many as fit into one transaction."""
        part: list[PredictionBatch] = []
        rows = 0
        with self._lock:
            head = list(islice(self._queue, AT_ONCE))
        for item in head:
            if isinstance(item, LabelBatch) or (part and rows + len(item.rows) > AT_ONCE):
                break
            part.append(item)
            rows += len(item.rows)
        return part

    def _finish(self, items: int, rows: int) -> None:
        with self._lock:
            for _ in range(items):
                self._queue.popleft()
            self._waiting -= rows

    def _fail(self, error: Exception) -> None:
        """Whoever waits with labels is told; predictions stay in the queue."""
        self._metrics.log_failures.inc()
        if not self._broken:
            self._log.write("prediction log fails", reason=f"{type(error).__name__}: {error}")
        self._broken = True
        with self._lock:
            waiting = [item for item in self._queue if isinstance(item, LabelBatch)]
            self._queue = deque(item for item in self._queue if isinstance(item, PredictionBatch))
        for told in waiting:
            told.unknown.set_exception(ConfigError("the prediction log cannot be written to"))

    def _give_up(self) -> None:
        with self._lock:
            self._queue.clear()
            left, self._waiting = self._waiting, 0
        self._metrics.log_dropped.inc(left)
        self._log.write("prediction log given up", dropped=left)


def log_rows(asked: PredictionBatch) -> list[dict[str, Any]]:
    """The rows of the log's table. What is private in the contract is left out."""
    made = datetime.fromtimestamp(asked.time, UTC).replace(tzinfo=None)
    private = {name for name, column in asked.contract.request.items() if column.private}
    time_of = asked.contract.timing.time if asked.contract.timing else ""
    same = {"request_id": asked.id, "time": made, "model": asked.contract.name, "version": asked.version}
    return [
        {
            **same,
            "memory": asked.rolling_day,
            "row": number,
            "at": datetime.fromisoformat(row[time_of]) if time_of in row else made,
            "inputs": to_json({k: v for k, v in row.items() if k not in private} if private else row).decode(),
            "answer": answer,
        }
        for number, (row, answer) in enumerate(zip(asked.rows, asked.predictions.tolist(), strict=True))
    ]
