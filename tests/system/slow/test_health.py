"""The image's health check asks the server of its environment, at the address that it has."""

import os
import socket
import subprocess
import sys

import httpx2
import pytest

from tests.support import ROOT
from tests.support.parcels import Parcels
from tests.support.server import serving


def check(**environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "serve.healthcheck"],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_it_asks_the_address_that_the_server_listens_on(parcels: Parcels, host: str) -> None:
    """And no proxy, whatever the environment says."""
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")  # because containers often have none
    with serving(parcels.store, HOST=host) as client:
        environment = {"HOST": host, "PORT": str(client.base_url.port), "HTTP_PROXY": "http://127.0.0.1:9"}
        checked = check(**environment)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_what_is_not_ready_is_said_in_one_line(server: httpx2.Client) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        refused = check(PORT=str(port))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"not ready: 127.0.0.1 port {port}: " in refused.stderr
    assert "not ready: environment: PORT=x" in check(PORT="x").stderr
