"""A proven bundle in service: rows checked against its contract, and its answers."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from pipeline.runtime import rolling_features
from pipeline.runtime.arrays import Columns, to_columns
from pipeline.runtime.predictor import Predictor, as_predictions
from pipeline.runtime.request_model import without_nan
from serve.errors import FieldError, RequestError, field_errors, invalid_json, validation_failed
from serve.messages import Call
from serve.telemetry.log_writer import LogWriter, PredictionBatch
from serve.telemetry.metrics import Metrics

CHUNK = 500  # rows that are worked on in one go, so that others get their turn between


class LoadedModel:
    """What is made from a bundle once, and used for every request."""

    def __init__(
        self,
        predictor: Predictor,
        metrics: Metrics,
        max_rows: int,
        writer: LogWriter | None = None,
        root_path: str = "",
    ) -> None:
        self.predictor, self.contract = predictor, predictor.contract
        self.name, self.version, self.task = self.contract.name, predictor.version, self.contract.task
        self.scoring = predictor.scoring
        unit = self.contract.columns[self.contract.target].unit
        threshold = self.scoring.threshold
        of_task: dict[str, dict[str, Any]] = {"binary": {"threshold": threshold}, "regression": {"unit": unit}}
        self.kind = of_task[self.task]
        self.metadata = {"model_name": self.name, "model_version": self.version, **self.kind}
        self.facts = {**self.kind, "model": self.name, "version": self.version}
        self.tail = b"," + json.dumps(self.facts, separators=(",", ":")).encode()[1:-1] + b',"request_id":"'
        self.pictures = predictor.pictures
        self.root_path = root_path  # before the paths of its pages
        self.max_rows, self._metrics, self._writer = max_rows, metrics, writer
        self.asked: Columns = {}  # the rows of the last request
        row: Any = predictor.row_model
        self.example = self.first_prediction(predictor.golden.answers[:1])  # the answer to the first golden row
        self._one, self._many = row.__pydantic_validator__, TypeAdapter(list[row])

    def row(self, body: bytes) -> dict[str, Any]:
        """One row of JSON. Raises RequestError with every wrong field."""
        try:
            found: dict[str, Any] = vars(self._one.validate_json(body))
        except ValidationError as error:
            if broken := invalid_json(error):
                raise broken from None
            try:
                found = vars(self._validated([from_json(body)])[0])  # once more, with NaN as a missing value
            except ValidationError as error:
                raise validation_failed(field_errors(error)) from None
        return found

    def rows(self, sent: Sequence[Any], at: str, call: Call) -> list[dict[str, Any]]:
        """Rows of plain values, which the request has under `at`. Raises RequestError with every wrong field of all."""
        if not sent:
            raise validation_failed([FieldError(field=at, message="Should have at least one row")])
        if len(sent) > self.max_rows:
            raise RequestError(
                413, f"{len(sent):,} rows are more than {self.max_rows:,} (MAX_ROWS); send fewer at a time"
            )
        checked: list[dict[str, Any]] = []
        wrong: list[FieldError] = []
        for first in range(0, len(sent), CHUNK):
            call.check_deadline()
            part = sent[first : first + CHUNK]
            try:
                checked += map(vars, self._validated(part))
            except ValidationError as error:
                wrong += field_errors(error, at, first)
        if wrong:
            raise validation_failed(wrong)
        return checked

    def _validated(self, rows: Sequence[Any]) -> list[Any]:
        """Rows as they are or, where that fails, with NaN as a missing value."""
        try:
            return self._many.validate_python(rows)
        except ValidationError:
            return self._many.validate_python(without_nan(rows))

    def predict(self, rows: Sequence[Mapping[str, Any]], call: Call) -> NDArray[np.float64]:
        """The model's answer to each checked row; counted."""
        if len(rows) <= CHUNK:
            return self._predict_chunk(rows)
        parts = []
        for first in range(0, len(rows), CHUNK):
            call.check_deadline()
            parts.append(self._predict_chunk(rows[first : first + CHUNK]))
        return np.concatenate(parts)

    def _predict_chunk(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        columns = to_columns(rows, self.contract)
        answers = self.predictor.predict(columns)
        if not np.isfinite(answers).all():
            raise RequestError(422, "The model has no answer: a number is too far from all that it knows")
        self.asked = columns
        self._metrics.record_predictions(rows, answers, self.predictor.unseen(columns), self.contract.rolling)
        return answers

    def rolling_age_days(self) -> int:
        """Days by which what is remembered is behind the last row that was asked; 0 where nothing is."""
        known, rule = self.predictor.rolling, self.contract.timing
        return rolling_features.age_days(known, self.asked[rule.time]) if known and rule and self.asked else 0

    def predict_and_log(self, rows: Sequence[Mapping[str, Any]], call: Call) -> dict[str, list[float]]:
        """The answers to checked rows as callers get them, and into the log."""
        answers = self.predict(rows, call)
        if self._writer:
            day = self.predictor.rolling.day if self.predictor.rolling else None
            self._writer.put(PredictionBatch(call.id, time.time(), self.contract, self.version, rows, answers, day))
        return as_predictions(answers, self.scoring)

    def predict_unlogged(self, row: Mapping[str, Any], call: Call) -> dict[str, float]:
        """The answer to one checked row that is explained, which is no prediction to be logged."""
        return self.first_prediction(self.predict([row], call))

    def first_prediction(self, answers: NDArray[np.float64]) -> dict[str, float]:
        """The first of the answers as callers get it."""
        return {name: values[0] for name, values in as_predictions(answers, self.scoring).items()}
