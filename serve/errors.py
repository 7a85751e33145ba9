"""One body for every error: RFC 9457 problem details, plus the fields that the platforms' clients read.

An error lists every invalid field of the request at once, and reveals nothing about the inside of the server.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field, ValidationError

LISTED = 100  # invalid fields that one error lists at most
PLAIN = ("/v1", "/v2")  # KServe's and Triton's clients read only plain JSON


class FieldError(BaseModel):
    field: str = Field(description="Where in the request, such as `temp` or `rows.3.temp`.")
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details; `error`, `error_code` and `message` say the same to the clients of other protocols."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field([], description="Every wrong field of the request, up to 100.")
    request_id: str
    error: str
    error_code: str
    message: str


class RequestError(Exception):
    """A request that is refused. `status` is the HTTP status; `problem` makes the body of the response."""

    def __init__(
        self, status: int, detail: str, errors: Sequence[FieldError] = (), headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = list(headers)

    def problem(self, request_id: str) -> Problem:
        title = HTTPStatus(self.status).phrase
        code = title.upper().replace(" ", "_").replace("-", "_")
        text = self.detail + "".join(f"; {error.field}: {error.message}" for error in self.errors[:3])

        return Problem(
            title=title,
            status=self.status,
            detail=self.detail,
            errors=self.errors,
            request_id=request_id,
            error=text,
            error_code=code,
            message=text,
        )


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The body cannot be read: it is not JSON, or not what its headers say.",
        401: "API keys are asked for, and none that is known was sent.",
        413: "The body is larger than MAX_BODY_BYTES, or has more rows than MAX_ROWS.",
        415: "The body is of a type that is not read here.",
        422: "The request breaks the contract; every wrong field is listed.",
        503: "As many requests as MAX_IN_FLIGHT are being answered; try again after a second.",
        504: "The request was not there, or not answered, within TIMEOUT_SECONDS.",
    }.items()
}


def problem(error: Exception, request_id: str, path: str, timeout_seconds: float) -> Response:
    """The response for an exception. For an error of the server it has no details: these are in the log."""
    if isinstance(error, TimeoutError):
        limit = f"{timeout_seconds:g} s (TIMEOUT_SECONDS)"
        error = RequestError(504, f"The request was not there and answered within {limit}")
    if not isinstance(error, RequestError):
        error = RequestError(500, "The server failed, not your request. Its log has the reason under this id")

    media_type = "application/json" if path.startswith(PLAIN) else "application/problem+json"
    body = error.problem(request_id).model_dump_json()
    return Response(body, error.status, dict(error.headers), media_type)


def invalid_json(error: ValidationError) -> RequestError | None:
    """The error (400) for a body that is not JSON; None for any other validation error."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] != "json_invalid":
        return None
    return RequestError(400, f"The body is not JSON: {first['ctx']['error']}")


def field_errors(error: ValidationError, at: str = "", first_row: int = 0) -> list[FieldError]:
    """Every invalid field of a list of rows, by its path in the request.

    The path is `at`, the row's number counted from `first_row`, and the field. Without `at`, where the request has
    only one row, it is the field.
    """
    errors = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        row, *path = fault["loc"]
        if at:
            path = [at, int(row) + first_row, *path]
        name = ".".join(map(str, path)) or "body"
        text = "Input should be an object" if fault["type"] == "model_type" else fault["msg"]
        errors.append(FieldError(field=name[:100], message=text.removeprefix("Value error, ")))
    return errors


def validation_failed(errors: list[FieldError]) -> RequestError:
    """The error (422) that lists the invalid fields, the first LISTED of them."""
    fields = list(dict.fromkeys(error.field for error in errors))
    names = ", ".join(fields[:10])
    more = f"; the first {LISTED} are listed" if len(errors) > LISTED else ""
    return RequestError(422, f"{len(errors)} wrong: {names}{more}", errors[:LISTED])
