"""Requests as bytes: what is answered, what is turned away, and that no body runs as a request."""

import json
from typing import Any

import httpx2
import pytest

from serve.connections.refusals import MAX_HEADER_BYTES, MAX_HEADERS, MAX_PIPELINED
from tests.support.parcels import Parcels
from tests.support.raw_http import LAST, ROW, RawResponse, chunked, connected, exchange, one_response, post, refused
from tests.support.server import serving

LENGTH = b"content-length: %d" % len(ROW)
READY = b"GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n"
JAVA = (  # the headers of java.net.http.HttpClient, which asks for HTTP/2 unless it is told not to
    b"POST /predict HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: %d\r\nHost: 127.0.0.1:8080\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAABgAGAAA\r\nUpgrade: h2c\r\n"
    b"User-Agent: Java-http-client/21.0.5\r\nContent-Type: application/json\r\n\r\n"
)
UPGRADE = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQCAAAAAAIAAAAA")


def statuses(answers: list[RawResponse]) -> list[int]:
    return [answer.status for answer in answers]


def is_problem(answer: RawResponse, status: int, text: str) -> bool:
    """Whether a response is our error body with this status, and says that the connection ends."""
    assert text in answer.body["detail"]
    assert answer.body["request_id"].encode() in answer.headers
    headers = answer.headers.lower()
    is_ours = b"content-type: application/problem+json" in headers and b"connection: close" in headers
    return is_ours and answer.status == answer.body["status"] == status


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nx: " + b"a" * MAX_HEADER_BYTES + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 4 * MAX_HEADER_BYTES,
        b"GET /" + b"a" * 4 * MAX_HEADER_BYTES,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * MAX_HEADER_BYTES,
        b"\r\n" * 2 * MAX_HEADER_BYTES,
        post(b"transfer-encoding: chunked") + chunked(ROW)[:-2] + b"x: " + b"a" * 4 * MAX_HEADER_BYTES,
    ],
    ids=["whole", "header", "target", "many", "lines", "trailer"],
)
def test_headers_over_the_limit_are_431_before_they_are_complete(server: httpx2.Client, sent: bytes) -> None:
    before = refused(server, "headers_too_large")
    (answer,) = exchange(server, sent)
    assert is_problem(answer, 431, "larger than 32,768 bytes")
    assert refused(server, "headers_too_large") == before + 1


def test_headers_below_the_limit_are_answered_on_one_connection(server: httpx2.Client) -> None:
    """The limit is that of one request, wherever in the packets it begins."""
    large = b"x: " + b"a" * (MAX_HEADER_BYTES - 300)
    request = post(LENGTH, large) + ROW
    assert statuses(exchange(server, *[request] * 4, LAST)) == [200] * 5
    body = ROW + b" " * 20_000
    sent = post(b"content-length: %d" % len(body)) + body + request + LAST
    assert statuses(exchange(server, sent[:-20], sent[-20:])) == [200] * 3
    trailers = post(b"transfer-encoding: chunked") + chunked(ROW, trailers=large + b"\r\n") + request + LAST
    assert statuses(exchange(server, trailers)) == [200] * 3


def test_more_headers_than_the_limit_are_431(server: httpx2.Client) -> None:
    def with_headers(count: int) -> bytes:
        return b"GET /livez HTTP/1.1\r\nconnection: close\r\n" + b"a: b\r\n" * (count - 1) + b"\r\n"

    assert statuses(exchange(server, with_headers(MAX_HEADERS))) == [200]
    (answer,) = exchange(server, with_headers(MAX_HEADERS + 1))
    assert is_problem(answer, 431, "The request has 101 headers; send 100 at most")


@pytest.mark.parametrize("pieces", [1, 2, 40])
def test_the_request_of_a_java_client_is_answered_with_its_body(server: httpx2.Client, pieces: int) -> None:
    """Another request with `Upgrade` follows at once, and one without."""
    sent = JAVA % len(ROW) + ROW + JAVA % len(ROW) + ROW + LAST
    size = len(sent) // pieces
    answers = exchange(server, *[sent[start : start + size] for start in range(0, len(sent), size)])
    assert statuses(answers) == [200, 200, 200]
    assert answers[0].body["probability"] == answers[1].body["probability"]
    assert answers[2].body["ready"]


def test_a_chunked_body_with_upgrade_is_answered(server: httpx2.Client) -> None:
    sent = post(b"transfer-encoding: chunked", *UPGRADE) + chunked(ROW[:9], ROW[9:]) + LAST
    assert statuses(exchange(server, sent)) == [200, 200]


