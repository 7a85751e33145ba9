"""Months of data through a running server, day by day: labels of yesterday, a fresh memory, today's questions, a look
at how it goes each week, and a new champion where that says so. Beside it the first champion, frozen, is asked the same
with the same memory, so that what differs is what the loop is worth.
"""

import http.client
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline import console
from pipeline.config.config import Config
from pipeline.data.read import read_and_clean
from pipeline.errors import ConfigError, DataError, PipelineError, RefusedError
from pipeline.evaluation.metrics import metrics
from pipeline.monitoring import monitor, refresh
from pipeline.registry import promotion
from pipeline.registry.run_folder import make_folders
from pipeline.replay.schedule import Schedule, played_span, replay_config
from pipeline.replay.server_process import ServerProcess
from pipeline.runtime import bundle_store, rolling_features
from pipeline.training import retrain

LABELS = 5000  # of one request
ALONE = ".playing"  # a folder with the lock of the replay that is at work
Array = NDArray[Any]


class Event(NamedTuple):
    """Something that happened on a day, and why."""

    day: str
    kind: str
    why: str


class PlayedRows(NamedTuple):
    """The rows that were played, in the order of their days, with what both servers answered."""

    day: Array
    outcome: Array
    managed: NDArray[np.float64]
    frozen: NDArray[np.float64]


class ReplayResult(NamedTuple):
    """The whole replay: rows and answers, what happened, requests by status, and those during a swap."""

    rows: PlayedRows
    events: list[Event]
    statuses: dict[int, int]
    meanwhile: int
    folder: Path


def run(config: Config, until: str | None, out: Console) -> ReplayResult:
    """Play it. Raises ConfigError where the config has no days to play or another replay of it is at work, RefusedError
    where its first model may not go out, and PipelineError where a server does not answer.
    """
    config = replay_config(config)
    folder = Path(config.paths.reports)
    make_folders(reports=folder)
    with only_replay_in(folder), ExitStack() as stack:
        with console.step(out, "Read and clean the data") as say, tempfile.TemporaryDirectory() as aside:
            columns = read_and_clean(config, Path(aside)).columns
            first, end = played_span(config, columns, until)
            days = Schedule(columns, config, first, end)
            say(f"{len(days.day):,} rows to play, {first} to {end - timedelta(days=1)}")
        clear(folder)
        quiet = Console(file=stack.enter_context((folder / "training.log").open("w", encoding="utf-8")), width=160)
        with console.step(out, f"Learn from everything before {first}") as say:
            made = retrain.run(config, first, quiet).bundle
            if made is None:
                raise DataError("replay: nothing was packaged")
            say(made.name)
        frozen = Path(shutil.copytree(made, folder / "frozen" / config.name / made.name)).parent
        bundle_store.point(frozen, made.name)
        models, url = promotion.home(config), f"sqlite:///{folder}/log.db"
        remembers = {"ROLLING_STATE_FILE": str(models / rolling_features.FILE)}
        both = [
            stack.enter_context(ServerProcess(place, folder / f"{name}.log", **remembers, **more))
            for name, place, more in (("managed", models, {"LOG_URL": url}), ("frozen", frozen, {}))
        ]
        return play(config, days, both, (first, end), Loop(config, url, quiet), out)


