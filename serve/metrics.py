"""What Prometheus is told."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]


class Metrics:
    """One server's counters, in a registry of its own."""

    def __init__(self, model: str, version: str) -> None:
        self._registry = CollectorRegistry()
        Info("model", "The model that answers", registry=self._registry).info({"name": model, "version": version})
        self._rows = Counter("predicted_rows", "Rows answered", registry=self._registry)
        self._unseen = Counter("unseen_values", "Values that no training row had", ["column"], registry=self._registry)

    def answered(self, rows: int, unseen: Mapping[str, int]) -> None:
        self._rows.inc(rows)
        for column, count in unseen.items():
            self._unseen.labels(column).inc(count)

    def text(self) -> bytes:
        return generate_latest(self._registry)
