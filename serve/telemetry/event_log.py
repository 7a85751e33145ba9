"""The server's log: one JSON object per line on standard error. It knows nothing about predictions."""

import json
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import Any

A_SECOND = 50  # requests that are logged in one second at most; under load the others are only counted


class EventLog:
    """Writes every error, and of the other requests A_SECOND per second and the number of those that were left out."""

    def __init__(self) -> None:
        self._second = 0
        self._written = 0  # requests in this second
        self._left_out = 0  # requests since the last one that was written

    def write(self, event: str, **facts: Any) -> None:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        sys.stderr.flush()

    def failed(self, error: BaseException, **facts: Any) -> None:
        """Write an error of the server with its traceback."""
        self.write("failed", **facts, error=repr(error), trace=traceback.format_exception(error))

    def request(self, request_id: str, route: str, status: int, seconds: float) -> None:
        """Write a request, unless this second has its lines already. A status of 500 or more is always written."""
        now = int(time.monotonic())
        if now != self._second:
            self._second = now
            self._written = 0
        if self._written >= A_SECOND and status < 500:
            self._left_out += 1
            return

        self._written += 1
        more = {"left_out": self._left_out} if self._left_out else {}
        self._left_out = 0
        milliseconds = round(seconds * 1000, 3)
        self.write("request", request_id=request_id, route=route, status=status, ms=milliseconds, **more)
