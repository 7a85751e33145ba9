"""The server, real and over loopback: what it answers, what it refuses, and when it does not start."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from pipeline.config.config import Config
from pipeline.runtime import bundle_store, predictor
from pipeline.runtime.contract import Scoring
from pipeline.runtime.predictor import as_predictions
from pipeline.runtime.request_model import request_model
from serve.app import create_app
from serve.protocols.open_inference import one_row_of_tensors
from serve.settings import Settings
from tests.support import ROOT
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import serving, started


def golden_rows(parcels: Parcels) -> list[dict[str, Any]]:
    """The bundle's own rows that a caller could send: the last quarter has categories against the pattern."""
    return predictor.load(parcels.bundle).golden.rows[:48]


def test_an_answer_has_probability_label_threshold_and_model_version(server: httpx2.Client, parcels: Parcels) -> None:
    """It also has the request id."""
    answer = server.post("/predict", json=REQUIRED).raise_for_status().json()
    assert list(answer) == ["probability", "label", "threshold", "model", "version", "request_id"]
    assert 0 < answer["probability"] < 1
    assert answer["label"] == int(answer["probability"] >= 0.25)
    assert (answer["model"], answer["version"], answer["threshold"]) == ("parcels", parcels.bundle.name, 0.25)


def test_one_row_and_a_batch_give_the_trained_models_own_answers(server: httpx2.Client, parcels: Parcels) -> None:
    golden = predictor.load(parcels.bundle).golden
    rows = golden_rows(parcels)
    single = [server.post("/predict", json=row).raise_for_status().json()["probability"] for row in rows]
    batch = server.post("/predict/batch", json={"rows": rows}).raise_for_status().json()["predictions"]
    assert single == pytest.approx(golden.predictions[:48].tolist(), abs=1e-6)
    assert [each["probability"] for each in batch] == single


def test_a_callers_request_id_comes_back_in_body_and_header(server: httpx2.Client) -> None:
    """An odd request id does not come back."""
    answer = server.post("/predict", json=REQUIRED, headers={"x-request-id": "abc-1"})
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "abc-1"
    odd = server.post("/predict", json=REQUIRED, headers={"x-request-id": "x" * 200})
    assert re.fullmatch(r"[0-9a-f]{32}", odd.json()["request_id"])


def test_every_wrong_field_is_listed_at_once(server: httpx2.Client) -> None:
    wrong = {"carrier": "B6", "depot": "XXX", "city": "ROM", "weight": 75.5, "temp": "warm", "tmp": 1}
    answer = server.post("/predict", json=wrong)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {fault["field"] for fault in problem["errors"]} == {
        "depot", "sent", "weight", "temp", "tmp"
    }  # fmt: skip
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("temp", "1e999"),
        ("temp", "true"),
        ("temp", "200"),
        ("weight", "true"),
        ("weight", "18.5"),
        ("weight", "1" + "0" * 400),
        ("sent", '"2013-02-30T10:00"'),
        ("sent", '"0000-01-01T10:00"'),
        ("sent", '"2013-12-02T17:30Z"'),
        ("carrier", '"B66"'),
    ],
)
def test_a_value_outside_the_contract_is_refused_at_its_field(server: httpx2.Client, field: str, text: str) -> None:
    fields = {name: json.dumps(value) for name, value in REQUIRED.items()} | {field: text}
    body = "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"
    answer = server.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_nan_and_null_are_missing_values(server: httpx2.Client) -> None:
    plain = server.post("/predict", json=REQUIRED).json()["probability"]
    for text in ("NaN", "null"):
        body = json.dumps(REQUIRED)[:-1] + f', "temp": {text}}}'
        answer = server.post("/predict", content=body, headers={"content-type": "application/json"})
        assert answer.json()["probability"] == plain


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/predict", b"{", 400),
        ("/predict", b"[]", 422),
        ("/predict", b"", 400),
        ("/predict", b"\xff\xfe", 400),
        ("/predict/batch", b'{"rows": []}', 422),
        ("/predict/batch", b'{"rows": [{}]}', 422),
        ("/predict/batch", b'{"row": []}', 422),
        ("/nowhere", b"{}", 404),
        ("/readyz", b"{}", 405),
    ],
)
def test_whatever_is_sent_is_answered_with_a_problem_and_never_with_a_500(
    server: httpx2.Client, path: str, body: bytes, status: int
) -> None:
    answer = server.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("sent", [None, "text/plain"])
