"""`make mlflow`: the local server that it starts, and one that is there already."""

import os
import signal
import subprocess
import sys

import httpx2

from tests.support import ROOT
from tests.support.command import pipeline
from tests.support.parcels import Parcels


def test_a_server_that_keeps_the_runs_is_named_and_none_is_started(parcels: Parcels, free_port: int) -> None:
    """The local server is started by the command; a second command that is given its address only prints the page."""
    store = parcels.config.paths.tracking
    command = [sys.executable, "-m", "pipeline", "mlflow", "tests/support/parcels.yaml", "--port", str(free_port)]
    local = subprocess.Popen(
        [*command, "--set", f"paths.tracking={store}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    try:
        assert local.stdout is not None
        page = local.stdout.readline().strip()
        assert page.endswith(f"http://127.0.0.1:{free_port}/#/experiments/1/runs?workflowType=machine_learning")
        transport = httpx2.HTTPTransport(retries=10)
        with httpx2.Client(transport=transport, timeout=60) as client:
            assert client.get(f"http://127.0.0.1:{free_port}/health").text == "OK"
        remote = pipeline("mlflow", "tests/support/parcels.yaml", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port}")
        assert remote.stdout.strip() == page
    finally:
        os.killpg(local.pid, signal.SIGTERM)
        local.wait(timeout=20)
