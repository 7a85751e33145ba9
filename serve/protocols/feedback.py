"""The route of labels, which callers send as outcomes become known."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Annotated, Any, Literal

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic_core import from_json

from pipeline.errors import ConfigError
from pipeline.runtime.contract import Contract
from pipeline.runtime.request_model import integral, value_type
from serve.errors import FieldError, RequestError, fault_text, invalid_field, search_ended, validation_failed
from serve.limits import Limits, is_light
from serve.messages import Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import documented_responses, examples_body, schema_ref
from serve.protocols.bodies import only_json
from serve.telemetry.log_writer import LogWriter

CHUNK = 100  # labels that are validated together; the search for invalid fields ends with the first chunk that has one
MOST_FIELDS = 10  # of a label that are validated
CONFIRMED_WITHIN = 5.0  # seconds for labels to be stored
REST = 0.8  # share of the time that is left to the request, where that is shorter


class PredictionRef(BaseModel):
    """The prediction that a label belongs to: a request, and a row of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    request_id: str = Field(
        pattern="^[A-Za-z0-9_.:/+=@-]+$", max_length=128, examples=["51c3044d1871d81fee68000000000001"]
    )
    row: Annotated[int, BeforeValidator(integral)] = Field(
        0, ge=0, lt=2**31, description="The row in a request with many rows, counted from 0."
    )


class BinaryLabel(PredictionRef):
    """What came of one prediction of a classification."""

    label: Annotated[bool | Literal[0, 1], BeforeValidator(integral)] = Field(description="The actual outcome.")


class ClassLabel(PredictionRef):
    """What came of one prediction of several classes."""

    label: str = Field(description="The name of the actual class.")


class NumericLabel(PredictionRef):
    """What came of one prediction of a regression."""

    label: float = Field(description="The actual outcome, in the unit of the values.")


class FeedbackResult(BaseModel):
    """What became of the labels."""

    taken: int = Field(description="Labels whose prediction is in the log.")
    unknown: list[dict[str, Any]] = Field(
        description="Labels without a logged prediction; they are kept in case it arrives later."
    )


Labels = TypeAdapter[list[Any]]  # validates a list of labels, each an instance of `label_model`


def label_model(contract: Contract) -> type[PredictionRef]:
    """The pydantic model of a label: a boolean, the name of a class, or a number within the target's bounds."""
    if contract.task == "binary":
        label: Any = Annotated[bool | Literal[(0, 1, *contract.no_and_yes)], BeforeValidator(integral)]
        about = BinaryLabel.model_fields["label"].description
        return create_model("BinaryLabel", __base__=BinaryLabel, label=(label, Field(description=about)))
    base: type[PredictionRef] = ClassLabel if contract.classes else NumericLabel
    about = base.model_fields["label"].description
    field: Any = (value_type(contract.columns[contract.target]), Field(description=about))
    return create_model(base.__name__, __base__=base, label=field)


def router(model: LoadedModel, writer: LogWriter) -> APIRouter:
    """The route /feedback, documented with the label schema of the model's task."""
    routes = APIRouter(tags=["Predictions"])
    outcome = example_label(model.contract)
    example = {"request_id": "51c3044d1871d81fee68000000000001", "label": outcome}
    row_label = label_model(model.contract)
    labels: Labels = TypeAdapter(list[row_label])  # type: ignore[valid-type]  # because the contract makes the type
    label = schema_ref(row_label)
    schema = {"anyOf": [label, {"type": "array", "items": label, "minItems": 1}]}

    names = model.contract.classes or model.contract.no_and_yes
    thread = CapacityLimiter(1)

    @routes.post(
        "/feedback",
        name="/feedback",
        summary="Send the outcomes (labels) of predictions",
        status_code=202,
        response_model=FeedbackResult,
        responses=documented_responses({"taken": 1, "unknown": []}, status=202),
        openapi_extra=examples_body(schema, {"one": example, "many": [example, {**example, "row": 1}]}),
    )
    async def feedback(call: CallParameter) -> Response:
        """In any order, more than once, and before the prediction is in the log: the last label of a row counts.

        The response comes after the labels are stored.
        """
        only_json(call)
        read = partial(read_labels, labels, model.limits, call, names)
        received = read() if is_light(call.body) else await to_thread.run_sync(read, limiter=thread)
        unknown = await stored(writer, received, call)
        return feedback_response(received, unknown)

    return routes


