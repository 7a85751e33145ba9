"""HTTP/1.1 on one connection: uvicorn's protocol on httptools, with limits for what arrives before a request is whole.

uvicorn parses requests and runs the application. This module bounds the size, number and time of headers, answers
what is not HTTP with our error body, and serves requests that ask for another protocol as if they had not asked.
It knows nothing about routes, keys or models: `serve.asgi` does.
"""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serve.connections import refusals
from serve.connections.open_connections import OpenConnections
from serve.connections.refusals import MAX_HEADER_BYTES, MAX_HEADERS, MAX_PIPELINED, RefusedError
from serve.messages import request_id

PIECE = MAX_HEADER_BYTES // 2  # bytes that are parsed at a time, so that limits are checked in between
LEAST_READ = 16_384  # bytes of a response that a client reads within HEADER_SECONDS, or it is cut off
IDLE, HEAD, BODY = range(3)  # where in a request the last byte was


class IgnoredTrailers(list[tuple[bytes, bytes]]):
    """Takes the place of a request's headers once they are complete, and drops what follows a chunked body.

    uvicorn would add trailers to the headers: a caller could so replace one that a proxy has set.
    """

    def append(self, item: tuple[bytes, bytes]) -> None:
        pass


TRAILERS = IgnoredTrailers()


class HttpProtocol(HttpToolsProtocol):
    """One connection. uvicorn makes it, and calls it with what arrives."""

    def __init__(self, connections: OpenConnections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._connections = connections
        self._phase = IDLE
        self._size = 0  # of the piece that is being parsed
        self._pending = 0  # bytes of earlier pieces that have led neither to whole headers nor to a part of a body
        self._unread = 0  # bytes of responses that waited for the client when it was looked at last
        self._final_response: bytes | None = None  # the response after which nothing else is read

    @property
    def is_idle(self) -> bool:
        """Whether this connection is kept alive between two requests; uvicorn's timer will end it."""
        return self.timeout_keep_alive_task is not None and not self.transport.is_closing()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._connections.opened(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._connections.wait(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._connections.proceed(self)
        if self.cycle is None or self.cycle.response_complete:
            self._connections.wait(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._final_response is not None:
            return
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
            self._connections.proceed(self)

        try:
            for start in range(0, len(data), PIECE):
                self._feed(data[start : start + PIECE])
        except RefusedError as error:
            self._refuse(error)
            return

        if self.cycle is None or self.cycle.response_complete:
            self._connections.wait(self)

    def _feed(self, piece: bytes) -> None:
        """Parse a piece of what arrived. Raises RefusedError for what is no request, or breaks a limit."""
        self._size = len(piece)
        while piece:
            try:
                self.parser.feed_data(piece)
                break
            except httptools.HttpParserUpgrade as stop:  # the parser skips the body of such a request
                piece = self._headers_without_upgrade() + piece[stop.args[0] :]
            except httptools.HttpParserError as error:
                raise refusals.parser_error(error, piece) from None

        self._pending += self._size
        if self._pending > MAX_HEADER_BYTES:
            raise refusals.headers_too_large()

    def _headers_without_upgrade(self) -> bytes:
        """The request line and headers of the last request without `Upgrade`, which a server may ignore (RFC 9110).

        Raises RefusedError for CONNECT (501), which the parser stops at as well.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise refusals.unknown_method("CONNECT")

        lines = [b"%b %b HTTP/%b" % (method, self.url, self.scope["http_version"].encode())]
        lines += [name + b": " + value for name, value in self.scope["headers"] if name != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _should_upgrade(self) -> bool:
        """Makes uvicorn leave requests with `Upgrade` alone until they are parsed a second time, without it."""
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = HEAD
        self._pending = -self._size  # what came before in this piece belongs to another request

    def on_headers_complete(self) -> None:
        if self._connections.proceed(self) and header_bytes(self.url, self.headers) > MAX_HEADER_BYTES:
            raise refusals.headers_too_large()  # in one piece they cannot be
        if self.flow.write_paused:
            self._connections.wait(self)  # for the client to read the responses before this one
        if len(self.headers) > MAX_HEADERS:
            raise refusals.too_many_headers(len(self.headers))
        if len(self.pipeline) >= MAX_PIPELINED:
            raise refusals.too_many_pipelined()

        super().on_headers_complete()
        self.headers = TRAILERS
        self._phase = BODY
        self._pending = -self._size

    def on_body(self, body: bytes) -> None:
        self._pending = -self._size
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase = IDLE
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Idle only where the whole request has arrived: uvicorn's timer would stop at the next byte of its rest."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is None:
            return  # the connection is closing, or has another request in flight

        if self._final_response is not None:
            self._send_final_response()
            return
        if self._phase != IDLE:
            self._unset_keepalive_if_required()
        self._connections.wait(self)

    def _refuse(self, error: RefusedError) -> None:
        """Read no other request, and send `error` after the responses that are due before it."""
        self._final_response = self._response(error)
        if self._phase == BODY:
            self._refuse_body()
        elif self.cycle is None or self.cycle.response_complete:
            self._send_final_response()

    def _refuse_body(self) -> None:
        """The error is in the body of the newest request, so it is the response to that one."""
        cycle = self.cycle
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
        elif cycle.response_started:
            self.transport.close()
        else:
            cycle.disconnected = True
            cycle.message_event.set()
            self.cycle = None  # type: ignore[assignment]  # as in uvicorn: there is no request in flight
            self._send_final_response()

    def _send_final_response(self) -> None:
        """Send the last response and the end of the stream.

        Until the client closes the connection, what it still sends is read and dropped: an early close would reset the
        connection, and the client might lose the response (RFC 9112, 9.6).
        """
        self._unset_keepalive_if_required()
        self.transport.write(self._final_response or b"")
        self.transport.write_eof()
        self.flow.resume_reading()
        self._connections.wait(self)

    def time_out(self, seconds: float) -> None:
        """End this connection, which has waited for its client for too long."""
        if self.transport.is_closing():
            self._drop("response_not_read")
        elif self._final_response is not None:
            self.transport.abort()
        elif self.flow.write_paused:
            self._wait_for_reader()
        elif self._phase == HEAD:
            self._refuse(refusals.headers_late(seconds))
        else:
            self._drop("body_late" if self._phase == BODY else "no_request")

    def _wait_for_reader(self) -> None:
        """Wait on for a client that reads its response slowly, and end the connection of one that hardly does."""
        unread = self.transport.get_write_buffer_size()
        if self._unread - unread < LEAST_READ:
            self._drop("response_not_read")
            return
        self._unread = unread
        self._connections.wait(self)

    def make_room(self, limit: int) -> None:
        """End this connection at once, because another one is new and `limit` connections are open."""
        if self._final_response is not None or self.transport.is_closing():
            self.transport.abort()
        elif self._phase == BODY or self.is_idle:
            self._drop("connections")
        else:
            self._final_response = self._response(refusals.no_room(limit))
            self.transport.write(self._final_response)
            self.transport.close()

    def _drop(self, reason: str) -> None:
        self._record(reason)
        self.transport.abort()

    def _response(self, error: RefusedError) -> bytes:
        """The response for an error, as bytes. The error is counted and logged."""
        call_id = request_id({})
        self._record(error.reason, request_id=call_id, status=error.status)
        return refusals.response_bytes(error, call_id, self.server_state.default_headers)

    def _record(self, reason: str, **facts: object) -> None:
        client = self.client[0] if self.client else ""
        self._connections.record_refusal(reason, **facts, client=client)


def header_bytes(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """The size of a request line and its headers, with the separators."""
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
