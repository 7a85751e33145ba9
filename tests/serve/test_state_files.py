"""State beside the champion that is broken, endless or of another form: one line in the log, and the server goes on."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipeline.runtime import predictor, rolling_features
from serve.app import create_app
from serve.settings import Settings
from tests.support.parcels import REQUIRED, Parcels
from tests.support.signing import Keys

DEEP = b"[" * 100_000 + b"]" * 100_000
Change = Callable[[Path], object]


@pytest.fixture
def store(parcels: Parcels, tmp_path: Path) -> Path:
    return Path(shutil.copytree(parcels.store, tmp_path / "parcels"))


def events(capsys: pytest.CaptureFixture[str], name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in lines if line["event"] == name]


def result(**changes: object) -> bytes:
    return json.dumps({"version": "0" * 16, "looked": 1.0, "figures": {}, **changes}).encode()


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(DEEP), "RecursionError"),
        (lambda path: path.write_bytes(b"{half"), "JSONDecodeError"),
        (lambda path: path.write_bytes(b"[]"), "TypeError"),
        (lambda path: path.write_bytes(result(figures=[])), "AttributeError"),
        (lambda path: path.write_bytes(result(figures={"code": 10**400})), "OverflowError"),
        (lambda path: path.write_bytes(result(figures={"\ud800": 1})), "UnicodeEncodeError"),
        (lambda path: path.write_bytes(b" " * 2**20 + b"{}"), "is larger than 1,048,576 bytes"),
        (os.mkfifo, "is a pipe, not a regular file"),
        (Path.mkdir, "is a folder, not a regular file"),
        (endless, "is a device, not a regular file"),
    ],
)
def test_a_monitor_result_that_is_none_is_refused_with_one_line(
    store: Path, capsys: pytest.CaptureFixture[str], make: Change, reason: str
) -> None:
    """/metrics responds with all other metrics, however often it is scraped."""
    make(store / "monitor.json")
    client = TestClient(create_app(Settings(model_dir=store)), raise_server_exceptions=False)
    for _ in range(3):
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert "monitor_looked_timestamp_seconds 0.0" in answer.text
    (refusal,) = events(capsys, "monitor result refused")
    assert reason in refusal["reason"]
    assert refusal["file"] == str(store / "monitor.json")


def test_a_new_monitor_result_replaces_a_broken_one(store: Path) -> None:
    (store / "monitor.json").write_bytes(DEEP)
    client = TestClient(create_app(Settings(model_dir=store)))
    assert "monitor_looked_timestamp_seconds 0.0" in client.get("/metrics").text
    version = (store / "champion").read_text().strip()
    (store / "new").write_bytes(result(version=version, figures={"code": 5}))
    (store / "new").replace(store / "monitor.json")
    assert 'monitor{figure="code"} 5.0' in client.get("/metrics").text


def counted(store: Path, rows: object, total: object) -> bytes:
    """A file of rolling features with a valid hash, and one count."""
    contract = predictor.load(store).contract
    day = rolling_features.day_number("2014-01-02")
    counts: Any = {name: {} for name in contract.rolling}
    counts["late_1d_depot_carrier"] = {day - 1: {(day, ("NTH", "B6")): (rows, total)}}
    return rolling_features.dump_counts(counts, contract, day)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(DEEP), "RecursionError"),
        (lambda path: path.write_bytes(b"[]"), "TypeError"),
        (lambda path: path.write_bytes(b'{"sha256": 1}'), "has been changed"),
        (lambda path: path.write_bytes(counted(path.parent, 0, 0)), "counts 0 rows"),
        (lambda path: path.write_bytes(counted(path.parent, "5", 0)), "counts '5' rows"),
        (lambda path: path.write_bytes(counted(path.parent, 5, float("nan"))), "with the sum nan"),
        (lambda path: path.write_bytes(b" " * (32 * 2**20 + 1)), "is larger than 33,554,432 bytes"),
        (os.mkfifo, "is a pipe, not a regular file"),
        (Path.mkdir, "is a folder, not a regular file"),
        (endless, "is a device, not a regular file"),
    ],
)
def test_rolling_features_that_are_none_are_refused_with_one_line(
    store: Path, capsys: pytest.CaptureFixture[str], make: Change, reason: str
) -> None:
    """The server predicts with the bundle's own."""
    make(store / "rolling_features.json")
    client = TestClient(create_app(Settings(model_dir=store)), raise_server_exceptions=False)
    assert client.post("/predict", json=REQUIRED).status_code == 200
    assert client.post("/explain", json=REQUIRED).status_code == 200
    (refusal,) = events(capsys, "rolling features refused")
    assert reason in refusal["reason"]


def test_with_a_public_key_state_comes_only_from_where_a_setting_says(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signature covers the bundle alone, and whoever can write to the store could change predictions by the rest."""
    keys = Keys(tmp_path)
    version = (store / "champion").read_text().strip()
    keys.sign(store / version)
    (store / "monitor.json").write_bytes(result(version=version, figures={"code": 5}))
    (store / "rolling_features.json").write_bytes(counted(store, 100, 100.0))
    row = {**REQUIRED, "sent": "2014-01-02T17:30"}

    answers = []
    for state in ({}, {"state_dir": store}, {"rolling_state_file": store / "rolling_features.json"}):
        client = TestClient(create_app(Settings(model_dir=store, model_public_key=keys.public, **state)))
        metrics = client.get("/metrics").text
        answers.append((client.post("/predict", json=row).json()["probability"], "figure=" in metrics))
    own, in_folder, named = answers
    assert (own[1], in_folder[1], named[1]) == (False, True, False)
    assert own[0] != in_folder[0] == named[0]

    first, second = events(capsys, "state ignored")
    assert first["files"] == ["rolling_features.json", "monitor.json"]
    assert "STATE_DIR" in first["reason"]
    assert second["files"] == ["monitor.json"]


def test_without_a_public_key_state_is_read_beside_the_champion(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = (store / "champion").read_text().strip()
    (store / "monitor.json").write_bytes(result(version=version, figures={"code": 5}))
    client = TestClient(create_app(Settings(model_dir=store)))
    assert 'monitor{figure="code"} 5.0' in client.get("/metrics").text
    assert events(capsys, "state ignored") == []
