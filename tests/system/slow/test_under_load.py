"""What takes a minute: champions that change under load, and Prometheus itself."""

import asyncio
import json
import shutil
import subprocess
import time
from itertools import count, cycle
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from rich.console import Console

from pipeline.config.config import load
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import to_columns
from pipeline.runtime.predictor import as_predictions as told_predictor
from pipeline.runtime.predictor import load as load_predictor
from pipeline.training.train import run
from tests.support.parcels import CONFIG, REQUIRED, Parcels, settings
from tests.support.server import serving

CLIENTS, SECONDS, SWAPS = 64, 60, 12


def test_every_answer_under_load_is_that_of_the_version_it_names(parcels: Parcels, tmp_path: Path) -> None:
    """Champions change under the load: 64 connections for 60 seconds, through twelve swaps between two models, two of
    them to a bundle that is broken.
    """
    place = Path(shutil.copytree(parcels.store, tmp_path / "store"))
    other = Path(shutil.copytree(linear(tmp_path), place / linear(tmp_path).name))
    broken = place / "0123456789abcdef"
    shutil.copytree(parcels.bundle, broken)
    rows = load_predictor(parcels.bundle).golden.rows[:48]
    expected = {bundle.name: probabilities(bundle, rows) for bundle in (parcels.bundle, other)}
    assert not set(expected[parcels.bundle.name]) & set(expected[other.name])
    with serving(place, RELOAD_SECONDS="0.2") as client:
        said = asyncio.run(crowd(str(client.base_url), rows, place, [other.name, parcels.bundle.name], broken.name))
        told = client.get("/metrics").text
    assert 'model_reloads_total{outcome="refused"} 2.0' in told
    assert f'model_reloads_total{{outcome="taken"}} {SWAPS - 2}.0' in told
    assert {status for _, status, _ in said} == {200}
    assert {answer["version"] for _, _, answer in said} == set(expected)
    for row, _, answer in said:
        assert answer["probability"] == expected[answer["version"]][row]
    assert len(said) > 10_000


def linear(folder: Path) -> Path:
    """A bundle with another kind of model."""
    if not (folder / "models").exists():
        run(
            load(CONFIG, [*settings(folder), "candidates.boosting=null", "search.kinds.boosting=null"]),
            Console(quiet=True),
        )
    return bundle_store.resolve(folder / "models" / "parcels")


def probabilities(bundle: Path, rows: list[dict[str, Any]]) -> list[float]:
    """Of each row asked alone, as it is over HTTP: in one go float32 may end with another last digit."""
    predictor = load_predictor(bundle)
    answers = [predictor.predict(to_columns([row], predictor.contract)) for row in rows]
    return told_predictor(np.concatenate(answers), predictor.scoring)["probability"]


async def crowd(
    address: str, rows: list[dict[str, Any]], place: Path, names: list[str], broken: str
) -> list[tuple[int, int, dict[str, Any]]]:
    """Of each answer: which row was asked, the status, and the body."""
    said: list[tuple[int, int, dict[str, Any]]] = []
    ends = time.monotonic() + SECONDS

    async def ask(client: httpx2.AsyncClient, start: int) -> None:
        for number in count(start):
            if time.monotonic() > ends:
                return
            row = number % len(rows)
            answer = await client.post("/predict", json=rows[row])
            said.append((row, answer.status_code, answer.json()))

    async def swap() -> None:
        next_name = cycle(names)
        for n in range(SWAPS):
            await asyncio.sleep(SECONDS / (SWAPS + 1))
            bundle_store.point(place, broken if n in (3, 8) else next(next_name))

    limits = httpx2.Limits(max_connections=CLIENTS)
    async with httpx2.AsyncClient(base_url=address, limits=limits, timeout=30) as client:
        await asyncio.gather(swap(), *(ask(client, n) for n in range(CLIENTS)))
    return said


def test_prometheus_scrapes_the_server_and_finds_no_fault_in_its_metrics(parcels: Parcels, tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.fail("this test runs Prometheus itself: apt install prometheus")
    with serving(parcels.store) as client:
        client.post("/predict", json=REQUIRED)
        metrics = client.get("/metrics").text
        subprocess.run(["promtool", "check", "metrics"], input=metrics, text=True, check=True)
        target = f"{client.base_url.host}:{client.base_url.port}"
        scrape = {"job_name": "serve", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
        (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scrape]}))
        prometheus = subprocess.Popen(
            ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
             "--web.listen-address=127.0.0.1:19090"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert scraped("predicted_rows_total") == "1"
        finally:
            prometheus.terminate()
            prometheus.wait(timeout=20)


def scraped(query: str) -> str:
    """The newest value that Prometheus has of a metric."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            found = httpx2.get("http://127.0.0.1:19090/api/v1/query", params={"query": query}).json()["data"]["result"]
        except (httpx2.TransportError, ValueError):  # not up yet, or not ready
            continue
        if found:
            return str(found[0]["value"][1])
    raise AssertionError(query)
