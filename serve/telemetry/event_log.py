"""The server's log: one JSON object per line on standard error. It knows nothing about predictions."""

import json
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import Any

A_SECOND = 50  # requests that are logged in one second at most; under load the others are only counted
REFUSALS_A_SECOND = 5  # lines about what was turned away; who attacks must not fill the log


class LineBudget:
    """How many lines of one kind may still be written in this second, and how many were left out."""

    def __init__(self, limit: int) -> None:
        """`limit` is in lines per second."""
        self._limit = limit
        self._second = 0
        self._written = 0  # lines in this second
        self._left_out = 0  # lines since the last one that was written

    def allows(self) -> bool:
        """Whether the next line fits; one that does not fit is counted."""
        now = int(time.monotonic())
        if now != self._second:
            self._second = now
            self._written = 0
        if self._written >= self._limit:
            self._left_out += 1
            return False
        return True

    def count(self) -> dict[str, int]:
        """Count a line that is written. The field for it that tells how many were left out before."""
        self._written += 1
        left_out = self._left_out
        self._left_out = 0
        return {"left_out": left_out} if left_out else {}


class EventLog:
    """Writes every error, and of other lines as many a second as their kind may have, with the number left out."""

    def __init__(self) -> None:
        self._requests = LineBudget(A_SECOND)
        self._refusals = LineBudget(REFUSALS_A_SECOND)

    def write(self, event: str, **facts: Any) -> None:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        sys.stderr.flush()

    def failed(self, error: BaseException, **facts: Any) -> None:
        """Write an error of the server with its traceback."""
        self.write("failed", **facts, error=repr(error), trace=traceback.format_exception(error))

    def request(self, request_id: str, route: str, status: int, seconds: float) -> None:
        """Write a request, unless this second has its lines already. A status of 500 or more is always written."""
        if status < 500 and not self._requests.allows():
            return
        milliseconds = round(seconds * 1000, 3)
        more = self._requests.count()
        self.write("request", request_id=request_id, route=route, status=status, ms=milliseconds, **more)

    def refused(self, reason: str, **facts: Any) -> None:
        """Write what was turned away before it was a request, unless this second has its lines already."""
        if self._refusals.allows():
            self.write("refused", reason=reason, **facts, **self._refusals.count())