def test_a_body_that_is_not_said_to_be_json_is_told_what_to_say(server: httpx2.Client, sent: str | None) -> None:
    headers = {} if sent is None else {"content-type": sent}
    answer = server.post("/predict", content=json.dumps(REQUIRED).encode(), headers=headers)
    assert answer.status_code == 415
    assert "send application/json" in answer.json()["detail"]


def test_the_same_fault_in_many_rows_is_listed_once_with_their_number(server: httpx2.Client) -> None:
    answer = server.post("/predict/batch", json={"rows": [{}] * 100})
    assert answer.json()["detail"].startswith("500 invalid values: rows.0.carrier, ")
    assert len(answer.json()["errors"]) == 5
    assert answer.json()["errors"][0]["message"] == "This field is required (also in 99 more rows)"


def test_the_first_hundred_faults_are_listed(server: httpx2.Client) -> None:
    unknown = dict.fromkeys(map("f{}".format, range(150)), 1)
    answer = server.post("/predict", json={**REQUIRED, **unknown})
    assert answer.json()["detail"].endswith("f9 and 140 more")
    assert len(answer.json()["errors"]) == 100


def test_a_body_over_the_limit_is_not_read(server: httpx2.Client) -> None:
    answer = server.post("/predict", content=b" " * (17 * 2**20), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_the_label_follows_from_the_probability_that_is_told() -> None:
    assert as_predictions(np.array([0.24999998]), Scoring("binary", 0.25)) == {"probability": [0.25], "label": [1]}
    assert as_predictions(np.array([0.2499999]), Scoring("binary", 0.25)) == {"probability": [0.2499999], "label": [0]}


@pytest.mark.parametrize("time", ["2013-12-02 17:30", "2013-12-02 17:30:00", "2013-12-02T17:30:00.000"])
def test_a_time_as_pandas_writes_it_has_the_same_answer(server: httpx2.Client, time: str) -> None:
    expected = server.post("/predict", json=REQUIRED).json()["probability"]
    answer = server.post("/predict", json={**REQUIRED, "sent": time}).raise_for_status().json()
    assert answer["probability"] == expected


def test_unknown_keys_beside_the_rows_are_listed_up_to_the_hundredth(server: httpx2.Client) -> None:
    answer = server.post("/predict/batch", json={"rows": [REQUIRED], **{f"row{n}": n for n in range(200)}})
    assert answer.json()["detail"].startswith("100 invalid values in the first 100 of 200 fields: row0, ")


def test_an_unknown_key_beside_the_rows_is_refused(server: httpx2.Client) -> None:
    answer = server.post("/predict/batch", json={"rows": [REQUIRED], "row": []})
    assert [fault["field"] for fault in answer.json()["errors"]] == ["row"]


def test_a_wrong_row_of_a_batch_is_named_by_its_number(server: httpx2.Client) -> None:
    answer = server.post("/predict/batch", json={"rows": [REQUIRED, {**REQUIRED, "depot": "XXX"}]})
    assert [fault["field"] for fault in answer.json()["errors"]] == ["rows.1.depot"]


def test_an_unseen_destination_is_answered_and_counted(server: httpx2.Client) -> None:
    def counted() -> float:
        lines = server.get("/metrics").text.splitlines()
        found = [line for line in lines if line.startswith('unseen_values_total{column="city"}')]
        return float(found[0].split()[-1]) if found else 0.0

    before = counted()
    answer = server.post("/predict", json={**REQUIRED, "city": "QQQ"})
    assert answer.status_code == 200
    assert counted() == before + 1


def test_liveness_readiness_and_the_models_facts(server: httpx2.Client, parcels: Parcels) -> None:
    assert server.get("/livez").json() == {"live": True}
    ready = {"name": "parcels", "ready": True, "live": True, "status": "ok"}
    assert server.get("/readyz").json() == {**ready, "model": "parcels", "version": parcels.bundle.name}
    facts = server.get("/model").json()
    assert facts["version"] == parcels.bundle.name
    assert facts["metrics"]["roc_auc"]["low"] < facts["metrics"]["roc_auc"]["value"]
    assert facts["contract"]["columns"]["temp"]["unit"] == "°F"


def test_the_docs_load_nothing_from_another_host(server: httpx2.Client) -> None:
    page = server.get("/docs").raise_for_status().text
    loaded = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]+)"', page)
    assert loaded
    assert not [address for address in loaded if "//" in address]
    for address in loaded:
        for asked in (f"/{address}", f"/{address}?file=x"):
            assert len(server.get(asked).raise_for_status().content) > 500


