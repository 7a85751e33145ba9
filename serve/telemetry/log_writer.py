"""The prediction log's writer: a bounded queue, and a thread that passes it on to the process that writes the database.

A prediction never waits for the database; labels wait for their write and fail with it. While the database cannot be
written to, the thread tries again and again. Meanwhile the queue fills up; batches that find no room are dropped and
counted. It knows nothing about HTTP.
"""

import threading
import time
from collections import deque
from concurrent.futures import Future
from itertools import islice
from typing import NamedTuple

from pipeline.errors import ConfigError
from serve.telemetry.event_log import EventLog
from serve.telemetry.log_process import LogProcess, LogWriteError, PredictionBatch
from serve.telemetry.metrics import Metrics

AT_ONCE = 1000  # rows of one transaction at most
OFTEN = 0.25  # seconds between two reads of the queue: fewer and larger transactions cost the predictions less
PATIENCE = 8.0  # seconds to write the rest of the queue when the server stops


class LabelBatch(NamedTuple):
    """Labels as (request id, row, label).

    Their sender waits for `unknown`: the (request id, row) of labels that have no prediction in the log.
    """

    labels: list[tuple[str, int, float]]
    unknown: "Future[list[tuple[str, int]]]"


class LogWriter:
    """The queue and its thread. `put`, `put_labels` and `stop` may be called from any thread."""

    def __init__(self, url: str, max_rows: int, metrics: Metrics, log: EventLog) -> None:
        """`url` is the database's; about `max_rows` rows wait in the queue at most."""
        self.url = url
        self._max_rows = max_rows
        self._metrics = metrics
        self._log = log
        self._queue: deque[PredictionBatch | LabelBatch] = deque()
        self._waiting = 0  # rows in the queue
        self._waiting_labels = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._until: float | None = None  # the time to give up at, once the server stops
        self._broken = False
        self._process: LogProcess | None = None  # the thread starts it, and another after one that died
        self._thread = threading.Thread(target=self._run, name="prediction log", daemon=True)

        metrics.log_waiting.set_function(lambda: self._waiting)
        self._thread.start()

    def put(self, batch: PredictionBatch) -> None:
        """Queue a batch. Where the queue is full or the writer has stopped, drop it and count its rows."""
        with self._lock:
            if self._waiting < self._max_rows and self._until is None:
                self._waiting += len(batch.rows)
                self._queue.append(batch)
                if self._waiting >= AT_ONCE:
                    self._wake.set()
                return
        self._metrics.log_dropped.inc(len(batch.rows))

    def put_labels(self, labels: list[tuple[str, int, float]]) -> "Future[list[tuple[str, int]]]":
        """Queue labels as (request id, row, label), behind all predictions that were put before them.

        The future has the (request id, row) for which there is no prediction, or a ConfigError. Labels whose future is
        cancelled before they are written are not stored.
        """
        batch = LabelBatch(labels, Future())
        with self._lock:
            fits = self._waiting_labels + len(labels) <= self._max_rows or not self._waiting_labels
            if fits:
                self._waiting_labels += len(labels)
                self._queue.append(batch)
        if not fits:
            batch.unknown.set_exception(ConfigError("too many labels wait for the prediction log already"))
        self._wake.set()
        return batch.unknown

    def stop(self) -> None:
        """Write the rest of the queue within PATIENCE, and end the thread. Rows that remain are counted as dropped."""
        with self._lock:
            self._until = time.monotonic() + PATIENCE
        self._wake.set()
        self._thread.join(PATIENCE + 1)
        if self._process is not None and self._thread.is_alive():
            self._process.kill()

    def _run(self) -> None:
        """The thread: write the queue until `stop` is called and the queue is empty.

        After an error it pauses, twice as long each time, for 2 seconds at most.
        """
        pause = OFTEN
        while self._until is None or self._queue:
            self._wake.wait(pause)
            self._wake.clear()
            try:
                self._empty()
                pause = OFTEN
            except Exception as error:  # noqa: BLE001 -- reason: whatever the error, serving goes on and this is retried
                self._fail(error)
                pause = min(2.0, pause * 2)
                if self._until is not None and time.monotonic() + pause > self._until:
                    self._give_up()

        if self._process is not None:
            self._process.close()

    def _empty(self) -> None:
        """Write the queue, one transaction at a time. A batch leaves the queue only after it is written."""
        if self._process is None:
            self._process = LogProcess(self.url)

        while self._queue:
            batches = self._next_batches()
            first = self._queue[0]
            if batches:
                rows = sum(len(batch.rows) for batch in batches)
                self._process.write(batches)
                self._finish(len(batches), rows)
                self._metrics.log_written.inc(rows)
            elif isinstance(first, LabelBatch):
                if not is_awaited(first):
                    self._finish(1, 0, len(first.labels))
                    continue
                unknown = self._process.store_labels(first.labels)
                self._finish(1, 0, len(first.labels))
                self._metrics.labels.inc(len(first.labels))
                first.unknown.set_result(unknown)

            if self._broken:
                self._broken = False
                self._log.write("prediction log works again")

    def _next_batches(self) -> list[PredictionBatch]:
        """The predictions at the head of the queue, as many batches as fit into one transaction, at least one."""
        with self._lock:
            head = list(islice(self._queue, AT_ONCE))

        batches: list[PredictionBatch] = []
        rows = 0
        for item in head:
            if isinstance(item, LabelBatch) or (batches and rows + len(item.rows) > AT_ONCE):
                break
            batches.append(item)
            rows += len(item.rows)
        return batches

    def _finish(self, items: int, rows: int, labels: int = 0) -> None:
        """Remove what is done from the queue: its first items, which have so many predictions and labels."""
        with self._lock:
            for _ in range(items):
                self._queue.popleft()
            self._waiting -= rows
            self._waiting_labels -= labels

    def _fail(self, error: Exception) -> None:
        """Count and log an error. Senders of labels get it; predictions stay in the queue."""
        self._metrics.log_failures.inc()
        from_database = isinstance(error, LogWriteError)
        if not self._broken:
            reason = str(error) if from_database else f"{type(error).__name__}: {error}"
            self._log.write("prediction log fails", reason=reason)
        self._broken = True
        if self._process is not None and not from_database:
            self._process.kill()
            self._process = None

        with self._lock:
            label_batches = [item for item in self._queue if isinstance(item, LabelBatch)]
            self._queue = deque(item for item in self._queue if isinstance(item, PredictionBatch))
            self._waiting_labels = 0
        for batch in label_batches:
            if is_awaited(batch):
                batch.unknown.set_exception(ConfigError("the prediction log cannot be written to"))

    def _give_up(self) -> None:
        with self._lock:
            self._queue.clear()
            dropped = self._waiting
            self._waiting = 0
        self._metrics.log_dropped.inc(dropped)
        self._log.write("prediction log given up", dropped=dropped)


def is_awaited(batch: LabelBatch) -> bool:
    """Whether the sender of these labels still waits. It cannot be cancelled any more after that."""
    return batch.unknown.running() or batch.unknown.set_running_or_notify_cancel()
