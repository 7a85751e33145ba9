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
    errors: list[FieldError] = Field([], description="Every wrong field of the request, up to 100.")
    request_id: str


LISTED = 100  # wrong fields that are told one by one
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The body is not JSON.",
        415: "The body is not said to be JSON.",
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
        said = request.headers.get("content-type", "nothing")
        if "json" not in said:
            return problem(request, 415, f"The content type is {said[:100]!r}; send application/json")
        if faults[0]["type"] == "json_invalid":
            return problem(request, 400, f"The body is not JSON: {faults[0]['ctx']['error']}")
        fields = [field_error(fault) for fault in faults[:LISTED]]
        wrong = ", ".join(list(dict.fromkeys(field.field for field in fields))[:10])
        more = f"; the first {LISTED} are listed" if len(faults) > LISTED else ""
        return problem(request, 422, f"{len(faults)} wrong: {wrong}{more}", fields)

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
    publish = app.openapi

    def openapi() -> dict[str, Any]:
        """FastAPI publishes errors under the media type of the answers; ours have their own."""
        api = publish()
        for operation in (each for path in api["paths"].values() for each in path.values()):
            for status, answer in operation["responses"].items():
                if int(status) >= HTTPStatus.BAD_REQUEST:
                    answer["content"] = {"application/problem+json": next(iter(answer["content"].values()))}
        return api

    app.openapi = openapi  # type: ignore[method-assign]  # because FastAPI documents this way to extend it


def field_error(fault: dict[str, Any]) -> FieldError:
    name = ".".join(map(str, fault["loc"][1:])) or "body"
    return FieldError(field=name[:100], message=fault["msg"].removeprefix("Value error, "))


def problem(
    request: Request, status: int, detail: str, errors: Sequence[FieldError] = (), headers: Any = None
) -> JSONResponse:
    name = request_id(request)
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors), request_id=name)
    return JSONResponse(
        body.model_dump(), status, {**(headers or {}), "x-request-id": name}, media_type="application/problem+json"
    )
