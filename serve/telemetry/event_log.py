"""What the server says of itself: one JSON object a line, on the standard error stream."""

import json
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import Any

A_SECOND = 50  # requests that are told each second; under load the others are only counted


class EventLog:
    """Writes lines. Every error is told; of other requests so many a second, and then how many were left out."""

    def __init__(self) -> None:
        self._second, self._told, self._left_out = 0, 0, 0

    def write(self, event: str, **facts: Any) -> None:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        sys.stderr.flush()

    def failed(self, error: BaseException, **facts: Any) -> None:
        """A fault of ours, with what led to it."""
        self.write("failed", **facts, error=repr(error), trace=traceback.format_exception(error))

    def request(self, request_id: str, route: str, status: int, seconds: float) -> None:
        now = int(time.monotonic())
        if now != self._second:
            self._second, self._told = now, 0
        if self._told >= A_SECOND and status < 500:
            self._left_out += 1
            return
        self._told += 1
        more = {"left_out": self._left_out} if self._left_out else {}
        self._left_out = 0
        milliseconds = round(seconds * 1000, 3)
        self.write("request", request_id=request_id, route=route, status=status, ms=milliseconds, **more)
