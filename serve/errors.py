"""One body for every error: RFC 9457 problem details, plus the fields that the platforms' clients read. The page of an
error, for browsers, is made from it.

An error lists every invalid field of the request at once, and reveals nothing about the inside of the server.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field, ValidationError

LISTED = 100  # invalid fields that one error lists at most
FAULTS = {  # by pydantic's type of an error; the names in braces are pydantic's too
    "missing": "This field is required",
    "extra_forbidden": "There is no such field",
    "model_type": "Should be an object",
    "float_type": "Should be a number",
    "int_type": "Should be a whole number",
    "int_from_float": "Should be a whole number",
    "finite_number": "Should be a finite number",
    "bool_type": "Should be true or false",
    "string_type": "Should be a text",
    "string_too_short": "Should have {min_length} characters or more",
    "string_too_long": "Should have {max_length} characters or fewer",
    "string_pattern_mismatch": "Should match the pattern {pattern}",
    "greater_than_equal": "Should be {ge:g} or more",
    "less_than_equal": "Should be {le:g} or less",
    "literal_error": "Should be {expected}",
}
ROW_NUMBER = re.compile(r"\.\d+(?=\.|$)")
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
    errors: list[FieldError] = Field([], description="Every invalid field of the request, up to 100.")
    request_id: str
    error: str
    error_code: str
    message: str


# The names of RFC 9110. Those of `http` are older before Python 3.13.
TITLES = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


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
        title = TITLES.get(self.status) or HTTPStatus(self.status).phrase
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
        401: "An API key is required, and the request has none or an unknown one.",
        403: "A page of another site sends the request, and ALLOWED_ORIGINS does not list that site.",
        413: "The body is larger than MAX_BODY_BYTES, or has more rows than MAX_ROWS.",
        415: "The body's content type is not supported.",
        421: "The Host is none of ALLOWED_HOSTS.",
        422: "The request breaks the contract; every invalid field is listed.",
        503: "As many requests as MAX_IN_FLIGHT are in flight; try again after a second.",
        504: "The request was not received and answered within TIMEOUT_SECONDS.",
    }.items()
}


def reported(error: Exception, timeout_seconds: float) -> RequestError:
    """The error that the client is told of. One of the server has no details: these are in the log."""
    if isinstance(error, TimeoutError):
        limit = f"{timeout_seconds:g} s (TIMEOUT_SECONDS)"
        return RequestError(504, f"The request was not received and answered within {limit}")
    if not isinstance(error, RequestError):
        return RequestError(500, "The server failed, not your request. Its log has the reason under this id")
    return error


def problem(error: RequestError, request_id: str, path: str) -> Response:
    media_type = "application/json" if path.startswith(PLAIN) else "application/problem+json"
    body = error.problem(request_id).model_dump_json()
    return Response(body, error.status, dict(error.headers), media_type)


def invalid_json(error: ValidationError) -> RequestError | None:
    """The error (400) for a body that is not JSON; None for any other validation error."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] != "json_invalid":
        return None
    return RequestError(400, f"The body is not JSON: {first['ctx']['error']}")


def field_errors(error: ValidationError, at: str = "") -> list[FieldError]:
    """Every invalid field of one row, by its path in the request: `at`, which is empty or ends with a dot, and the
    field.
    """
    errors = []
    for fault in error.errors(include_url=False, include_input=False):
        name = at + ".".join(map(str, fault["loc"]))
        errors.append(FieldError(field=name.rstrip(".")[:100] or "body", message=fault_text(fault)))
    return errors


def fault_text(fault: Mapping[str, Any]) -> str:
    """What a valid value would be. `fault` is one of pydantic's errors; an unknown type keeps pydantic's message."""
    text = FAULTS.get(fault["type"])
    if text is None:
        return str(fault["msg"]).removeprefix("Value error, ")
    return text.format(**fault.get("ctx", {}))


class InvalidFields:
    """The invalid fields of a request, as they are found. The same fault in many rows is listed once.

    `is_full` says that nobody reads more of them: LISTED faults differ, or LISTED rows have one.
    """

    def __init__(self) -> None:
        self.count = 0
        self.unlisted = 0  # fields that were counted without an error
        self.rows = 0  # rows with a fault
        self._first: dict[tuple[str, str], FieldError] = {}
        self._count: Counter[tuple[str, str]] = Counter()

    def add(self, errors: Sequence[FieldError], unlisted: int = 0) -> None:
        """Add the faults of one row, and the number of its unknown fields beyond those."""
        self.rows += 1
        self.count += len(errors) + unlisted
        self.unlisted += unlisted
        for error in errors:
            key = (ROW_NUMBER.sub("", error.field), error.message)
            self._first.setdefault(key, error)
            self._count[key] += 1

    def is_full(self) -> bool:
        return self.rows >= LISTED or len(self._first) >= LISTED

    def refusal(self, place: str = "") -> RequestError:
        """The error (422) that lists the first LISTED of them. `place` says where the search ended before the end."""
        listed = self._listed()
        names = ", ".join(error.field for error in listed[:10])
        others = len(listed) + self.unlisted - 10
        more = f" and {others:,} more" if others > 0 else ""
        noun = "value" if self.count == 1 else "values"
        return RequestError(422, f"{self.count:,} invalid {noun}{place}: {names}{more}", listed[:LISTED])

    def _listed(self) -> list[FieldError]:
        """The first error of each field and message over all rows, with the number of rows that have it too."""
        listed = []
        for key, error in self._first.items():
            others = self._count[key] - 1
            noun = "row" if others == 1 else "rows"
            also = f" (also in {others:,} more {noun})" if others else ""
            listed.append(FieldError(field=error.field, message=error.message + also))
        return listed


def validation_failed(errors: Sequence[FieldError], place: str = "") -> RequestError:
    """The error (422) that lists the invalid fields, the first LISTED of them.

    `place` says where the search for them ended, where that was before the end of the request.
    """
    invalid = InvalidFields()
    invalid.add(errors)
    return invalid.refusal(place)


def invalid_field(field: str, message: str) -> RequestError:
    """The error (422) for a request with one invalid field, or one that is about the whole of it."""
    return validation_failed([FieldError(field=field, message=message)])


def refuse_misfits(numbers: Iterator[int], at: str, message: str, total: int, noun: str = "rows") -> None:
    """Raises RequestError (422) with the first LISTED of these parts of `at`, which has `total` of them."""
    listed = list(islice(numbers, LISTED))
    if listed:
        errors = [FieldError(field=f"{at}.{number}", message=message) for number in listed]
        checked = listed[-1] + 1 if len(listed) == LISTED else total
        raise validation_failed(errors, search_ended(checked, total, noun))


def search_ended(checked: int, total: int, noun: str = "rows") -> str:
    """The place for `validation_failed`: how many were checked of how many; empty where all were."""
    return f" in the first {checked:,} of {total:,} {noun}" if checked < total else ""
