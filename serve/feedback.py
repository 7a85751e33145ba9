"""What came of predictions: labels as they become known, and the figures of the last days."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from pipeline import evaluate
from pipeline.errors import ConfigError
from pipeline.predict import Predictor
from pipeline.request import integral
from serve.calls import Call, Reply
from serve.errors import FieldError, RequestError, refusal
from serve.protocols import only_json
from serve.served import Served
from serve.writer import Writer

DAYS = (7, 28)
OF_NUMBERS, OF_PROBABILITIES = ("mae", "bias"), ("skill", "roc_auc", "ece")


class Prediction(BaseModel):
    """Which one is meant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    request_id: str = Field(
        pattern="^[A-Za-z0-9_.:/+=@-]+$", max_length=128, examples=["51c3044d1871d81fee68000000000001"]
    )
    row: Annotated[int, BeforeValidator(integral)] = Field(
        0, ge=0, lt=2**31, description="Of a request with many: which, counted from 0."
    )


class YesNo(Prediction):
    """What came of one prediction of a classification."""

    label: Annotated[bool | Literal[0, 1], BeforeValidator(integral)] = Field(description="What really happened.")


class Number(Prediction):
    """What came of one prediction of a regression."""

    label: float = Field(description="What really happened, in the unit of the values.", allow_inf_nan=False)


class Taken(BaseModel):
    """What became of the labels."""

    taken: int = Field(description="Labels whose prediction is in the log.")
    unknown: list[dict[str, Any]] = Field(description="The others; they are kept, should their prediction still come.")


MANY: dict[bool, Any] = {True: TypeAdapter(list[YesNo]), False: TypeAdapter(list[Number])}


def take(writer: Writer) -> Any:
    """The handler that takes one label, or a list of them."""

    def handler(served: Served, call: Call) -> Reply:
        only_json(call)
        told = read(served, call)
        try:
            unknown = writer.tell(told).result(timeout=5)
        except ConfigError as error:
            raise RequestError(503, f"Nothing was taken: {error}; try again", headers=[("retry-after", "5")]) from None
        listed = [{"request_id": name, "row": row} for name, row in unknown]
        body = {"taken": len({(name, row) for name, row, _ in told}) - len(unknown), "unknown": listed}
        return Reply(202, json.dumps(body).encode())

    return handler


def read(served: Served, call: Call) -> list[tuple[str, int, float]]:
    """Raises RequestError with every wrong field."""
    try:
        sent = from_json(call.body, allow_inf_nan=False)
    except ValueError as error:
        raise RequestError(400, f"The body is not JSON: {error}") from None
    many = sent if isinstance(sent, list) else [sent]
    if not many or len(many) > served.max_rows:
        text = f"Should be 1 to {served.max_rows:,} labels (MAX_ROWS); found {len(many):,}"
        raise refusal([FieldError(field="body", message=text)])
    try:
        found = MANY[served.threshold is not None].validate_python(many)
    except ValidationError as error:
        raise refusal(faults(error)) from None
    return [(each.request_id, each.row, float(each.label)) for each in found]


def faults(error: ValidationError) -> list[FieldError]:
    """Each wrong field once, with all that it could have been."""
    wrong: dict[str, list[str]] = {}
    for fault in error.errors(include_url=False, include_context=False):
        wrong.setdefault(".".join(map(str, fault["loc"][:2]))[:100], []).append(fault["msg"])
    return [FieldError(field=name, message=", or: ".join(messages)) for name, messages in wrong.items()]


def verdict(file: Path, version: str) -> tuple[dict[str, float], float]:
    """The figures that the monitor has left of this version, if any, and when it looked, in seconds since 1970."""
    try:
        said = json.loads(file.read_bytes())
        if said["version"] != version:
            return {}, float(said["looked"])
        return {name: float(value) for name, value in said["figures"].items()}, float(said["looked"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, 0.0


def figures(predictor: Predictor, url: str) -> dict[tuple[str, int], float]:
    """How the last days' predictions turned out, by figure and days: those with a label, up to the newest of them."""
    from pipeline import log

    engine = log.connect(url)
    try:
        newest = log.newest(engine, predictor.contract.name, known=True)
        if newest is None:
            return {}
        known = log.labelled(engine, predictor.contract.name, since=newest - timedelta(days=max(DAYS)))
    finally:
        engine.dispose()
    at = np.array(known.at, dtype="datetime64[s]")
    answer, label, delay = (np.array(part) for part in (known.answer, known.label, known.delay))
    found: dict[tuple[str, int], float] = {}
    for days in DAYS:
        some = at > at[-1] - np.timedelta64(days, "D")
        measured = evaluate.metrics(label[some], answer[some], predictor.threshold)
        ratio = label[some].sum() / answer[some].sum() if answer[some].sum() else float("nan")
        shown = OF_NUMBERS if predictor.threshold is None else OF_PROBABILITIES
        wanted = {name: measured[name] for name in shown}
        told = {
            "labels": float(some.sum()),
            "delay_seconds": float(np.median(delay[some])),
            "observed_over_predicted": ratio,
        }
        found |= {(name, days): float(value) for name, value in {**told, **wanted}.items()}
    return found
