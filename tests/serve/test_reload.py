"""A champion that changes while the server runs: refused ones are tried again, and replaced ones leave the memory."""

import asyncio
import gc
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipeline.runtime import bundle_store
from serve.app import create_app
from serve.attempts import Attempts
from serve.reload import watch_file
from serve.settings import Settings
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import other_bundle, wait_for

TAKEN = 'model_reloads_total{outcome="taken"} 1.0'
REFUSED = 'model_reloads_total{outcome="refused"} 1.0'


@pytest.fixture
def store(parcels: Parcels, tmp_path: Path) -> Path:
    return Path(shutil.copytree(parcels.store, tmp_path / "store"))


@pytest.fixture
def newer(parcels: Parcels, tmp_path: Path) -> Path:
    """A bundle that is not in the store yet."""
    return other_bundle(parcels.bundle, tmp_path / "elsewhere")


def events(capsys: pytest.CaptureFixture[str], *names: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in lines if line["event"] in names]


def test_a_champion_whose_files_come_after_the_pointer_is_taken_on(
    store: Path, newer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `rsync` and `cp -r` may copy a store. The log has one line for the refusals, and one for the success."""
    with TestClient(create_app(Settings(model_dir=store, reload_seconds=0.01))) as client:
        bundle_store.point(store, newer.name)
        wait_for(client, REFUSED)
        (store / newer.name).mkdir()
        for file in sorted(newer.iterdir()):
            shutil.copy(file, store / newer.name)
        wait_for(client, TAKEN)
        assert client.post("/predict", json=REQUIRED).json()["version"] == newer.name
        assert REFUSED in client.get("/metrics").text

    refused, loaded = events(capsys, "champion refused", "champion loaded")
    assert (refused["event"], refused["version"]) == ("champion refused", newer.name)
    assert (loaded["event"], loaded["version"]) == ("champion loaded", newer.name)
    assert loaded["failed_attempts"] >= 1


def test_a_refused_champion_is_not_in_the_way_of_the_next(store: Path, newer: Path) -> None:
    """The next one is loaded at once, whatever the pause has grown to."""
    with TestClient(create_app(Settings(model_dir=store, reload_seconds=0.01))) as client:
        bundle_store.point(store, "0123456789abcdef")
        wait_for(client, REFUSED)
        shutil.copytree(newer, store / newer.name)
        bundle_store.point(store, newer.name)
        wait_for(client, TAKEN)


def test_a_refused_file_is_read_again_until_it_is_taken(tmp_path: Path) -> None:
    """Though it has not changed: the reason may have been too many open files."""
    (tmp_path / "file").touch()
    results = [True, False, False]

    async def watch() -> None:
        watching = asyncio.create_task(watch_file(tmp_path / "file", 0.001, results.pop))
        while results:
            await asyncio.sleep(0.001)
        watching.cancel()

    asyncio.run(asyncio.wait_for(watch(), 10))


def test_the_pause_between_two_attempts_grows_to_a_minute() -> None:
    attempts = Attempts(1)
    pauses = []
    for _ in range(8):
        pauses.append(attempts.pause)
        attempts.failed()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    attempts.succeeded()
    assert attempts.pause == 1


def test_an_attempt_is_due_after_a_change_and_after_a_failure() -> None:
    attempts = Attempts(0)
    assert not attempts.is_due(None)
    assert attempts.is_due("first")
    assert not attempts.is_due("first")
    attempts.failed()
    assert attempts.is_due("first")
    attempts.succeeded()
    assert not attempts.is_due("first")
    assert attempts.is_due("second")


def test_a_replaced_model_leaves_the_memory_with_its_application(store: Path, newer: Path) -> None:
    """FastAPI caches the endpoints of every application, and these refer to its model: two megabytes a reload.

    The class of its rows may stay in one of the caches of `typing`, which hold a fixed number of types.
    """
    app = create_app(Settings(model_dir=store, reload_seconds=0.01))
    with TestClient(app) as client:
        for path in ("/", "/docs", "/openapi.json", "/model", "/readyz", "/metrics"):
            client.get(path).raise_for_status()
        client.post("/explain", json=REQUIRED).raise_for_status()
        now = app.now
        old = [weakref.ref(now.routes), weakref.ref(now.model), weakref.ref(now.model.predictor)]
        del now

        shutil.copytree(newer, store / newer.name)
        bundle_store.point(store, newer.name)
        wait_for(client, TAKEN)
        gc.collect()
        assert [reference() for reference in old] == [None, None, None]
