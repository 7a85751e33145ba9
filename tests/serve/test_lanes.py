"""Work of one kind does not wait for work of another: each has threads of its own."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import httpx2
import pytest

from serve.lanes import THREADS, Lanes, lane_of
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import serving, wait_for

MANY = json.dumps({"rows": [REQUIRED] * 8_000})
EXPLAINED = json.dumps({"instances": [REQUIRED] * 5})
JSON = {"content-type": "application/json"}
LABEL = {"request_id": "a", "label": 1}


def test_a_place_is_waited_for_and_given_back_once() -> None:
    async def two_in_one_lane() -> list[str]:
        lanes = Lanes()
        events = []

        async def second() -> None:
            async with lanes.place("metrics"):
                events.append("second")

        async with lanes.place("metrics") as first:
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0)
            async with lanes.place("long"):
                events.append("another lane")
            first.leave()
            first.leave()
            await waiting
        async with lanes.place("metrics"):
            assert lanes._lanes["metrics"].locked()  # a place given back twice would have made another
        return events

    assert THREADS["metrics"] == 1
    assert asyncio.run(two_in_one_lane()) == ["another lane", "second"]


@pytest.mark.parametrize(
    ("route", "light", "lane"),
    [
        ("/predict", True, "short"),
        ("/explain", True, "short"),
        ("/predict/batch", False, "long"),
        ("/metrics", True, "metrics"),
        ("/v1/models/{name}:explain", True, "explanations"),
        ("live", True, None),
        ("/feedback", False, None),
    ],
)
def test_the_lane_follows_from_the_route_and_the_size_of_the_body(route: str, light: bool, lane: str | None) -> None:
    assert lane_of(route, light) == lane


def is_answered_before(long: Callable[[], object], short: Callable[[], httpx2.Response], times: int) -> bool:
    """Send long requests at the same time, and a short one behind them: is that answered before the last of them?"""
    with ThreadPoolExecutor(times + 1) as pool:
        pending = {pool.submit(long) for _ in range(times)}
        _, pending = wait(pending, return_when=FIRST_COMPLETED)  # they have arrived, and the others wait for a thread
        short().raise_for_status()
        return not all(request.done() for request in pending)


@pytest.fixture(scope="module")
def address(parcels: Parcels, tmp_path_factory: pytest.TempPathFactory) -> "object":
    with serving(parcels.store, LOG_URL=f"sqlite:///{tmp_path_factory.mktemp('lanes')}/log.db") as client:
        yield str(client.base_url)


@pytest.mark.parametrize("path", ["/metrics", "/model", "/"])
def test_metrics_and_pages_do_not_wait_for_batches_or_explanations(address: str, path: str) -> None:
    def post(path: str, body: str) -> None:
        httpx2.post(f"{address}{path}", content=body, headers=JSON, timeout=30).raise_for_status()

    def get() -> httpx2.Response:
        return httpx2.get(f"{address}{path}", headers={"accept": "text/html"}, timeout=30)

    assert is_answered_before(lambda: post("/predict/batch", MANY), get, times=24)
    assert is_answered_before(lambda: post("/v1/models/parcels:explain", EXPLAINED), get, times=8)


def test_one_explanation_does_not_wait_for_those_of_many_rows(address: str) -> None:
    def many() -> None:
        explain = f"{address}/v1/models/parcels:explain"
        httpx2.post(explain, content=EXPLAINED, headers=JSON, timeout=30).raise_for_status()

    assert is_answered_before(many, lambda: httpx2.post(f"{address}/explain", json=REQUIRED, timeout=30), times=8)


def test_nothing_waits_for_labels_and_refused_ones_are_not_stored(parcels: Parcels, tmp_path: Path) -> None:
    """The log is locked. The writer has a batch of predictions in its hands, and labels stand behind it."""
    url = f"sqlite:///{tmp_path}/log.db"
    with serving(parcels.store, LOG_URL=url, TIMEOUT_SECONDS="2") as client:
        client.post("/predict", json=REQUIRED, headers={"x-request-id": "a"}).raise_for_status()
        wait_for(client, "logged_rows_total 1.0")

        lock = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        client.post("/predict", json=REQUIRED).raise_for_status()
        wait_for(client, "log_waiting_rows 1.0")

        with ThreadPoolExecutor(8) as pool:
            labels = [pool.submit(httpx2.post, f"{client.base_url}/feedback", json=LABEL) for _ in range(8)]
            client.post("/explain", json=REQUIRED).raise_for_status()
            client.post("/predict/batch", content=MANY, headers=JSON).raise_for_status()
            assert not any(label.done() for label in labels)
            answers = [label.result() for label in labels]

        assert {answer.status_code for answer in answers} == {503}
        assert all("send them again" in answer.json()["detail"] for answer in answers)
        assert answers[0].headers["retry-after"] == "5"

        lock.execute("ROLLBACK")
        wait_for(client, "log_waiting_rows 0.0")
        assert client.post("/feedback", json={**LABEL, "label": 0}).json() == {"taken": 1, "unknown": []}
        assert lock.execute("SELECT label FROM labels").fetchall() == [(0.0,)]
        assert "labels_received_total 1.0" in client.get("/metrics").text
