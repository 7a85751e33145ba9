"""The file that `python -m pipeline monitor` writes, read for /metrics. It knows nothing about HTTP."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.runtime import regular_file
from serve.telemetry.event_log import EventLog

MAX_BYTES = 2**20  # the monitor writes a line for each column and each metric
MAX_FIGURES = 10_000


class MonitorRun(NamedTuple):
    """The metrics of one run of the monitor, the version that it was about, and its time in seconds since 1970."""

    version: str
    figures: dict[str, float]
    time: float


NO_RUN = MonitorRun("", {}, 0.0)


class MonitorFile:
    """The latest run of the monitor, read again when its file has changed."""

    def __init__(self, path: Path, log: EventLog) -> None:
        self._path = path
        self._log = log
        self._read_at: object = None
        self._run = NO_RUN
        self._refusal = ""

    def figures(self, version: str) -> tuple[dict[str, float], float]:
        """The metrics of this version, and the time of the last run; 0 without a readable file.

        There are no metrics where the run was about another version. A file that is refused is logged once.
        """
        modified = regular_file.modified_at(self._path)
        if modified != self._read_at:
            self._read_at = modified
            self._run = self._read()
        return (self._run.figures if self._run.version == version else {}), self._run.time

    def _read(self) -> MonitorRun:
        try:
            run = parse_run(regular_file.read(self._path, MAX_BYTES))
            self._refusal = ""
            return run
        except FileNotFoundError:
            return NO_RUN
        except OSError as error:  # such as too many open files: it may be readable the next time
            self._read_at = None
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 -- reason: whatever is in the file, /metrics has the other metrics
            self._refuse(error)
        return NO_RUN

    def _refuse(self, error: Exception) -> None:
        """Log why the file is refused, unless that is the reason of the last refusal too."""
        reason = f"{type(error).__name__}: {error}"
        if reason != self._refusal:
            self._log.write("monitor result refused", file=str(self._path), reason=reason)
        self._refusal = reason


def parse_run(content: bytes) -> MonitorRun:
    """The run in the content of a monitor's file.

    Raises ValueError, KeyError, TypeError, AttributeError, OverflowError or RecursionError for any other content.
    """
    report: dict[str, Any] = json.loads(content)
    figures = {name: float(value) for name, value in report["figures"].items()}
    if len(figures) > MAX_FIGURES:
        raise ValueError(f"has {len(figures):,} figures, more than {MAX_FIGURES:,}")
    for name in figures:
        name.encode()  # a metric's name has to be UTF-8; raises ValueError for half of a surrogate pair
    return MonitorRun(str(report["version"]), figures, float(report["looked"]))