def example_label(contract: Contract) -> bool | float | str:
    """An outcome for the documentation: the last class, the word for yes, or the valid number nearest to 12.5."""
    if names := contract.classes or contract.no_and_yes:
        return names[-1]
    if contract.task == "binary":
        return True
    column = contract.columns[contract.target]
    low, high = column.limits
    number = min(max(12.5, low), high)
    return round(number) if column.kind == "integer" else number


async def stored(writer: LogWriter, labels: list[tuple[str, int, float]], call: Call) -> list[tuple[str, int]]:
    """Wait until the labels are stored, without a thread. Returns the (request id, row) of those without a prediction.

    Raises RequestError (503) where the log cannot be written to, or takes too long. Sent again, the same labels change
    nothing.
    """
    seconds = min(CONFIRMED_WITHIN, REST * (call.expires - time.monotonic()))
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(writer.put_labels(labels))
    except ConfigError as error:
        text = f"No label was stored: {error}; send them again later"
    except TimeoutError:
        text = f"The prediction log has not stored the labels within {seconds:.1f} s; send them again, which is safe"
    raise RequestError(503, text, headers=[("retry-after", "5")])


def feedback_response(labels: list[tuple[str, int, float]], unknown: list[tuple[str, int]]) -> Response:
    """How many rows got a label, and which of them have no prediction in the log."""
    unknown_rows = [{"request_id": request_id, "row": row} for request_id, row in unknown]
    distinct = {(request_id, row) for request_id, row, _ in labels}
    return JSONResponse({"taken": len(distinct) - len(unknown), "unknown": unknown_rows}, 202)


def read_labels(schema: Labels, limits: Limits, call: Call, names: Sequence[str] = ()) -> list[tuple[str, int, float]]:
    """The labels of a body as (request id, row, label); the label of a class is its number in `names`.

    Raises RequestError for more values than MAX_ROWS labels can have (413), and with the first invalid fields (422).
    """
    limits.check_values(call.body, call)
    try:
        content = from_json(call.body, allow_inf_nan=False)
    except ValueError as error:
        raise RequestError(400, f"The body is not JSON: {error}") from None

    many = content if isinstance(content, list) else [content]
    if not many or len(many) > limits.rows:
        text = f"Should be 1 to {limits.rows:,} labels (MAX_ROWS); found {len(many):,}"
        raise invalid_field("body", text)

    numbers: dict[Any, int] = {name: number for number, name in enumerate(names)}
    labels: list[tuple[str, int, float]] = []
    for first in range(0, len(many), CHUNK):
        call.check_deadline()
        try:
            valid = schema.validate_python([without_more_fields(sent) for sent in many[first : first + CHUNK]])
        except ValidationError as error:
            raise validation_failed(
                label_errors(error, first), search_ended(first + CHUNK, len(many), "labels")
            ) from None
        labels += [
            (label.request_id, label.row, float(numbers.get(label.label, label.label)))  # a number stands for itself
            for label in valid
        ]
    return labels


def without_more_fields(label: Any) -> Any:
    """A label with a few unknown fields at most, the first ones: each of them takes memory for its error."""
    if not isinstance(label, dict) or len(label) <= MOST_FIELDS:
        return label
    known = {name: label[name] for name in ("request_id", "row", "label") if name in label}
    return known | dict(islice(label.items(), MOST_FIELDS))


def label_errors(error: ValidationError, first: int) -> list[FieldError]:
    """Each invalid field once, with one message for each type that its label could have had.

    `first` is the position of the first label that was validated.
    """
    messages: dict[str, list[str]] = {}
    for fault in error.errors(include_url=False, include_input=False):
        number, *name = fault["loc"][:2]
        field = ".".join(map(str, [int(number) + first, *name]))[:100]
        messages.setdefault(field, []).append(fault_text(fault))
    return [FieldError(field=field, message=", or: ".join(texts)) for field, texts in messages.items()]
