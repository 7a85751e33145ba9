"""MLflow's own scoring server over the registered champion: what it answers to a valid body, we answer too."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import mlflow
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from pipeline.runtime import predictor
from tests.support.parcels import REQUIRED, Parcels


@pytest.fixture
def oracle(parcels: Parcels, free_port: int, tmp_path: Any) -> Iterator[httpx2.Client]:
    mlflow.set_tracking_uri(parcels.config.paths.tracking)
    model = mlflow.artifacts.download_artifacts("models:/parcels@champion", dst_path=str(tmp_path))
    app = "mlflow.pyfunc.scoring_server.app:app"
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", app, "--port", str(free_port), "--log-level", "warning"],
        env={**os.environ, "__pyfunc_model_path__": str(model)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        ScoringServerClient("127.0.0.1", free_port).wait_server_ready(timeout=60, scoring_server_proc=server)
        with httpx2.Client(base_url=f"http://127.0.0.1:{free_port}", timeout=30) as client:
            yield client
    finally:
        server.terminate()
        server.wait(timeout=20)


def test_every_body_that_mlflows_server_takes_gets_the_same_predictions(
    server: httpx2.Client, oracle: httpx2.Client, parcels: Parcels
) -> None:
    """Our server gives the predictions that MLflow's server gives."""
    rows = [row for row in predictor.load(parcels.bundle).golden.rows[:48] if len(row) == len(parcels.config.request)][
        :5
    ]
    names = list(rows[0])
    bodies: list[tuple[str, str]] = [
        ("application/json", json.dumps(body))
        for body in (
            {"dataframe_records": rows},
            {"dataframe_split": {"columns": names, "data": [list(row.values()) for row in rows]}},
            {"dataframe_split": {"index": [3], "columns": names, "data": [list(rows[0].values())]}},
            {"instances": rows},
            {"inputs": {name: [row[name] for row in rows] for name in names}},
            {"dataframe_records": [{**REQUIRED, "temp": None}]},
        )
    ]
    bodies.append(("text/csv", pd.DataFrame(rows).to_csv(index=False)))
    for kind, body in bodies:
        ours, theirs = (
            client.post("/invocations", content=body.encode(), headers={"content-type": kind})
            for client in (server, oracle)
        )
        assert theirs.status_code == 200, theirs.text
        assert ours.json()["predictions"] == theirs.json()["predictions"], body[:100]


def test_mlflows_client_takes_our_server_for_its_own(server: httpx2.Client, parcels: Parcels) -> None:
    client = ScoringServerClient(server.base_url.host, server.base_url.port or 80)
    client.ping()
    assert client.get_version() == "0.1.0"
    golden = predictor.load(parcels.bundle).golden
    rows = golden.rows[:3]
    said = client.invoke(pd.DataFrame(rows)).get_predictions()
    assert said["probability"].tolist() == pytest.approx(golden.predictions[:3].tolist(), abs=1e-6)
    assert said.columns.tolist() == ["probability", "label"]
