"""Requests as the handlers receive them: id, headers and the whole body, read within the limits.

It knows nothing about models or about what a body means.
"""

import asyncio
import itertools
import os
import re
import time
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import metadata
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request

from serve.accept import preferred
from serve.errors import RequestError

VERSION = metadata.version("mlops-reference")  # of this server
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Headers = dict[bytes, bytes]
ID_HEADERS = (b"x-request-id", b"x-amzn-sagemaker-inference-id", b"x-ms-client-request-id")
SIMPLE = re.compile(rb"[\w.:/+=@-]{1,128}", re.ASCII)  # an id that needs no escaping in JSON or in headers
PREFIX = os.urandom(10).hex()  # of the ids that this process makes
NUMBERS = itertools.count(1)
PIECE = 65_536  # bytes that are decompressed at once
GZIP_MEMBERS = 1_000  # at most; programs that compress block by block make one of every 64 KB


class Call(NamedTuple):
    """One request with its whole body. `expires` is in seconds of `time.monotonic`."""

    id: str
    body: bytes
    headers: Headers
    expires: float
    query: bytes = b""

    def check_deadline(self) -> None:
        """Raises TimeoutError after the time limit. Long work calls this between its chunks."""
        if time.monotonic() > self.expires:
            raise TimeoutError


async def call_of(request: Request) -> Call:
    """The call that the ASGI application read before it passed the request to FastAPI."""
    call: Call = request.state.call
    return call


CallParameter = Annotated[Call, Depends(call_of)]


class DisconnectedError(Exception):
    """The client closed the connection before the whole body arrived."""


def request_id(headers: Headers) -> str:
    """The caller's own id where it is simple, else a new one: 20 hex digits of this process and a 12-digit count."""
    for name in ID_HEADERS:
        value = headers.get(name)
        if value and SIMPLE.fullmatch(value):
            return value.decode()
    return f"{PREFIX}{next(NUMBERS):012x}"


def wants_html(headers: Headers) -> bool:
    """Whether the client prefers HTML to JSON, as browsers do."""
    return preferred(headers.get(b"accept", b""), ("application/json", "text/html")) == "text/html"


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The body, decompressed where it was compressed.

    Raises RequestError as soon as the body is larger than `limit` bytes (413), and for a compression that cannot be
    read (415, 400). Raises DisconnectedError where the client closes the connection.
    """
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)

    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts = [body]
        size = len(body)
        while message.get("more_body") and size <= limit:
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if size > limit:
            raise too_large(limit)
        body = b"".join(parts)

    if message["type"] == "http.disconnect":
        raise DisconnectedError
    if len(body) > limit:
        raise too_large(limit)

    encoding = headers.get(b"content-encoding")
    return body if encoding is None else await decompress(body, encoding.strip().lower(), limit)


async def decompress(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The decompressed body. Other requests get their turn meanwhile.

    Raises RequestError for an encoding that is not supported (415), for a body that is not in its encoding or is cut
    off (400), and for one that is larger than `limit` bytes when decompressed (413).
    """
    if encoding == b"identity":
        return body
    windows = {b"gzip": (31,), b"deflate": (15, -15)}.get(encoding)  # deflate: with or without a zlib header
    if windows is None:
        raise RequestError(415, f"The content encoding {encoding[:40].decode('latin-1')!r} is not supported; send gzip")

    most_members = GZIP_MEMBERS if encoding == b"gzip" else 1
    for bits in windows:
        try:
            return await inflate(body, bits, most_members, limit)
        except zlib.error:
            continue

    raise RequestError(400, f"The body is not {encoding.decode()}, or not whole")


async def inflate(body: bytes, bits: int, most_members: int, limit: int) -> bytes:
    """The decompressed members of a body, one after another.

    Raises zlib.error for a body that is not compressed in this way, is cut off, or has more members than
    `most_members`. Raises RequestError (413) for more than `limit` bytes.
    """
    parts = []
    size = 0  # of the parts
    members = 1
    inflater = zlib.decompressobj(bits)
    offset = 0  # of the bytes that are not decompressed yet
    while True:
        piece = body[offset : offset + PIECE]
        part = inflater.decompress(piece, PIECE)
        rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        offset += len(piece) - len(rest)
        parts.append(part)
        size += len(part)
        if size > limit:
            raise too_large(limit)

        if inflater.eof:
            if offset >= len(body):
                return b"".join(parts)
            members += 1
            inflater = zlib.decompressobj(bits)
        elif not piece and not part:
            raise zlib.error("cut off")
        if members > most_members:
            raise zlib.error("more members than are read")
        if len(part) == PIECE:
            await asyncio.sleep(0)


def too_large(limit: int) -> RequestError:
    return RequestError(413, f"The body is larger than {limit:,} bytes (MAX_BODY_BYTES)")
