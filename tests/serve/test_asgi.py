"""The ASGI application: what it lets in, how long it waits, and what it says of itself."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from pipeline.runtime import bundle_store
from serve.app import create_app
from serve.settings import Settings
from serve.telemetry.event_log import A_SECOND, EventLog
from tests.support import ROOT
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import other_bundle, serving, wait_for

KEY = "3f9c2b7e51d84a06"


@pytest.fixture(scope="module")
def strict(parcels: Parcels) -> Iterator[httpx2.Client]:
    """A server with small limits that asks for a key."""
    limits = {"MAX_BODY_BYTES": "20000", "MAX_ROWS": "20", "TIMEOUT_SECONDS": "1", "MAX_IN_FLIGHT": "2"}
    with serving(parcels.store, **limits, API_KEYS=KEY, AIP_HEALTH_ROUTE="/alive", AIP_PREDICT_ROUTE="/ask") as client:
        yield client


def headers(**more: str) -> dict[str, str]:
    return {"x-api-key": KEY, **more}


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/invocations", "/v1/models/parcels:predict", "/ask"])
def test_every_prediction_asks_for_a_key_and_takes_it_in_two_ways(strict: httpx2.Client, path: str) -> None:
    body: dict[str, Any] = {"/predict": REQUIRED, "/predict/batch": {"rows": [REQUIRED]}}.get(
        path, {"instances": [REQUIRED]}
    )
    assert strict.post(path, json=body).status_code == 401
    refused = strict.post(path, json=body, headers={"x-api-key": KEY[:-1] + "7"})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert strict.post(path, json=body, headers=headers()).status_code == 200
    assert strict.post(path, json=body, headers={"authorization": f"Bearer {KEY}"}).status_code == 200


def test_health_is_open_to_all_and_everything_else_is_not(strict: httpx2.Client) -> None:
    open_to_all = ["/", "/livez", "/readyz", "/ping", "/health", "/alive", "/v2/health/live", "/v2/health/ready"]
    open_to_all += ["/v2/models/parcels/ready", "/v1/models/parcels"]
    assert {strict.get(path).status_code for path in open_to_all} == {200}
    closed = ["/metrics", "/docs", "/openapi.json", "/model", "/v2", "/v2/models/parcels"]
    assert {strict.get(path).status_code for path in closed} == {401}
    assert {strict.get(path, headers=headers()).status_code for path in closed} == {200}


def test_too_many_rows_and_too_many_bytes_are_413_on_every_way_in(strict: httpx2.Client) -> None:
    rows = [REQUIRED] * 21
    for path, body in (("/predict/batch", {"rows": rows}), ("/invocations", {"instances": rows})):
        answer = strict.post(path, json=body, headers=headers())
        assert (answer.status_code, answer.json()["detail"][:7]) == (413, "21 rows")
    large = b" " * 20_001
    declared = strict.post("/invocations", content=large, headers=headers())
    chunked = strict.post("/invocations", content=iter([large[:10_000], large[10_000:]]), headers=headers())
    for answer in (declared, chunked):
        assert (answer.status_code, answer.json()["detail"]) == (
            413, "The body is larger than 20,000 bytes (MAX_BODY_BYTES)"
        )  # fmt: skip


def connected(client: httpx2.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=10)


def half_a_request(client: httpx2.Client) -> socket.socket:
    """A request of which the body does not come."""
    sock = connected(client)
    head = f"POST /predict HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ncontent-length: 50\r\n\r\n{{"
    sock.sendall(head.encode())
    return sock


def test_a_body_that_does_not_come_ends_at_the_time_limit(strict: httpx2.Client) -> None:
    with half_a_request(strict) as sock:
        said = ""
        while not said.endswith("}"):  # head and body may come apart
            said += sock.recv(4000).decode()
    assert said.startswith("HTTP/1.1 504 ")
    assert "within 1 s (TIMEOUT_SECONDS)" in said


def test_more_requests_than_may_be_in_flight_are_turned_away(parcels: Parcels) -> None:
    """A health request is not turned away."""
    with serving(parcels.store, MAX_IN_FLIGHT="2", TIMEOUT_SECONDS="60") as client:

        def answered_until(status: int) -> httpx2.Response:
            answer = client.post("/predict", json=REQUIRED)
            deadline = time.monotonic() + 30
            while answer.status_code != status and time.monotonic() < deadline:
                answer = client.post("/predict", json=REQUIRED)
            return answer

        with half_a_request(client), half_a_request(client):
            answer = answered_until(503)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert client.get("/livez").status_code == 200
        assert answered_until(200).status_code == 200


def test_who_hangs_up_in_the_middle_leaves_nothing_behind(strict: httpx2.Client) -> None:
    half_a_request(strict).close()
    assert strict.post("/predict", json=REQUIRED, headers=headers()).status_code == 200
    deadline = time.monotonic() + 10
    while (
        "http_requests_in_flight 1.0" not in strict.get("/metrics", headers=headers()).text
    ):  # that is this one itself
        assert time.monotonic() < deadline  # until the server has heard that the other is gone


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "GET"])
def test_another_method_is_405_with_what_is_allowed(server: httpx2.Client, method: str) -> None:
    answer = server.request(method, "/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_head_is_get_without_the_body(server: httpx2.Client) -> None:
    for path in ("/livez", "/docs", "/openapi.json"):
        head = server.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) == len(server.get(path).content)


def test_a_small_request_beside_ten_thousand_rows_is_answered_meanwhile(server: httpx2.Client) -> None:
    many = json.dumps({"rows": [REQUIRED] * 10_000}).encode()
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(server.post, "/predict/batch", content=many, headers={"content-type": "application/json"})
        meanwhile = 0
        while not large.done():
            assert server.post("/predict", json=REQUIRED).status_code == 200
            meanwhile += 1
    assert len(large.result().raise_for_status().json()["predictions"]) == 10_000
    assert meanwhile > 3


def test_the_metrics_count_requests_rows_answers_and_what_was_missing(parcels: Parcels) -> None:
    with serving(parcels.store) as client:
        client.post("/predict", json=REQUIRED)
        client.post("/predict/batch", json={"rows": [{**REQUIRED, "city": "QQQ"}, {**REQUIRED, "temp": 30.0}]})
        client.post("/predict", json={})
        client.get("/nowhere")
        told = dict(
            line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if not line.startswith("#")
        )
    assert told['http_requests_total{route="/predict",status="200"}'] == "1.0"
    assert told['http_requests_total{route="/predict",status="422"}'] == "1.0"
    assert told['http_requests_total{route="none",status="404"}'] == "1.0"
    assert told["predicted_rows_total"] == told["prediction_value_count"] == "3.0"
    assert told['prediction_value_bucket{le="+Inf"}'] == "3.0"
    assert 0 < float(told["prediction_value_sum"]) < 3
    assert told['missing_values_total{column="temp"}'] == "2.0"
    assert told['unseen_values_total{column="city"}'] == "1.0"
    assert told[f'model_info{{name="parcels",version="{parcels.bundle.name}"}}'] == "1.0"
    assert float(told['http_request_seconds_count{route="/predict"}']) == 2


def started(place: Path, **environment: str) -> "subprocess.Popen[str]":
    given = {**os.environ, "MODEL_DIR": str(place), "PORT": "0", **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "serve"], env=given, text=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_a_server_that_gets_a_stop_signal_answers_what_is_in_flight(parcels: Parcels) -> None:
    """The server then ends with 0."""
    process = started(parcels.store)
    assert process.stdout is not None
    port = int(next(line for line in process.stdout if "127.0.0.1:" in line).split("127.0.0.1:")[1].split()[0])
    body = json.dumps(REQUIRED).encode()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(
            f"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        )
        while httpx2.get(f"http://127.0.0.1:{port}/metrics").text.count("http_requests_in_flight 2.0") == 0:
            pass  # until it has begun to wait for the body
        process.send_signal(signal.SIGTERM)
        closed = threading.Event()
        while not closed.is_set():  # until nobody is let in any more
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                closed.set()
        sock.sendall(body)
        assert sock.recv(4000).startswith(b"HTTP/1.1 200 ")
    assert process.wait(timeout=20) == 0


def test_requests_are_lines_of_json_and_under_load_some_are_only_counted(capsys: pytest.CaptureFixture[str]) -> None:
    log = EventLog()
    for number in range(A_SECOND + 20):
        log.request(f"id{number}", "/predict", 200, 0.001)
    log.request("bad", "/predict", 500, 0.001)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert A_SECOND < len(lines) < A_SECOND + 21
    assert {key: lines[0][key] for key in ("event", "request_id", "route", "status", "ms")} == {
        "event": "request", "request_id": "id0", "route": "/predict", "status": 200, "ms": 1.0,
    }  # fmt: skip
    assert lines[-1]["request_id"] == "bad"
    assert len(lines) + sum(line.get("left_out", 0) for line in lines) == A_SECOND + 21


def test_a_check_of_health_takes_no_place_and_reads_no_body(strict: httpx2.Client) -> None:
    """Two that never finish sending would fill this server, were they let to."""
    waiting = []
    for _ in range(4):
        sock = socket.create_connection((strict.base_url.host, strict.base_url.port or 80))
        sock.sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n")
        assert sock.recv(4000).startswith(b"HTTP/1.1 200 ")
        waiting.append(sock)
    assert strict.post("/predict", json=REQUIRED, headers=headers()).status_code == 200
    for sock in waiting:
        sock.close()


def test_what_the_model_has_no_number_for_is_refused(parcels: Parcels, capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(Settings(model_dir=parcels.store))
    app.now.model.predictor.predict = lambda columns: np.array([np.inf])
    client = TestClient(app)
    for path in ("/predict", "/explain"):
        answer = client.post(path, json=REQUIRED)
        assert (answer.status_code, "The model has no prediction" in answer.json()["detail"]) == (422, True)
    assert "inf" not in client.get("/metrics").text.lower().replace('le="+inf"', "").replace("model_info", "")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", REQUIRED),
        ("/predict", {**REQUIRED, "temp": "warm"}),
        ("/predict", {"instances": [REQUIRED]}),
        ("/predict/batch", {"rows": [REQUIRED] * 3}),
        ("/predict/batch", {"rows": []}),
        ("/invocations", {"inputs": {name: [value] for name, value in REQUIRED.items()}}),
        ("/invocations", {}),
    ],
)
def test_what_is_answered_without_fastapi_is_what_fastapi_would_answer(parcels: Parcels, path: str, body: Any) -> None:
    app = create_app(Settings(model_dir=parcels.store))
    client, same = TestClient(app), {"x-request-id": "same"}
    direct = client.post(path, json=body, headers=same)
    route = app.now.table[path]["POST"]
    assert route.handler
    app.now.table[path]["POST"] = route._replace(handler=None)
    through = client.post(path, json=body, headers=same)
    assert (direct.status_code, direct.content) == (through.status_code, through.content)
    assert sorted(direct.headers.raw) == sorted(through.headers.raw)


def test_work_beside_the_event_loop_ends_at_the_time_limit_too(parcels: Parcels) -> None:
    app = create_app(Settings(model_dir=parcels.store, timeout_seconds=0.2))
    asked, answers = threading.Event(), app.now.model.predictor.predict

    def held(columns: Any) -> Any:
        asked.wait(timeout=20)
        return answers(columns)

    app.now.model.predictor.predict = held
    with TestClient(app) as client:
        answer = client.post("/explain", json=REQUIRED)
        assert not asked.is_set()
        asked.set()  # the thread is let go, and finds that nobody waits
    assert (answer.status_code, "TIMEOUT_SECONDS" in answer.json()["detail"]) == (504, True)


def test_more_rows_than_can_be_explained_in_time_are_refused(server: httpx2.Client) -> None:
    answer = server.post("/v1/models/parcels:explain", json={"instances": [REQUIRED] * 101})
    assert (answer.status_code, answer.json()["detail"][:24]) == (413, "101 rows are more than 1")
    told = server.post("/v1/models/parcels:explain", json={"instances": [REQUIRED] * 2}).raise_for_status().json()
    assert told["explanations"][0] == told["explanations"][1]


def test_a_new_champion_takes_over_and_a_broken_one_does_not(parcels: Parcels, tmp_path: Path) -> None:
    place = Path(shutil.copytree(parcels.store, tmp_path / "store"))
    with serving(place, RELOAD_SECONDS="0.05") as client:
        assert client.get("/readyz").json()["version"] == parcels.bundle.name
        broken = place / "0123456789abcdef"
        shutil.copytree(parcels.bundle, broken)
        bundle_store.point(place, broken.name)
        wait_for(client, 'model_reloads_total{outcome="refused"} 1.0')
        assert client.get("/readyz").json()["version"] == parcels.bundle.name
        other = other_bundle(parcels.bundle, place)
        bundle_store.point(place, other.name)
        wait_for(client, 'model_reloads_total{outcome="taken"} 1.0')
        assert client.post("/predict", json=REQUIRED).json()["version"] == other.name
        assert client.get(f"/v2/models/parcels/versions/{other.name}/ready").status_code == 200
        assert client.get("/openapi.json").json()["info"]["version"] == other.name
        bundle_store.point(place, "fedcba9876543210")
        wait_for(client, 'model_reloads_total{outcome="refused"} 2.0')
        assert client.post("/predict", json=REQUIRED).json()["version"] == other.name


def test_a_champion_that_came_between_loading_and_watching_is_taken_on(parcels: Parcels, tmp_path: Path) -> None:
    place = Path(shutil.copytree(parcels.store, tmp_path / "store"))
    app = create_app(Settings(model_dir=place, reload_seconds=0.01))
    other = other_bundle(parcels.bundle, place)
    bundle_store.point(place, other.name)
    with TestClient(app) as client:
        wait_for(client, 'model_reloads_total{outcome="taken"} 1.0')
        assert client.get("/readyz").json()["version"] == other.name


def test_pages_are_told_in_the_log_like_everything_else(parcels: Parcels, capsys: pytest.CaptureFixture[str]) -> None:
    TestClient(create_app(Settings(model_dir=parcels.store))).get("/docs")
    told = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (told["route"], told["status"]) == ("/docs", 200)