@pytest.mark.parametrize("chunks", [True, False])
def test_a_body_that_looks_like_a_request_never_runs_as_one(server: httpx2.Client, chunks: bool) -> None:
    inner = b"GET /model HTTP/1.1\r\nhost: a\r\n\r\n"
    framing = b"transfer-encoding: chunked" if chunks else b"content-length: %d" % len(inner)
    body = chunked(inner) if chunks else inner
    first, second = exchange(server, post(framing, *UPGRADE), body + LAST)
    assert (first.status, first.body["detail"][:20]) == (400, "The body is not JSON")
    assert second.body["ready"]


def test_a_websocket_handshake_is_answered_as_any_get(server: httpx2.Client) -> None:
    handshake = b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    handshake += b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    assert [answer.body["ready"] for answer in exchange(server, handshake + LAST)] == [True, True]


@pytest.mark.parametrize("method", ["FOO", "get", "GETS", "F" * 100_000, "CONNECT"])
def test_a_method_that_is_not_known_is_501_with_our_body(server: httpx2.Client, method: str) -> None:
    before = refused(server, "unknown_method")
    target = b"a:80" if method == "CONNECT" else b"/predict"
    (answer,) = exchange(server, b"%b %b HTTP/1.1\r\nhost: a\r\n\r\n" % (method.encode(), target) + READY)
    assert is_problem(answer, 501, f"The method '{method[:20]}' is not known here; send GET, HEAD or POST")
    assert refused(server, "unknown_method") == before + 1


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"\x16\x03\x01\x02\x00", "Invalid method"),  # a client that speaks TLS
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not valid HTTP/1.1"),
        (b"GET / HTTP/3.7\r\n\r\n", "Invalid HTTP version"),
        (b"GET / HTTP/1.1\r\nho st: a\r\n\r\n", "Invalid header token"),
        (b"GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n", "Unexpected whitespace after header value"),
        (b"GET nowhere HTTP/1.1\r\n\r\n", "Invalid characters in url"),
        (b"GET http://host HTTP/1.1\r\n\r\n", "target is not a valid path"),
        (post(b"content-length: 3", b"content-length: 4") + b"abcd", "Duplicate Content-Length"),
        (post(b"content-length: 3", b"transfer-encoding: chunked") + chunked(b"{}"), "Transfer-Encoding can't"),
        (post(b"transfer-encoding: chunked") + b"zz\r\n", "Invalid character in chunk size"),
    ],
)
def test_what_is_not_http_is_400_with_our_body(server: httpx2.Client, sent: bytes, text: str) -> None:
    before = refused(server, "malformed")
    (answer,) = exchange(server, sent)
    assert is_problem(answer, 400, text)
    assert refused(server, "malformed") == before + 1


def test_an_error_comes_after_the_responses_that_are_due_before_it(server: httpx2.Client) -> None:
    """A wrong content-length is such an error: what follows the body is no request."""
    rows = json.dumps({"rows": [json.loads(ROW)] * 2000}).encode()
    batch = post(b"content-length: %d" % len(rows), path=b"/predict/batch") + rows
    first, second, third = exchange(server, batch + READY + b"}\r\n")
    assert (first.status, len(first.body["predictions"])) == (200, 2000)
    assert second.body["ready"]
    assert is_problem(third, 400, "not valid HTTP/1.1")


def test_a_queued_request_with_a_broken_body_is_not_run(server: httpx2.Client) -> None:
    rows = json.dumps({"rows": [json.loads(ROW)] * 2000}).encode()
    batch = post(b"content-length: %d" % len(rows), path=b"/predict/batch") + rows
    first, second = exchange(server, batch + post(b"transfer-encoding: chunked") + b"zz\r\n")
    assert (first.status, len(first.body["predictions"])) == (200, 2000)
    assert is_problem(second, 400, "Invalid character in chunk size")


def test_trailers_do_not_become_headers(parcels: Parcels) -> None:
    """A proxy that removes or sets a header would not see the trailer of its name."""
    key = "3f9c2b7e51d84a06"
    with serving(parcels.store, API_KEYS=key) as client:
        sent = post(b"transfer-encoding: chunked") + chunked(ROW, trailers=b"x-api-key: %b\r\n" % key.encode()) + LAST
        assert statuses(exchange(client, sent)) == [401, 200]


def test_requests_far_ahead_of_their_responses_are_429(server: httpx2.Client) -> None:
    assert statuses(exchange(server, READY * MAX_PIPELINED + LAST)) == [200] * (MAX_PIPELINED + 1)
    *served, last = exchange(server, READY * 500)
    assert statuses(served) == [200] * (MAX_PIPELINED + 1)
    assert is_problem(last, 429, "More than 16 requests were sent ahead of their responses")


def test_a_client_that_still_sends_gets_the_refusal_without_a_reset(server: httpx2.Client) -> None:
    with connected(server) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * MAX_HEADER_BYTES)
        answer: Any = one_response(sock)
        for _ in range(50):
            sock.sendall(b"a: b\r\n" * 10_000)  # a reset would raise here
        assert sock.recv(1) == b""
    assert answer.status == 431
