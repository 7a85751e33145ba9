"""Which requests wait for one another: those of one lane share its threads, and no lane waits for another.

The interpreter runs one thread at a time, so more threads would not answer more. Lanes keep long work from holding up
short work.
"""

import asyncio
from typing import Self

THREADS = {
    "metrics": 1,
    "short": 2,  # few rows, the explanation of one row, a page
    "long": 2,  # many rows
    "explanations": 1,  # of many rows: each takes as long as some thousand predictions
}
OWN = {"/metrics": "metrics", "/v1/models/{name}:explain": "explanations"}  # lanes by the name of a route
WITHOUT = frozenset({"live", "ready", "/version", "/feedback"})  # names of routes that keep no thread


def lane_of(route: str, is_light: bool) -> str | None:
    """The lane of a request by the name of its route, and by whether its body has few rows and values.

    None for a request that never waits for a thread of a lane.
    """
    if route in WITHOUT:
        return None
    return OWN.get(route) or ("short" if is_light else "long")


class Place:
    """A place in a lane, waited for by `async with` and given back at its end, or earlier by `leave`."""

    def __init__(self, lane: asyncio.Semaphore | None) -> None:
        self._lane = lane
        self._is_taken = False

    async def __aenter__(self) -> Self:
        if self._lane:
            await self._lane.acquire()
            self._is_taken = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Give the place back: the work is done, though a slow client may still read the response."""
        if self._lane and self._is_taken:
            self._is_taken = False
            self._lane.release()


class Lanes:
    """The lanes of one server."""

    def __init__(self) -> None:
        self._lanes = {name: asyncio.Semaphore(threads) for name, threads in THREADS.items()}

    def place(self, lane: str | None) -> Place:
        return Place(self._lanes[lane] if lane else None)
