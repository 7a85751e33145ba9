"""A new champion or new rolling features while serving: a changed file is detected, loaded and put to use.

The present champion serves until the new one is verified. This module knows nothing about requests.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from pipeline.runtime import bundle_store, regular_file, rolling_features
from pipeline.runtime.predictor import Predictor
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

    A bundle that fails its verification is refused, and the present champion goes on. It is tried again only when the
    pointer has been written again. `load` and `activate` run in a thread.
    """
    handled = None  # not the pointer's present time: the pointer may have moved since `current` was loaded
    while True:
        await asyncio.sleep(seconds)
        modified = modified_at(place / bundle_store.POINTER)
        if modified == handled:
            continue

        handled = modified
        version = None
        try:
            version = bundle_store.pointer(place)
            if version is None or version == current:
                continue
            await asyncio.to_thread(lambda folder: activate(load(folder)), place / version)
            current = version
            metrics.reloads.labels("taken").inc()
            log.write("champion loaded", version=version)
        except Exception as error:  # noqa: BLE001 -- reason: whatever the error, the present champion goes on
            metrics.reloads.labels("refused").inc()
            log.write("champion refused", version=version, serving=current, reason=f"{type(error).__name__}: {error}")


async def watch_file(file: Path, seconds: float, changed: Callable[[], None]) -> None:
    """Every `seconds`, call `changed` in a thread if the file has been written. Never returns."""
    handled = None  # not the file's present time: the file may have been written since it was read
    while True:
        await asyncio.sleep(seconds)
        modified = modified_at(file)
        if modified != handled:
            handled = modified
            await asyncio.to_thread(changed)


def reload_rolling_features(predictor: Predictor, file: Path, metrics: Metrics, log: EventLog) -> None:
    """Give the predictor the rolling features of this file.

    Nothing changes where the model has no rolling features, or where the file does not exist. Where the file is
    refused, the predictor keeps its present features.
    """
    if predictor.rolling is None:
        return

    try:
        predictor.set_rolling_features(regular_file.read(file, rolling_features.MAX_BYTES))
        metrics.rolling_features_reloads.labels("taken").inc()
        log.write("rolling features loaded", as_of=predictor.rolling.day)
    except FileNotFoundError:
        return
    except Exception as error:  # noqa: BLE001 -- reason: whatever the error, the present rolling features go on
        metrics.rolling_features_reloads.labels("refused").inc()
        log.write("rolling features refused", as_of=predictor.rolling.day, reason=f"{type(error).__name__}: {error}")


def modified_at(file: Path) -> tuple[int, int] | None:
    """The file's inode and its modification time in nanoseconds; None where there is no file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
