"""The image in containers that are locked down, and the address of a container that is ready."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import httpx2
import pytest
from docker.models.containers import Container

from pipeline.runtime import predictor

ROOT = Path(__file__).parent.parent.parent.parent
IMAGE, MODEL = os.environ["IMAGE"], os.environ["MODEL"]
LOCKED_DOWN = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    return docker.from_env()


@pytest.fixture(scope="session")
def champion() -> predictor.Predictor:
    return predictor.load(ROOT / "models" / MODEL)


Run = Callable[..., Container]


@pytest.fixture(scope="session")
def run(engine: docker.DockerClient) -> Iterator[Run]:
    started: list[Container] = []

    def start(command: str | None = None, *, port: int = 8080, **options: Any) -> Container:
        container = engine.containers.run(
            IMAGE, command, detach=True, ports={f"{port}/tcp": ("127.0.0.1", None)}, **LOCKED_DOWN, **options
        )
        started.append(container)
        return container

    yield start
    for container in started:
        container.remove(force=True)


@pytest.fixture(scope="session")
def container(run: Run) -> Container:
    return run()


def ready(container: Container, port: int = 8080) -> str:
    """The server's address on this machine, once it is ready."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        container.reload()
        assert container.status != "exited", container.logs().decode()
        if bound := container.ports.get(f"{port}/tcp"):
            address = f"http://127.0.0.1:{bound[0]['HostPort']}"
            with suppress(httpx2.TransportError):
                httpx2.get(f"{address}/readyz").raise_for_status()
                return address
    raise AssertionError(container.logs().decode())
