"""How many connections may be open, and how long one may go without a request: limits that all connections share.

It knows nothing about HTTP: a connection reports when it waits for its client, and ends itself when it is told to.
"""

import asyncio
import resource
import time
from typing import TYPE_CHECKING

from serve.telemetry.event_log import EventLog
from serve.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from serve.connections.http_protocol import HttpProtocol

RESERVED_FILES = 64  # for the bundle, the prediction log, the event loop, and connections that are just being closed


class OpenConnections:
    """The open connections, and those of them that wait for their client."""

    def __init__(self, limit: int, header_seconds: float, metrics: Metrics, log: EventLog) -> None:
        """At most `limit` connections stay open. One that waits for `header_seconds` ends."""
        self.limit = limit
        self.header_seconds = header_seconds
        self._metrics = metrics
        self._log = log
        self._open: set[HttpProtocol] = set()
        self._waiting: dict[HttpProtocol, float] = {}  # since when, in time.monotonic(); the longest wait comes first

        metrics.connections.set_function(lambda: len(self._open))
        metrics.refused.labels("connections")  # shown before the first one, or an alert could not see the first

    def opened(self, connection: "HttpProtocol") -> None:
        """A client has connected. Beyond the limit the connection ends that has waited longest, idle or for headers.

        That is the new one where all others have a request in flight: these are never cut off, MAX_IN_FLIGHT limits
        them.
        """
        self._open.add(connection)
        self._waiting[connection] = time.monotonic()
        if len(self._open) > self.limit:
            longest = next(iter(self._waiting))
            del self._waiting[longest]  # it is closed soon, and must not be chosen again until then
            longest.make_room(self.limit)

    def closed(self, connection: "HttpProtocol") -> None:
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def wait(self, connection: "HttpProtocol") -> None:
        """The connection waits for its client from now on, unless it did so already."""
        self._waiting.setdefault(connection, time.monotonic())

    def proceed(self, connection: "HttpProtocol") -> bool:
        """The connection does not wait any longer. Whether it did."""
        return self._waiting.pop(connection, None) is not None

    def record_refusal(self, reason: str, **facts: object) -> None:
        """Count a request or a connection that is turned away, and log it unless this second has its lines already."""
        self._metrics.refused.labels(reason).inc()
        self._log.refused(reason, **facts)

    async def watch(self) -> None:
        """End the connections that have waited too long. Checks at least four times in each time limit."""
        while True:
            await asyncio.sleep(min(0.25, self.header_seconds / 4))
            self._end_overdue(time.monotonic() - self.header_seconds)

    def _end_overdue(self, latest: float) -> None:
        """End what waits since `latest` or longer, and does not idle.

        A connection that is closing stays open until its client has read the rest of a response: it waits, too.
        """
        overdue = [it for it, since in self._waiting.items() if since <= latest and not it.is_idle]
        for connection in overdue:
            del self._waiting[connection]
            connection.time_out(self.header_seconds)

        for connection in self._open:
            if connection.transport.is_closing():
                self.wait(connection)


def fit_open_files(connections: int) -> int:
    """The number of connections, `connections` at most, that this process has files for.

    Raises its soft limit of open files where the hard limit allows it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections

    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return min(connections, max(files - RESERVED_FILES, files // 2))
