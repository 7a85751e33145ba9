"""The metrics of the server for Prometheus. It knows nothing about HTTP or models."""

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
    """A Prometheus histogram that observes many predictions at once: prometheus-client's own observes only one."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        """`bounds` are the upper bounds of the buckets, ascending; a last bucket has no bound."""
        self._name = name
        self._text = text
        self._bounds = list(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = Lock()  # large requests are handled in threads

    def observe(self, predictions: NDArray[np.float64]) -> None:
        """Count predictions of shape (rows,)."""
        if len(predictions) == 1:
            prediction = predictions.item()
            with self._lock:
                self._counts[bisect_left(self._bounds, prediction)] += 1
                self._sum += prediction
            return

        added = np.bincount(np.searchsorted(self._bounds, predictions), minlength=len(self._counts))
        with self._lock:
            self._counts = [count + int(more) for count, more in zip(self._counts, added, strict=True)]
            self._sum += float(predictions.sum())

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """The cumulative buckets and the sum, in the form that a Prometheus registry asks of its collectors."""
        with self._lock:
            counts = list(self._counts)
            total = self._sum

        cumulative = np.cumsum(counts).tolist()
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        yield HistogramMetricFamily(self._name, self._text, list(zip(bounds, cumulative, strict=True)), total)


class Metrics:
    """The metrics of one server in a registry of their own. A new champion does not reset them."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` are the upper bounds of the histogram of predictions."""
        self._registry = CollectorRegistry()
        options: Any = {"registry": self._registry}

        self._model = Gauge("model_info", "The model that is served", ["name", "version"], **options)
        self._requests = Counter("http_requests", "Requests", ["route", "status"], **options)
        self._seconds = Histogram("http_request_seconds", "Time to respond", ["route"], buckets=SECONDS, **options)
        self.in_flight = Gauge("http_requests_in_flight", "Requests in flight", **options)

        self.connections = Gauge("http_connections", "Open connections", **options)
        self.refused = Counter("http_refused", "Turned away before a request was whole", ["reason"], **options)

        self._rows = Counter("predicted_rows", "Rows predicted", **options)
        self._missing = Counter("missing_values", "Values missing in requests", ["column"], **options)
        self._unseen = Counter("unseen_values", "Category values that no training row had", ["column"], **options)

        self.reloads = Counter("model_reloads", "Champions loaded or refused while serving", ["outcome"], **options)
        self.rolling_features_age = Gauge(
            "rolling_features_age_seconds", "Age of the rolling features at the last row", **options
        )
        self.rolling_features_reloads = Counter(
            "rolling_features_reloads", "Refreshed rolling features loaded or refused", ["outcome"], **options
        )

        self.log_written = Counter("logged_rows", "Predictions written to the log", **options)
        self.log_dropped = Counter("log_dropped_rows", "Predictions that the log's queue had no room for", **options)
        self.log_failures = Counter("log_failures", "Times that the log could not be written to", **options)
        self.log_waiting = Gauge("log_waiting_rows", "Predictions that wait to be written", **options)
        self.labels = Counter("labels_received", "Labels received", **options)

        self._monitored = Gauge("monitor", "Result of the latest monitor run for this model", ["figure"], **options)
        self._monitor_time = Gauge("monitor_looked_timestamp_seconds", "Time of the latest monitor run", **options)
        self._predictions = PredictionHistogram("prediction_value", "Predicted probabilities or values", bounds)
        self._registry.register(self._predictions)

        self._children: dict[tuple[str, int], tuple[Any, Any]] = {}  # by route and status
        self._columns: dict[str, Any] = {}  # the counters of missing values

    def set_model(self, name: str, version: str) -> None:
        """Show this model as the one that is served, and no other."""
        self._model.clear()
        self._model.labels(name, version).set(1)

    def record_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request, and observe the time in seconds until its response."""
        children = self._children.get((route, status))
        if children is None:  # kept, because a call of labels() costs more than counting
            children = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._children[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def record_predictions(
        self,
        predictions: NDArray[np.float64],
        unseen: Mapping[str, int],
        missing: Mapping[str, int],
        looked_up: Collection[str] = (),
    ) -> None:
        """Count predictions of shape (rows,), and their rows' unseen and missing values by column.

        Missing values of the columns `looked_up` do not count: callers are not expected to send them.
        """
        self._rows.inc(len(predictions))
        self._predictions.observe(predictions)
        for column, count in unseen.items():
            self._unseen.labels(column).inc(count)
        for column, count in missing.items():
            if column not in looked_up:
                self._missing_counter(column).inc(count)

    def record_monitor(self, figures: Mapping[str, float], last_run: float) -> None:
        """Replace the monitor's metrics by `figures`, which are empty where it has not run for this model.

        `last_run` is in seconds since 1970.
        """
        self._monitored.clear()
        for figure, value in figures.items():
            self._monitored.labels(figure).set(value)
        self._monitor_time.set(last_run)

    def _missing_counter(self, column: str) -> Any:
        if column not in self._columns:
            self._columns[column] = self._missing.labels(column)
        return self._columns[column]

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)
