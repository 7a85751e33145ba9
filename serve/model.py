"""A verified bundle while it is served: it predicts validated rows, counts and logs.

It knows nothing about routes or protocols.
"""

import json
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime import rolling_features
from pipeline.runtime.arrays import Columns, as_array, count_missing, to_columns
from pipeline.runtime.predictor import Predictor, as_predictions, top_probability
from serve.errors import RequestError
from serve.limits import Limits
from serve.messages import Call
from serve.telemetry.log_process import LogSource, PredictionBatch
from serve.telemetry.log_writer import LogWriter
from serve.telemetry.metrics import Metrics
from serve.validation import CHUNK, RowValidator


class LoadedModel:
    """A predictor with all that is computed from it once and used for every request.

    `writer` is None where predictions are not logged; `root_path` comes before the paths of the page's links.
    Without `max_body_bytes` the limit of a body is in proportion to rows and columns.
    """

    def __init__(
        self,
        predictor: Predictor,
        metrics: Metrics,
        max_rows: int,
        writer: LogWriter | None = None,
        root_path: str = "",
        max_body_bytes: int | None = None,
    ) -> None:
        self.predictor = predictor
        self.contract = predictor.contract
        self.name = self.contract.name
        self.version = predictor.version
        self.task = self.contract.task
        self.scoring = predictor.scoring
        self.limits = Limits.of(self.contract, max_rows, max_body_bytes)
        self.root_path = root_path
        self.last_columns: Columns = {}  # the rows of the last prediction
        self.validator = RowValidator(predictor.row_model, self.limits)
        self._metrics = metrics
        self._writer = writer
        self._source = LogSource.of(self.contract, self.version)

        unit = self.contract.columns[self.contract.target].unit
        threshold = self.scoring.threshold
        of_task: dict[str, dict[str, Any]] = {
            "binary": {"threshold": threshold},
            "multiclass": {"classes": list(self.contract.classes)},
            "regression": {"unit": unit},
        }
        self.kind = of_task[self.task]
        self.metadata = {"model_name": self.name, "model_version": self.version, **self.kind}
        self.facts = {**self.kind, "model": self.name, "version": self.version}
        self.tail = b"," + json.dumps(self.facts, separators=(",", ":")).encode()[1:-1] + b',"request_id":"'
        first = predictor.golden.predictions[:1]
        self.example = self.first_prediction(first)  # the prediction for the first golden row
        self.named_example = self.first_prediction(first, in_words=True)

    def predict(self, rows: Sequence[Mapping[str, Any]], call: Call) -> NDArray[np.float64]:
        """The prediction for each validated row, of shape (rows,) or (rows, classes). Counts the rows in the metrics.

        Raises TimeoutError after the deadline, RequestError (422) where a prediction is not a finite number.
        """
        if len(rows) <= CHUNK:
            return self._predict_chunk(rows)

        chunks = []
        for first in range(0, len(rows), CHUNK):
            call.check_deadline()
            chunks.append(self._predict_chunk(rows[first : first + CHUNK]))
        return np.concatenate(chunks)

    def _predict_chunk(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        columns = to_columns(rows, self.contract)
        predictions = self.predictor.predict(columns)
        if not np.isfinite(predictions).all():
            text = "The model has no prediction for this row: a number is too far from every training row"
            raise RequestError(422, text)

        self.last_columns = columns
        unseen, missing = self.predictor.unseen(columns), count_missing(rows, columns)
        self._metrics.record_predictions(top_probability(predictions), unseen, missing, self.contract.rolling)
        return predictions

    @cached_property
    def missing_effects(self) -> dict[str, float]:
        """The mean absolute change of the prediction by optional field, if rows of the training lack that field."""
        rows = self.predictor.background
        complete = self.predictor.predict(rows)

        effects = {}
        for name, column in self.contract.request.items():
            if column.nullable:
                missing = as_array([None] * len(complete), column.kind)
                change = self.predictor.predict({**rows, name: missing}) - complete
                effects[name] = float(np.abs(change).mean())
        return effects

    def rolling_age_days(self) -> int:
        """Whole days by which the rolling features are older than the newest row of the last prediction.

        0 for a model without rolling features, and before the first prediction.
        """
        table = self.predictor.rolling
        timing = self.contract.timing
        if table and timing and self.last_columns:
            return rolling_features.age_days(table, self.last_columns[timing.time])
        return 0

    def predict_and_log(self, rows: Sequence[Mapping[str, Any]], call: Call) -> dict[str, list[Any]]:
        """The predictions for validated rows as callers receive them, by field. They go to the prediction log.

        Raises the errors of `predict`.
        """
        predictions = self.predict(rows, call)
        if self._writer:
            day = self.predictor.rolling.day if self.predictor.rolling else None
            self._writer.put(PredictionBatch(call.id, time.time(), self._source, rows, predictions.tolist(), day))
        return as_predictions(predictions, self.scoring)

    def in_words(self, predictions: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Predictions as callers receive them, with the data's own names for no and yes as labels, if it has them."""
        names = self.contract.no_and_yes
        return predictions | {"label": [names[label] for label in predictions["label"]]} if names else predictions

    def predict_unlogged(self, row: Mapping[str, Any], call: Call) -> dict[str, Any]:
        """The prediction for one validated row that is explained. An explanation is not a prediction to log."""
        return self.first_prediction(self.predict([row], call))

    def first_prediction(self, predictions: NDArray[np.float64], *, in_words: bool = False) -> dict[str, Any]:
        """The first of the predictions by field, as `predict_and_log` returns it or as `in_words` does."""
        fields = as_predictions(predictions, self.scoring)
        return {name: values[0] for name, values in (self.in_words(fields) if in_words else fields).items()}
