"""When a file is read: after it has changed, and again with a growing pause where the last attempt failed."""

import time

LONGEST = 60.0  # seconds between two attempts at the same file


class Attempts:
    """The attempts at one file. An attempt may fail for a reason that passes: the files that it names are still being
    copied, or the process has too many files open.
    """

    def __init__(self, pause: float) -> None:
        """`pause` is the time in seconds until the second attempt; it doubles with each attempt, up to LONGEST."""
        self.failures = 0
        self._first_pause = pause
        self._retry_at: float | None = None  # in seconds of `time.monotonic`
        self._modified: object = None

    def is_due(self, modified: object) -> bool:
        """Whether the file is to be read now. `modified` differs from call to call if the file has changed."""
        if modified != self._modified:
            self._modified = modified
            self.failures = 0
            self._retry_at = None
            return True
        return self._retry_at is not None and time.monotonic() >= self._retry_at

    @property
    def pause(self) -> float:
        """The time in seconds to the next attempt, should the present one fail."""
        return min(LONGEST, self._first_pause * 2.0 ** min(self.failures, 100))

    def failed(self) -> None:
        """The attempt has failed: the next one is due after the pause, or as soon as the file changes."""
        self._retry_at = time.monotonic() + self.pause
        self.failures += 1

    def succeeded(self) -> None:
        self.failures = 0
        self._retry_at = None
