"""HTTP as bytes on a socket, for what no client would send."""

import json
import re
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.parcels import REQUIRED

if TYPE_CHECKING:
    import httpx2

ROW = json.dumps(REQUIRED).encode()
LAST = b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"  # a request after which the connection ends


class RawResponse(NamedTuple):
    status: int
    headers: bytes
    body: Any


def connected(client: "httpx2.Client") -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=10)


def exchange(client: "httpx2.Client", *pieces: bytes) -> list[RawResponse]:
    """Every response that a new connection gets for these bytes until the server ends it."""
    with connected(client) as sock:
        for piece in pieces:
            sock.sendall(piece)
        return list(responses(until_the_end(sock)))


def until_the_end(sock: socket.socket) -> bytes:
    """What the server still sends until it ends the connection. A reset is an error."""
    received = b""
    while piece := sock.recv(65_536):
        received += piece
    return received


def one_response(sock: socket.socket) -> RawResponse:
    """The next response, where nothing else follows it."""
    received = b""
    while not received.endswith(b"}"):
        piece = sock.recv(65_536)
        assert piece, received
        received += piece
    (response,) = responses(received)
    return response


def responses(received: bytes) -> Iterator[RawResponse]:
    while received:
        headers, _, received = received.partition(b"\r\n\r\n")
        length = int(re.findall(rb"\r\ncontent-length: (\d+)", headers)[0])
        yield RawResponse(int(headers.split()[1]), headers, json.loads(received[:length]))
        received = received[length:]


def post(*headers: bytes, path: bytes = b"/predict") -> bytes:
    """Request line and headers of a POST of JSON."""
    lines = [b"POST %b HTTP/1.1" % path, b"host: a", b"content-type: application/json", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunked(*parts: bytes, trailers: bytes = b"") -> bytes:
    """A chunked body of these parts."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailers + b"\r\n"


def refused(client: "httpx2.Client", reason: str) -> float:
    """How often the server has turned something away for this reason."""
    counted = re.findall(rf'http_refused_total{{reason="{reason}"}} (\S+)', client.get("/metrics").text)
    return float(counted[0]) if counted else 0.0
