"""A new champion or new rolling features while serving: a changed file is detected, loaded and put to use.

The present champion serves until the new one is verified. This module knows nothing about requests.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from pipeline.runtime import bundle_store, regular_file, rolling_features
from pipeline.runtime.predictor import Predictor
from pipeline.runtime.regular_file import modified_at
from serve.attempts import Attempts
from serve.telemetry.event_log import EventLog
from serve.telemetry.metrics import Metrics


async def watch_champion(
    place: Path,
    seconds: float,
    current: str,
    load: Callable[[Path], Predictor],
    activate: Callable[[Predictor], None],
    metrics: Metrics,
    log: EventLog,
) -> None:
    """Every `seconds`, activate the store's champion where it is not the `current` version. Never returns.

    A bundle that fails its verification is refused, and the present champion goes on. The refused one is tried again,
    with a growing pause and at once when the pointer has been written again; it is counted and logged only the first
    time. `load` and `activate` run in a thread.
    """
    attempts = Attempts(seconds)  # without the pointer's present time: it may have moved since `current` was loaded
    while True:
        await asyncio.sleep(seconds)
        if not attempts.is_due(modified_at(place / bundle_store.POINTER)):
            continue

        version = None
        try:
            version = bundle_store.pointer(place)
            if version is not None and version != current:
                await asyncio.to_thread(lambda folder: activate(load(folder)), place / version)
                current = version
                metrics.reloads.labels("taken").inc()
                log.write("champion loaded", version=version, failed_attempts=attempts.failures)
            attempts.succeeded()
        except Exception as error:  # noqa: BLE001 -- reason: whatever the error, the present champion goes on
            if not attempts.failures:
                metrics.reloads.labels("refused").inc()
                reason = f"{type(error).__name__}: {error}"
                log.write("champion refused", version=version, serving=current, reason=reason)
            attempts.failed()


async def watch_file(file: Path, seconds: float, read: Callable[[], bool]) -> None:
    """Every `seconds`, call `read` in a thread if the file has been written. Never returns.

    Where `read` returns False the file was refused, and it is called again with a growing pause.
    """
    attempts = Attempts(seconds)  # without the file's present time: it may have been written since it was read
    while True:
        await asyncio.sleep(seconds)
        if not attempts.is_due(modified_at(file)):
            continue
        if await asyncio.to_thread(read):
            attempts.succeeded()
        else:
            attempts.failed()


class RollingFile:
    """The file of refreshed rolling features, which a predictor takes on instead of its own."""

    def __init__(self, path: Path | None, metrics: Metrics, log: EventLog) -> None:
        """`path` is None where the server has no such file."""
        self._path = path
        self._metrics = metrics
        self._log = log
        self._refusal: object = None  # the version, the file's time and the reason of the last refusal

    def load_into(self, predictor: Predictor) -> bool:
        """Give the predictor the rolling features of the file. Returns whether it was not refused.

        Nothing changes where the model has no rolling features, or where there is no file. Where the file is refused,
        the predictor keeps its present features. The same refusal is counted and logged once.
        """
        if predictor.rolling is None or self._path is None:
            return True

        modified = modified_at(self._path)
        try:
            predictor.set_rolling_features(regular_file.read(self._path, rolling_features.MAX_BYTES))
        except FileNotFoundError:
            return True
        except Exception as error:  # noqa: BLE001 -- reason: whatever the error, the present rolling features go on
            reason = f"{type(error).__name__}: {error}"
            self._refuse(predictor, modified, reason)
            return False

        self._metrics.rolling_features_reloads.labels("taken").inc()
        self._log.write("rolling features loaded", as_of=predictor.rolling.day)
        self._refusal = None
        return True

    def _refuse(self, predictor: Predictor, modified: object, reason: str) -> None:
        refusal = (predictor.version, modified, reason)
        if refusal == self._refusal:
            return
        self._refusal = refusal
        self._metrics.rolling_features_reloads.labels("refused").inc()
        day = predictor.rolling.day if predictor.rolling else None
        self._log.write("rolling features refused", as_of=day, reason=reason)
