"""One body for every error, after RFC 9457, with the names that the platforms' clients read: what was wrong, all of it
at once, and never what the server looks like inside.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field, ValidationError

LISTED = 100  # wrong fields that are told one by one
PLAIN = ("/v1", "/v2")  # KServe's and Triton's clients read plain JSON alone


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
    """A request that is not answered as asked; becomes a `Problem`."""

    def __init__(
        self, status: int, detail: str, errors: Sequence[FieldError] = (), headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, list(errors), list(headers)

    def problem(self, request_id: str) -> Problem:
        title = HTTPStatus(self.status).phrase
        code = title.upper().replace(" ", "_").replace("-", "_")
        words = self.detail + "".join(f"; {each.field}: {each.message}" for each in self.errors[:3])
        return Problem(
            title=title,
            status=self.status,
            detail=self.detail,
            errors=self.errors,
            request_id=request_id,
            error=words,
            error_code=code,
            message=words,
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
    """What the caller is told of an exception; of one that is a fault of the server nothing but that."""
    if isinstance(error, TimeoutError):
        limit = f"{timeout_seconds:g} s (TIMEOUT_SECONDS)"
        error = RequestError(504, f"The request was not there and answered within {limit}")
    if not isinstance(error, RequestError):
        error = RequestError(500, "The server failed, not your request. Its log has the reason under this id")
    kind = "application/json" if path.startswith(PLAIN) else "application/problem+json"
    body = error.problem(request_id).model_dump_json()
    return Response(body, error.status, dict(error.headers), kind)


def invalid_json(error: ValidationError) -> RequestError | None:
    """For a body that is no JSON at all."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] != "json_invalid":
        return None
    return RequestError(400, f"The body is not JSON: {first['ctx']['error']}")


def field_errors(error: ValidationError, at: str = "", first_row: int = 0) -> list[FieldError]:
    """Each wrong field of a list of rows under its name in the request: below `at` and counted from `first_row`, or
    where there is but one row by its field alone.
    """
    found = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        row, *where = fault["loc"]
        name = ".".join(map(str, [at, int(row) + first_row, *where] if at else where)) or "body"
        text = "Input should be an object" if fault["type"] == "model_type" else fault["msg"]
        found.append(FieldError(field=name[:100], message=text.removeprefix("Value error, ")))
    return found


def validation_failed(found: list[FieldError]) -> RequestError:
    wrong = ", ".join(list(dict.fromkeys(each.field for each in found))[:10])
    more = f"; the first {LISTED} are listed" if len(found) > LISTED else ""
    return RequestError(422, f"{len(found)} wrong: {wrong}{more}", found[:LISTED])