@contextmanager
def only_replay_in(folder: Path) -> Iterator[None]:
    """Raises ConfigError where another replay is at work in the folder; a killed one is not."""
    (folder / ALONE).mkdir(exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(bundle_store.locked(folder / ALONE, wait=False))
        except BlockingIOError:
            raise ConfigError(f"{folder}: another replay is at work there: wait for its end, or end it") from None
        yield


def clear(folder: Path) -> None:
    """Make room for a replay, once it is sure that there is something to play."""
    for each in folder.iterdir():
        if each.is_dir() and each.name != ALONE:
            shutil.rmtree(each)
        elif each.is_file():
            each.unlink()


class Loop:
    """What is done beside answering: memory, monitor, training."""

    def __init__(self, config: Config, url: str, quiet: Console) -> None:
        self.config, self.url, self.quiet = config, url, quiet
        self.models = promotion.home(config)

    def refresh(self, day: date, both: list[ServerProcess]) -> None:
        if self.config.contract.rolling:
            refresh.run(self.models, self.url, day)
            for server in both:
                server.wait("rolling features taken on", as_of=str(day))

    def look(self, day: date) -> monitor.MonitorResult:
        found = monitor.check_champion(self.models, self.url, self.config.monitor, day, self.config.monitor.out_of)
        monitor.write_result(self.models, found)
        return found

    def retrain(self, day: date, managed: ServerProcess, row: dict[str, Any]) -> tuple[Event, int]:
        """A new champion, if it is better, taken on while questions go on; and how many were answered meanwhile."""
        with explaining_meanwhile(managed.address, row) as answered:
            try:
                made = retrain.run(self.config, day, self.quiet)
            except (RefusedError, ConfigError) as error:
                return Event(str(day), "refused", str(error)), len(answered)
            if made.bundle is None or not made.news:
                return Event(str(day), "refused", "the same model again"), len(answered)
            managed.wait("champion taken on", version=made.bundle.name)
        gate = next(each for each in record(made.bundle)["gates"] if each["gate"].endswith("against the champion"))
        return Event(str(day), "promoted", f"{made.bundle.name}: {gate['gate']} {gate['value']}"), len(answered)


def play(
    config: Config, days: Schedule, both: list[ServerProcess], span: tuple[date, date], loop: Loop, out: Console
) -> ReplayResult:
    managed, frozen = np.empty(len(days.day)), np.empty(len(days.day))
    events: list[Event] = []
    meanwhile, row = 0, {}
    with console.step(out, "Play") as say:
        total = (span[1] - span[0]).days
        for number in range(total):
            day = span[0] + timedelta(days=number)
            now = np.datetime64(day)
            labels = days.labels_known_on(now)
            for start in range(0, len(labels), LABELS):
                both[0].send_labels(labels[start : start + LABELS])
            found = loop.look(day) if number and number % config.monitor.days == 0 else None
            loop.refresh(day, both)
            for part, rows in days.rows_of(now):
                answered = both[0].predict(rows)
                managed[part], frozen[part] = answered.predictions, both[1].predict(rows).predictions
                days.request += [(answered.id, place) for place in range(len(rows))]
                row = rows[0]
            if found and (found.code or (found.windows[-1:] and found.windows[-1].degraded)):
                events.append(Event(str(day), found.verdict if found.code else "wrong once", found.reason))
                print_event(events[-1], out)
            if found and found.code == monitor.RETRAIN:
                say(f"{day}, training again")
                event, more = loop.retrain(day, both[0], row)
                meanwhile += more
                events.append(event)
                print_event(event, out)
            tomorrow = now + np.timedelta64(1, "D")
            week = slice(*np.searchsorted(days.day, [tomorrow - np.timedelta64(config.monitor.days, "D"), tomorrow]))
            how = recent_figures(config, days.outcome[week], managed[week], frozen[week])
            say(f"{number + 1} of {total} days, {len(days.request):,} rows; until {day}: {how}")
    statuses: dict[int, int] = {}
    for server in both:
        for status, count in server.answered.items():
            statuses[status] = statuses.get(status, 0) + count
    asked = PlayedRows(days.day, days.outcome, managed, frozen)
    return ReplayResult(asked, events, statuses, meanwhile, Path(config.paths.reports))


def recent_figures(config: Config, outcome: Array, managed: Array, frozen: Array) -> str:
    """How the frozen and the managed champion did of late, for whoever watches."""
    if not len(outcome):
        return "no rows of late"
    figure = "roc_auc" if config.task == "binary" else "skill"
    label = outcome == 1 if config.task == "binary" else outcome
    known = (metrics(label, answer, config.scoring, [figure])[figure] for answer in (frozen, managed))
    return f"{figure} of a week {' -> '.join(f'{value:.3f}' for value in known)}"


def print_event(event: Event, out: Console) -> None:
    out.print(f"{event.day}  {event.kind:<10}  {event.why}", soft_wrap=True, highlight=False, markup=False)


@contextmanager
def explaining_meanwhile(address: str, row: dict[str, Any]) -> Iterator[list[int]]:
    """Ask for explanations, which no log counts, one after the other until the body ends; the statuses of the answers.

    Raises PipelineError at the end where one was not answered.
    """
    ended, statuses, faults = threading.Event(), list[int](), list[str]()

    def ask() -> None:
        connection = http.client.HTTPConnection(address, timeout=30)
        while not ended.wait(0.1):
            try:
                connection.request("POST", "/explain", json.dumps(row), {"content-type": "application/json"})
                reply = connection.getresponse()
                reply.read()
                statuses.append(reply.status)
            except (OSError, http.client.HTTPException) as error:
                faults.append(repr(error))
                return
        connection.close()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        thread.join(30)
    if faults or set(statuses) - {200}:
        raise PipelineError(f"{address}: not every question was answered during a swap: {faults or set(statuses)}")


def record(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "record.json").read_bytes())
    return read