def test_the_docs_have_a_way_back_to_the_page(server: httpx2.Client) -> None:
    page = server.get("/docs").text
    assert '<html lang="en">' in page
    (back,) = re.findall(r'<body>.*?<a href="([^"]+)"[^>]*>← parcels: the form</a>', page)
    assert "Will this parcel" in server.get(f"/{back}", headers={"accept": "text/html"}).text


def test_the_published_api_has_types_bounds_units_meanings_and_examples(
    server: httpx2.Client, parcels: Parcels
) -> None:
    """The examples are real: the server answers them."""
    api = server.get("/openapi.json").json()
    row = api["components"]["schemas"]["Row"]["properties"]
    assert row["temp"]["description"] == "Temperature [°F]"
    assert row["temp"]["anyOf"][0] == {"type": "number", "minimum": -60.0, "maximum": 130.0}
    assert (row["weight"]["minimum"], row["weight"]["maximum"]) == (20, 1000)
    assert row["carrier"]["pattern"] == "^(?:[A-Z0-9]{2})$"
    for answer in (api["paths"]["/predict"]["post"]["responses"][status] for status in ("400", "415", "422")):
        assert answer["content"]["application/problem+json"]["schema"]["$ref"].endswith("/Problem")
    assert row["depot"]["enum"] == ["EST", "NTH", "STH"]
    content = api["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        assert server.post("/predict", json=example["value"]).status_code == 200


def test_every_route_for_machines_is_documented_and_no_other(parcels: Parcels) -> None:
    """The limits are documented too."""
    app = create_app(Settings(model_dir=parcels.store, predict_route="/ask", health_route="/alive"))
    for_people = ("/answer", "/docs", "/openapi.json", "/web/", "/model/")
    answered = {
        (path, method)
        for path, methods in app.now.table.items()
        for method in methods
        if method != "HEAD" and not path.startswith(for_people)
    }
    api = TestClient(app).get("/openapi.json").json()
    paths = api["paths"]
    assert {(path, method.upper()) for path, methods in paths.items() for method in methods} == answered
    assert ("/ask", "POST") in answered
    assert "| `MAX_ROWS` | 10,000 | A request with more rows is refused (413). |" in api["info"]["description"]
    assert "| `MAX_BODY_BYTES` | 6,400,000 |" in api["info"]["description"]  # ten columns
    assert all(about["tags"] and about["summary"] for methods in paths.values() for about in methods.values())


def test_a_path_of_ours_that_a_platform_chooses_stays_what_it_is(parcels: Parcels) -> None:
    app = create_app(Settings(model_dir=parcels.store, predict_route="/explain", health_route="/livez"))
    client = TestClient(app)
    assert "contributions" in client.post("/explain", json=REQUIRED).json()
    assert client.get("/livez").json() == {"live": True}
    assert (app.now.table["/explain"]["POST"].name, app.now.table["/livez"]["GET"].name) == ("/explain", "live")


def test_a_model_that_can_do_without_any_field_is_documented_too(tiny_config: Config) -> None:
    contract = tiny_config.contract.model_copy(update={"features": ["size"]})
    stand = SimpleNamespace(contract=contract, predictor=SimpleNamespace(row_model=request_model(contract)))
    assert one_row_of_tensors(stand)["properties"]["inputs"]["minItems"] == 1


def test_a_fault_of_ours_is_a_500_without_a_word_of_the_inside(
    parcels: Parcels, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fault is in the log."""

    def broken(columns: object) -> None:
        raise RuntimeError("secret")

    app = create_app(Settings(model_dir=parcels.store))
    app.now.model.predictor.predict = broken
    answer = TestClient(app, raise_server_exceptions=False).post("/predict", json=REQUIRED)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    told = json.loads(capsys.readouterr().err.splitlines()[0])
    assert (told["event"], told["request_id"]) == ("failed", answer.json()["request_id"])
    assert "secret" in told["error"]


def test_without_a_model_serve_stops_and_says_what_to_run(tmp_path: Path) -> None:
    ended = started(tmp_path / "models")
    assert ended.returncode == 3
    assert "Run `make train` first" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_bundle_changed_by_one_byte_does_not_start(parcels: Parcels, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(parcels.bundle, tmp_path / parcels.bundle.name))
    content = bytearray((copy / "model.onnx").read_bytes())
    content[100] ^= 1
    (copy / "model.onnx").write_bytes(content)
    ended = started(copy)
    assert ended.returncode == 3
    assert "model.onnx has been changed" in ended.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PORT": "eighty"}, "PORT=eighty: Input should be a valid integer"),
        ({"HOST": "no.such.host"}, "cannot listen there"),
        ({"HOST": "a" * 70}, "cannot listen there"),
        ({"HOST": "x86_64-conda-linux-gnu"}, "conda sets HOST to something else: unset HOST"),
        ({"ROOT_PATH": "/predict"}, "ROOT_PATH=/predict: is a path of this server itself"),
        ({"ROOT_PATH": "/docs"}, "ROOT_PATH=/docs: is a path of this server itself"),
    ],
)
def test_a_wrong_setting_is_told_by_its_variable(parcels: Parcels, environment: dict[str, str], said: str) -> None:
    ended = started(parcels.store, **environment)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_a_taken_port_is_told_with_another_to_try(parcels: Parcels) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = started(parcels.store, PORT=str(port))
    assert ended.returncode == 2
    assert f"PORT={port}: cannot listen there" in ended.stderr


def test_help_lists_the_settings_and_an_unknown_argument_is_refused() -> None:
    helped, refused = (
        subprocess.run([sys.executable, "-m", "serve", word], capture_output=True, text=True, check=False, cwd=ROOT)
        for word in ("--help", "now")
    )
    assert (helped.returncode, refused.returncode) == (0, 2)
    assert "MODEL_DIR" in helped.stdout


def test_the_printed_curl_line_works_when_pasted(parcels: Parcels) -> None:
    environment = {**os.environ, "MODEL_DIR": str(parcels.store), "PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "serve"], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        pasted = next(line for line in process.stdout if line.startswith("curl "))
        answered = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True)
        assert json.loads(answered.stdout)["model"] == "parcels"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) in (0, -signal.SIGTERM)


def has_ipv6() -> bool:
    """Whether this machine has the address ::1, which many containers lack."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no address ::1")
def test_an_ipv6_address_is_printed_as_a_url(parcels: Parcels) -> None:
    environment = {**os.environ, "MODEL_DIR": str(parcels.store), "PORT": "0", "HOST": "::1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "serve"], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        assert re.search(r"http://\[::1\]:\d+/predict", "".join(process.stdout.readline() for _ in range(4)))
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_a_copied_bundle_serves_from_anywhere(parcels: Parcels, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(parcels.bundle, tmp_path / "elsewhere" / "bundle"))
    with serving(copy) as client:
        assert client.get("/readyz").json()["version"] == parcels.bundle.name
    assert bundle_store.damage(copy) is None
