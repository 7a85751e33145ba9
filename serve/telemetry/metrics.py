"""What Prometheus is told."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class PredictionHistogram:
    """A histogram that takes many answers at once: prometheus-client's own takes one at a time."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text, self._bounds = name, text, list(bounds)
        self._counts, self._sum = [0] * (len(bounds) + 1), 0.0
        self._lock = Lock()  # large requests are answered in threads

    def observe(self, answers: NDArray[np.float64]) -> None:
        if len(answers) == 1:
            answer = answers.item()
            with self._lock:
                self._counts[bisect_left(self._bounds, answer)] += 1
                self._sum += answer
            return
        places = np.bincount(np.searchsorted(self._bounds, answers), minlength=len(self._counts))
        with self._lock:
            self._counts = [count + int(more) for count, more in zip(self._counts, places, strict=True)]
            self._sum += float(answers.sum())

    def collect(self) -> Iterable[HistogramMetricFamily]:
        with self._lock:
            counts, total = list(self._counts), self._sum
        totals = np.cumsum(counts).tolist()
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        yield HistogramMetricFamily(self._name, self._text, list(zip(bounds, totals, strict=True)), total)


class Metrics:
    """One server's counters, in a registry of its own. They go on when the model is swapped."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` are those of the histogram of answers."""
        self._registry = CollectorRegistry()
        given: Any = {"registry": self._registry}
        self._model = Gauge("model_info", "The model that answers", ["name", "version"], **given)
        self._requests = Counter("http_requests", "Requests", ["route", "status"], **given)
        self._seconds = Histogram("http_request_seconds", "Time to answer", ["route"], buckets=SECONDS, **given)
        self.in_flight = Gauge("http_requests_in_flight", "Requests that are being answered", **given)
        self._rows = Counter("predicted_rows", "Rows answered", **given)
        self._missing = Counter("missing_values", "Values that were not sent", ["column"], **given)
        self._unseen = Counter("unseen_values", "Values that no training row had", ["column"], **given)
        self.reloads = Counter("model_reloads", "Champions taken on or refused while serving", ["outcome"], **given)
        self.rolling_features_age = Gauge("rolling_features_age_seconds", "By how much what is remembered is behind the last row", **given)
        self.rolling_features_reloads = Counter("rolling_features_reloads", "Refreshed tables taken on or refused", ["outcome"], **given)
        self.log_written = Counter("logged_rows", "Predictions written to the log", **given)
        self.log_dropped = Counter("log_dropped_rows", "Predictions that the log's queue had no room for", **given)
        self.log_failures = Counter("log_failures", "Times that the log could not be written to", **given)
        self.log_waiting = Gauge("log_waiting_rows", "Predictions that wait to be written", **given)
        self._labels = Counter("labels_received", "Labels received", **given)
        self._monitored = Gauge("monitor", "What the monitor has found last of this model", ["figure"], **given)
        self._looked = Gauge("monitor_looked_timestamp_seconds", "When that was", **given)
        self._answers = PredictionHistogram("prediction_value", "Probabilities or values answered", bounds)
        self._registry.register(self._answers)
        self._children: dict[tuple[str, int], tuple[Any, Any]] = {}
        self._columns: dict[str, Any] = {}

    def set_model(self, name: str, version: str) -> None:
        self._model.clear()
        self._model.labels(name, version).set(1)

    def record_request(self, route: str, status: int, seconds: float) -> None:
        children = self._children.get((route, status))
        if children is None:  # looked up once: labels() costs more than counting
            children = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._children[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def record_predictions(
        self,
        rows: Sequence[Mapping[str, Any]],
        answers: NDArray[np.float64],
        unseen: Mapping[str, int],
        looked_up: Collection[str] = (),
    ) -> None:
        """`looked_up` are columns that callers are not expected to send."""
        self._rows.inc(len(rows))
        self._answers.observe(answers)
        for column, count in unseen.items():
            self._unseen.labels(column).inc(count)
        if len(rows) == 1 and None not in rows[0].values():
            return
        for column in rows[0]:
            if column in looked_up:
                continue
            if count := [row[column] for row in rows].count(None):
                self._missing_counter(column).inc(count)

    def record_labels(self, count: int) -> None:
        self._labels.inc(count)

    def record_monitor(self, figures: Mapping[str, float], looked: float) -> None:
        """What the monitor has left; nothing where it has not looked at this model."""
        self._monitored.clear()
        for figure, value in figures.items():
            self._monitored.labels(figure).set(value)
        self._looked.set(looked)

    def _missing_counter(self, column: str) -> Any:
        if column not in self._columns:
            self._columns[column] = self._missing.labels(column)
        return self._columns[column]

    def text(self) -> bytes:
        return generate_latest(self._registry)
