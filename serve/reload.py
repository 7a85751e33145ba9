"""A new champion while serving: seen by its pointer, proven beside the old one, then put in its place."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from pipeline.runtime import bundle_store
from pipeline.runtime.predictor import Predictor
from serve.telemetry.event_log import EventLog
from serve.telemetry.metrics import Metrics


async def watch_champion(
    place: Path,
    seconds: float,
    current: str,
    load: Callable[[Path], Predictor],
    take: Callable[[Predictor], None],
    metrics: Metrics,
    log: EventLog,
) -> None:
    """Look at the pointer again and again. A bundle that does not prove itself is refused, and the old one goes on.

    It is tried again only when the pointer has been written again. `load` and `take` work in a thread.
    """
    seen = None  # not the pointer as it is: it may have moved since `current` was loaded
    while True:
        await asyncio.sleep(seconds)
        if (now := modified_at(place / bundle_store.POINTER)) == seen:
            continue
        seen = now
        named = None
        try:
            named = bundle_store.pointer(place)
            if named is None or named == current:
                continue
            await asyncio.to_thread(lambda bundle: take(load(bundle)), place / named)
            current = named
            metrics.reloads.labels("taken").inc()
            log.write("champion taken on", version=named)
        except Exception as error:  # noqa: BLE001 -- reason: whatever it is, the old champion goes on
            metrics.reloads.labels("refused").inc()
            log.write("champion refused", version=named, serving=current, reason=f"{type(error).__name__}: {error}")


async def watch_file(file: Path, seconds: float, changed: Callable[[], None]) -> None:
    """Call `changed`, in a thread, whenever the file has been written."""
    seen = None  # not the file as it is: it may have been written since it was read
    while True:
        await asyncio.sleep(seconds)
        if (now := modified_at(file)) != seen:
            seen = now
            await asyncio.to_thread(changed)


def reload_rolling_features(predictor: Predictor, file: Path, metrics: Metrics, log: EventLog) -> None:
    """Have the predictor look up in a refreshed table, if there is one for it; if not it goes on with what it has."""
    if predictor.rolling is None or not file.is_file():
        return
    try:
        predictor.set_rolling_features(file.read_bytes())
        metrics.rolling_features_reloads.labels("taken").inc()
        log.write("rolling features taken on", as_of=predictor.rolling.day)
    except Exception as error:  # noqa: BLE001 -- reason: whatever it is, what was remembered goes on
        metrics.rolling_features_reloads.labels("refused").inc()
        log.write("rolling features refused", as_of=predictor.rolling.day, reason=f"{type(error).__name__}: {error}")


def modified_at(file: Path) -> tuple[int, int] | None:
    """What changes whenever a file is written; None where there is none."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns
