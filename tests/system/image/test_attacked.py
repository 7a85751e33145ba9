"""In a container of 256 MiB, with the prediction log and 1,024 open files, no request takes the server down."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import pytest
from conftest import MODEL, Run, ready
from docker.models.containers import Container
from docker.types import Ulimit

from pipeline.runtime import predictor
from serve.settings import Settings
from tests.system.hostile.attacks import CSV, Attack, attacks

HALF = b"GET /readyz HTTP/1.1\r\nhost: a\r\n"  # headers that are not complete
HALF_OPEN = 1_100


@pytest.fixture(scope="module")
def small(run: Run) -> Container:
    return run(
        mem_limit="256m",
        memswap_limit="256m",
        ulimits=[Ulimit(name="nofile", soft=1024, hard=1024)],
        tmpfs={"/tmp": "size=64m,mode=1777"},
        environment={"LOG_URL": "sqlite:////tmp/log.db"},
    )


@pytest.fixture(scope="module")
def row(champion: predictor.Predictor) -> dict[str, object]:
    return champion.golden.rows[0]


@pytest.fixture(autouse=True)
def it_lives(small: Container) -> Iterator[None]:
    """After each test the same process answers, and the kernel has ended nothing for its memory."""
    yield
    httpx2.get(f"{ready(small)}/readyz").raise_for_status()
    small.reload()
    assert not small.attrs["State"]["OOMKilled"]
    assert small.attrs["RestartCount"] == 0


def names() -> list[str]:
    return list(attacks("any", {"a": "x", "b": 1}, Settings().max_rows))


def send(address: str, attack: Attack) -> httpx2.Response:
    headers = {"content-type": attack.content_type, "content-encoding": attack.encoding}
    return httpx2.post(f"{address}{attack.path}", content=attack.build(), headers=headers, timeout=60)


@pytest.mark.parametrize("name", names())
def test_it_refuses_an_attack_and_predicts_as_before(small: Container, row: dict[str, object], name: str) -> None:
    address = ready(small)
    before = httpx2.post(f"{address}/predict", json=row).raise_for_status().json()
    attack = attacks(MODEL, row, Settings().max_rows)[name]
    answer = send(address, attack)
    assert answer.status_code in attack.statuses, answer.text[:300]

    after = httpx2.post(f"{address}/predict", json=row).raise_for_status().json()
    assert {**after, "request_id": ""} == {**before, "request_id": ""}


def connected(small: Container) -> socket.socket:
    address = urlsplit(ready(small))
    return socket.create_connection((address.hostname, address.port), timeout=30)


def test_it_refuses_endless_headers(small: Container) -> None:
    """200 MB of them, as far as it reads."""
    with connected(small) as sock:
        try:
            sock.sendall(b"GET /readyz HTTP/1.1\r\n")
            for _ in range(200):
                sock.sendall(b"x: " + b"a" * 1_000_000 + b"\r\n")
        except OSError:
            pass  # it has ended the connection
        else:
            assert sock.recv(20).startswith(b"HTTP/1.1 431")


def test_half_open_connections_shut_nobody_out(small: Container) -> None:
    """More than it has files for. New connections are answered while the others are open."""
    with ExitStack() as stack:
        for _ in range(HALF_OPEN):
            stack.enter_context(connected(small)).sendall(HALF)
        for path in ("/livez", "/readyz", "/metrics"):
            assert httpx2.get(f"{ready(small)}{path}", timeout=10).status_code == 200


def test_it_answers_a_client_that_asks_for_http_2(small: Container, row: dict[str, object]) -> None:
    upgrade = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABkAAQAoAAAAAIAAAAA"}
    answer = httpx2.post(f"{ready(small)}/predict", json=row, headers=upgrade)
    assert (answer.status_code, answer.json()["model"]) == (200, MODEL)


def test_all_attacks_at_once_leave_it_alive(small: Container, row: dict[str, object]) -> None:
    address = ready(small)
    chosen = [attack for attack in attacks(MODEL, row, Settings().max_rows).values() if attack.content_type != CSV]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda attack: send(address, attack), chosen))
    assert {answer.status_code for answer in answers} <= {400, 413, 422, 503, 504}


def test_what_it_logged_under_attack_is_json(small: Container) -> None:
    lines = small.logs(stdout=False).decode().splitlines()
    assert lines
    for line in lines:
        assert json.loads(line)["event"], line
