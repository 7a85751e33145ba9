"""How long a connection may wait for its client, and which one ends where there are too many."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from serve.connections.http_protocol import HttpProtocol
from serve.telemetry.event_log import REFUSALS_A_SECOND, EventLog
from tests.support.parcels import REQUIRED, Parcels
from tests.support.raw_http import ROW, connected, exchange, one_response, post, refused, until_the_end
from tests.support.server import serving, wait_for

READY = b"GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n"
HALF = b"GET /readyz HTTP/1.1\r\nhost: a\r\n"  # headers that are not complete
LENGTH = b"content-length: %d" % len(ROW)
LIMIT = 4  # connections of the `crowded` server


@pytest.fixture(scope="module")
def hasty(parcels: Parcels) -> Iterator[httpx2.Client]:
    """A server that waits for a second at most."""
    limits = {"HEADER_SECONDS": "1", "KEEP_ALIVE_SECONDS": "1", "TIMEOUT_SECONDS": "1"}
    with serving(parcels.store, **limits) as client:
        yield client


@pytest.fixture
def crowded(parcels: Parcels) -> Iterator[httpx2.Client]:
    """A server of LIMIT connections, one of which the client itself has."""
    with serving(parcels.store, MAX_CONNECTIONS=str(LIMIT)) as client:
        assert client.get("/readyz").status_code == 200
        yield client


def trickle(sock: socket.socket, byte: bytes) -> bytes:
    """Send the byte twenty times a second, until the server ends the connection or ten seconds are over.

    What the server sends meanwhile.
    """
    received = b""
    sock.settimeout(0.05)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            sock.sendall(byte)
            piece = sock.recv(65_536)
        except TimeoutError:
            continue
        except OSError:  # the server has closed the connection, and this machine says so
            return received
        if not piece:
            return received
        received += piece
    pytest.fail("the connection is still open after ten seconds")


def open_connections(client: httpx2.Client) -> int:
    counted = re.findall(r"^http_connections (\S+)", client.get("/metrics").text, re.MULTILINE)
    return int(float(counted[0]))


@pytest.mark.parametrize("first", [b"", READY, post(LENGTH) + ROW], ids=["new", "after a GET", "after a POST"])
def test_headers_that_are_not_complete_in_time_are_408(hasty: httpx2.Client, first: bytes) -> None:
    before = refused(hasty, "headers_late")
    with connected(hasty) as sock:
        if first:
            sock.sendall(first)
            assert one_response(sock).status == 200
        sock.sendall(HALF)
        late = one_response(sock)
        assert sock.recv(1) == b""
    assert (late.status, late.body["status"]) == (408, 408)
    assert late.body["detail"] == "The headers were not complete within 1 s (HEADER_SECONDS); send them at once"
    assert refused(hasty, "headers_late") == before + 1


def test_headers_that_trickle_are_408(hasty: httpx2.Client) -> None:
    with connected(hasty) as sock:
        sock.sendall(HALF)
        assert trickle(sock, b"a").startswith(b"HTTP/1.1 408 ")


def test_headers_that_follow_a_request_in_flight_have_their_own_time(hasty: httpx2.Client) -> None:
    with connected(hasty) as sock:
        rows = json.dumps({"rows": [REQUIRED] * 2000}).encode()
        sock.sendall(post(b"content-length: %d" % len(rows), path=b"/predict/batch") + rows + HALF)
        assert b"HTTP/1.1 408 " in until_the_end(sock)


def test_a_connection_without_a_byte_ends(hasty: httpx2.Client) -> None:
    before = refused(hasty, "no_request")
    with connected(hasty) as sock:
        assert until_the_end(sock) == b""
    assert refused(hasty, "no_request") == before + 1


@pytest.mark.parametrize("byte", [b"", b"\r\n"], ids=["silence", "empty lines"])
def test_an_idle_connection_ends(hasty: httpx2.Client, byte: bytes) -> None:
    with connected(hasty) as sock:
        sock.settimeout(4)  # less than the five seconds without KEEP_ALIVE_SECONDS
        sock.sendall(READY)
        assert one_response(sock).status == 200
        assert (trickle(sock, byte) if byte else until_the_end(sock)) == b""


def test_a_body_that_trickles_is_504_and_its_connection_ends(hasty: httpx2.Client) -> None:
    with connected(hasty) as sock:
        sock.sendall(post(b"content-length: 10000") + b"{")
        assert trickle(sock, b" ").startswith(b"HTTP/1.1 504 ")


def test_a_body_that_nobody_waits_for_ends_its_connection(hasty: httpx2.Client) -> None:
    """The response comes first, as the path does not exist."""
    before = refused(hasty, "body_late")
    with connected(hasty) as sock:
        sock.sendall(post(b"content-length: 10000", path=b"/nowhere"))
        assert trickle(sock, b" ").startswith(b"HTTP/1.1 404 ")
    assert refused(hasty, "body_late") == before + 1


def test_a_client_that_does_not_read_its_response_is_cut_off(hasty: httpx2.Client) -> None:
    before = refused(hasty, "response_not_read")
    (large,) = re.findall(r'src="([^"]+bundle[^"]+)"', hasty.get("/docs").text)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((hasty.base_url.host, hasty.base_url.port or 80))
        sock.sendall(b"GET /%b HTTP/1.1\r\nhost: a\r\n\r\n" % large.encode() * 16)
        wait_for(hasty, f'http_refused_total{{reason="response_not_read"}} {before + 1}')


@contextmanager
def pipelined_batches(client: httpx2.Client, count: int) -> Iterator[socket.socket]:
    """A connection that sends `count` requests for half a megabyte each, more than the system keeps by itself."""
    body = json.dumps({"rows": [REQUIRED] * 8_000}).encode()
    head = b"POST /predict/batch HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((client.base_url.host, client.base_url.port or 80))
        thread = threading.Thread(target=send_all, args=(sock, (head % len(body) + body) * count))
        thread.start()
        yield sock
    thread.join()


def send_all(sock: socket.socket, content: bytes) -> None:
    with suppress(OSError):  # the other end is closed, as it should be
        sock.sendall(content)


def test_pipelined_responses_that_nobody_reads_end_the_connection(parcels: Parcels) -> None:
    """Long before TIMEOUT_SECONDS, whose error nobody would read either."""
    with serving(parcels.store, HEADER_SECONDS="1") as client, pipelined_batches(client, 16):
        wait_for(client, 'http_refused_total{reason="response_not_read"} 1.0')
        assert open_connections(client) == 1


@pytest.mark.parametrize(("read", "what_happens"), [(0, "dropped"), (16_383, "dropped"), (16_384, "waits")])
def test_a_client_that_reads_slowly_is_waited_for(read: int, what_happens: str) -> None:
    """As long as it reads 16 KiB of its response within HEADER_SECONDS."""
    events = []
    connection: Any = SimpleNamespace(
        _unread=500_000,
        transport=SimpleNamespace(get_write_buffer_size=lambda: 500_000 - read),
        _drop=lambda reason: events.append("dropped"),
        _connections=SimpleNamespace(wait=lambda it: events.append("waits")),
    )
    HttpProtocol._wait_for_reader(connection)
    assert events == [what_happens]


def test_half_open_connections_beyond_the_open_files_shut_nobody_out(parcels: Parcels) -> None:
    """The server has 64 files, and 150 connections send half of their headers."""
    with serving(parcels.store, open_files=(64, 64)) as client, ExitStack() as stack:
        halves = [stack.enter_context(connected(client)) for _ in range(150)]
        for sock in halves:
            sock.sendall(HALF)
        for path in ("/livez", "/readyz"):
            assert httpx2.get(f"{client.base_url}{path}").status_code == 200
        assert 150 - 64 <= refused(client, "connections") <= 150
        assert open_connections(client) == 32
        oldest = one_response(halves[0])
    assert (oldest.status, oldest.body["title"]) == (503, "Service Unavailable")
    assert oldest.body["detail"].startswith("32 connections are open, as many as MAX_CONNECTIONS or the limit of open")


def test_a_server_takes_as_many_files_as_its_connections_need(parcels: Parcels) -> None:
    with serving(parcels.store, open_files=(64, 4096), MAX_CONNECTIONS="200") as client, ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(connected(client)).sendall(HALF)
        assert open_connections(client) == 151
        assert refused(client, "connections") == 0


def test_the_longest_idle_connection_makes_room(crowded: httpx2.Client) -> None:
    """It is that of the fixture's client. A request in flight came before it, and is not cut off."""
    with connected(crowded) as in_flight, ExitStack() as stack:
        in_flight.sendall(post(LENGTH, b"expect: 100-continue"))
        assert in_flight.recv(100).startswith(b"HTTP/1.1 100 ")  # the server waits for the body
        crowded.get("/readyz")
        others = [stack.enter_context(connected(crowded)) for _ in range(LIMIT - 1)]
        for sock in [*others, *others]:
            sock.sendall(READY)
            assert one_response(sock).status == 200
        in_flight.sendall(ROW)
        assert one_response(in_flight).status == 200


def test_a_newcomer_is_503_where_every_connection_has_a_request(crowded: httpx2.Client) -> None:
    crowded.close()
    with ExitStack() as stack:
        for _ in range(LIMIT):
            sock = stack.enter_context(connected(crowded))
            sock.sendall(post(LENGTH, b"expect: 100-continue"))
            assert sock.recv(100).startswith(b"HTTP/1.1 100 ")  # it waits for the body
        (answer,) = exchange(crowded, b"")
        assert (answer.status, answer.body["status"]) == (503, 503)
        assert b"retry-after: 1" in answer.headers


def test_refusals_are_logged_a_few_a_second_with_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    log = EventLog()
    for _ in range(200):
        log.refused("malformed", status=400, client="192.0.2.7")
    log.request("id", "/predict", 200, 0.001)
    first, *others, last = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {key: first[key] for key in ("event", "reason", "status", "client")} == {
        "event": "refused", "reason": "malformed", "status": 400, "client": "192.0.2.7",
    }  # fmt: skip
    assert REFUSALS_A_SECOND - 1 <= len(others) < 2 * REFUSALS_A_SECOND
    assert last["event"] == "request"
