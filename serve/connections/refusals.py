"""What is turned away before the application sees it: the limits, the reasons, and the response.

It knows nothing about connections.
"""

import re
from collections.abc import Sequence
from http import HTTPMethod

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from serve.errors import RequestError, problem

MAX_HEADER_BYTES = 32_768  # of request line and headers, the default of nginx; cookies of a browser fit
MAX_HEADERS = 100  # the default of Apache
MAX_PIPELINED = 16  # requests that one connection sends ahead of their responses; uvicorn has parsed them all by then
METHOD = re.compile(rb"[\w!#$%&'*+.^`|~-]+(?: |$)", re.ASCII)  # a token of RFC 9110, as far as it has arrived


class RefusedError(RequestError):
    """A request that is turned away before the application sees it. `reason` is its label in the metrics."""

    def __init__(self, reason: str, status: int, detail: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(status, detail, headers=headers)
        self.reason = reason


def parser_error(error: httptools.HttpParserError, piece: bytes) -> RefusedError:
    """Why the parser has stopped in this piece. A method that is not known is 501, anything else 400."""
    cause = error.__context__
    if isinstance(cause, RefusedError):
        return cause
    if cause is not None:  # uvicorn could not split the target
        return RefusedError("malformed", 400, "The request's target is not a valid path; send one such as /predict")

    method = METHOD.match(piece)
    if isinstance(error, httptools.HttpParserInvalidMethodError) and method:
        name = method[0].decode().strip()
        if name not in HTTPMethod.__members__:  # else the piece begins with a good request, and the fault is after it
            return unknown_method(name)
    return RefusedError("malformed", 400, f"The request is not valid HTTP/1.1: {error}")


def unknown_method(name: str) -> RefusedError:
    return RefusedError("unknown_method", 501, f"The method {name[:20]!r} is not known here; send GET, HEAD or POST")


def headers_too_large() -> RefusedError:
    text = f"The request line and headers are larger than {MAX_HEADER_BYTES:,} bytes; send fewer or shorter headers"
    return RefusedError("headers_too_large", 431, text)


def too_many_headers(count: int) -> RefusedError:
    text = f"The request has {count:,} headers; send {MAX_HEADERS} at most"
    return RefusedError("too_many_headers", 431, text)


def headers_late(seconds: float) -> RefusedError:
    text = f"The headers were not complete within {seconds:g} s (HEADER_SECONDS); send them at once"
    return RefusedError("headers_late", 408, text)


def too_many_pipelined() -> RefusedError:
    text = f"More than {MAX_PIPELINED} requests were sent ahead of their responses; wait for responses"
    return RefusedError("pipelined", 429, text)


def no_room(limit: int) -> RefusedError:
    text = f"{limit:,} connections are open, as many as MAX_CONNECTIONS or the limit of open files allows; try again"
    return RefusedError("connections", 503, text, headers=[("retry-after", "1")])


def response_bytes(error: RefusedError, call_id: str, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """The whole response for an error. It says that the connection ends."""
    response = problem(error, call_id, "")
    headers = [*default_headers, *response.raw_headers]
    headers += [(b"x-request-id", call_id.encode()), (b"x-content-type-options", b"nosniff"), (b"connection", b"close")]
    lines = [name + b": " + value for name, value in headers]
    return STATUS_LINE[error.status] + b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body)
