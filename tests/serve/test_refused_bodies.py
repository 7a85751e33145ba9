"""The body of a refused request leaves the memory with its response, and does not wait for the garbage collector.

The collector counts objects and not bytes: a hundred bodies of 15 MB do not call it.
"""

import asyncio
import gc
import time
from typing import Any

import pytest

from serve.app import create_app
from serve.asgi import ServingApp
from serve.settings import Settings
from tests.support.parcels import REQUIRED, Parcels
from tests.system.hostile.attacks import Attack, attacks

ATTACKS = attacks("parcels", REQUIRED, Settings().max_rows)


class Body(bytes):
    """Counts the bodies that are gone. Python has no weak references to bytes."""

    freed = 0

    def __del__(self) -> None:
        Body.freed += 1


@pytest.fixture(scope="module")
def app(parcels: Parcels) -> ServingApp:
    return create_app(Settings(model_dir=parcels.store))


async def refuse(app: ServingApp, attack: Attack) -> tuple[int, int]:
    """The status of the response, and the number of bodies that were freed soon after it."""
    headers = [(b"content-type", attack.content_type.encode()), (b"content-encoding", attack.encoding.encode())]
    place = {"path": attack.path, "raw_path": attack.path.encode(), "query_string": b""}
    bodies = [Body(attack.build())]
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": bodies.pop()}

    async def send(message: Any) -> None:
        sent.append(message)

    Body.freed = 0
    await app({"type": "http", "method": "POST", "headers": headers, **place}, receive, send)
    deadline = time.monotonic() + 5
    while not Body.freed and time.monotonic() < deadline:
        await asyncio.sleep(0.001)  # a thread forgets its work a moment after it has returned the result
    return sent[0]["status"], Body.freed


@pytest.mark.parametrize("name", ATTACKS)
def test_a_refused_body_is_freed_without_the_collector(app: ServingApp, name: str) -> None:
    gc.disable()
    try:
        status, freed = asyncio.run(refuse(app, ATTACKS[name]))
    finally:
        gc.enable()
    assert status in ATTACKS[name].statuses
    assert freed == 1
