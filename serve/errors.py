"""One body for every error, after RFC 9457: what was wrong, all of it at once, and never what the server looks like
inside.
"""

import logging
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

log = logging.getLogger("serve")


class FieldError(BaseModel):
    field: str = Field(description="Where in the request, such as `temp` or `rows.3.temp`.")
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field([], description="Every wrong field of the request.")
    request_id: str


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text, "content": {"application/problem+json": {}}}
    for status, text in {
        400: "The body is not JSON.",
        422: "The request breaks the contract; every wrong field is listed.",
    }.items()
}


def request_id(request: Request) -> str:
    """The caller's `x-request-id` where it is short and printable, else a new one."""
    given = request.headers.get("x-request-id", "")
    return given if 0 < len(given) <= 128 and given.isascii() and given.isprintable() else uuid.uuid4().hex


def handle(app: FastAPI) -> None:
    """Have every error of the app answered with a `Problem`."""

    async def wrong_request(request: Request, error: Exception) -> JSONResponse:
        faults = cast("RequestValidationError", error).errors()
        if faults and faults[0]["type"] == "json_invalid":
            return problem(request, 400, f"The body is not JSON: {faults[0]['ctx']['error']}")
        fields = [FieldError(field=".".join(map(str, f["loc"][1:])) or "body", message=f["msg"]) for f in faults]
        wrong = ", ".join(dict.fromkeys(field.field for field in fields))
        return problem(request, 422, f"{len(fields)} wrong: {wrong}", fields)

    async def refused(request: Request, error: Exception) -> JSONResponse:
        known = cast("HTTPException", error)
        return problem(request, known.status_code, str(known.detail), headers=known.headers)

    async def failed(request: Request, _: Exception) -> JSONResponse:
        answer = problem(request, 500, "The server failed, not your request. Its log has the reason under this id.")
        log.error("request %s failed; the traceback follows", answer.headers["x-request-id"])
        return answer

    app.add_exception_handler(RequestValidationError, wrong_request)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, failed)


def problem(
    request: Request, status: int, detail: str, errors: Sequence[FieldError] = (), headers: Any = None
) -> JSONResponse:
    name = request_id(request)
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors), request_id=name)
    return JSONResponse(
        body.model_dump(), status, {**(headers or {}), "x-request-id": name}, media_type="application/problem+json"
    )
