"""Replays months of data through running servers, day by day.

Every day sends the labels that are known by then, refreshes the rolling features, and requests predictions for the rows
of the day. Every week runs the monitor, and trains a challenger if the monitor says so. A second server keeps the first
champion and gets the same requests and rolling features: the difference between the two is the value of the loop.

This module must not know how the result is shown.
"""

import json
import shutil
import tempfile
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
from pipeline.errors import ConfigError, DataError, RefusedError
from pipeline.evaluation.metrics import metrics
from pipeline.monitoring import monitor, refresh
from pipeline.registry import promotion
from pipeline.registry.run_folder import make_folders
from pipeline.replay.schedule import Schedule, played_span, replay_config
from pipeline.replay.server_process import ServerProcess, explaining_meanwhile
from pipeline.runtime import bundle_store, rolling_features
from pipeline.training import retrain

LABELS_PER_REQUEST = 5000
ALONE = ".playing"  # a folder whose lock the running replay holds
Array = NDArray[Any]


class Event(NamedTuple):
    """An event on one day: an alarm, a degraded week, a promotion or a refused model, with its reason."""

    day: str
    kind: str
    why: str


class PlayedRows(NamedTuple):
    """The rows of the replay in the order of their days, with the predictions of both servers.

    All fields have one element per row; predictions of several classes have one per row and class. `managed` is the
    server with the loop, `frozen` that with the first champion.
    """

    day: Array
    outcome: Array
    managed: NDArray[np.float64]
    frozen: NDArray[np.float64]


class ReplayResult(NamedTuple):
    """The result of a replay.

    `statuses` counts the requests to both servers by HTTP status. `meanwhile` counts the explanations that the managed
    server answered while a challenger was trained and promoted.
    """

    rows: PlayedRows
    events: list[Event]
    statuses: dict[int, int]
    meanwhile: int
    folder: Path


def run(config: Config, until: str | None, out: Console) -> ReplayResult:
    """Train the first champion on the days before the replay, start both servers, and play every day.

    Raises ConfigError if the config has no days to play or another replay of it is running, RefusedError if its first
    model is not allowed to be promoted, and PipelineError if a server does not answer.
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
        with console.step(out, f"Train on everything before {first}") as say:
            bundle = retrain.run(config, first, quiet).bundle
            if bundle is None:
                raise DataError("replay: nothing was packaged")
            say(bundle.name)

        managed = promotion.home(config)
        frozen = Path(shutil.copytree(bundle, folder / "frozen" / config.name / bundle.name)).parent
        bundle_store.point(frozen, bundle.name)

        url = f"sqlite:///{folder}/log.db"
        rolling_state = {"ROLLING_STATE_FILE": str(managed / rolling_features.FILE)}
        servers = [
            stack.enter_context(ServerProcess(store, folder / f"{name}.log", **rolling_state, **settings))
            for name, store, settings in (("managed", managed, {"LOG_URL": url}), ("frozen", frozen, {}))
        ]
        return play(config, days, servers, (first, end), Loop(config, url, quiet), out)


@contextmanager
def only_replay_in(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder. Raises ConfigError if another replay holds it; a killed replay does not."""
    (folder / ALONE).mkdir(exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(bundle_store.locked(folder / ALONE, wait=False))
        except BlockingIOError:
            raise ConfigError(f"{folder}: another replay is running there: wait until it ends, or stop it") from None
        yield


def clear(folder: Path) -> None:
    """Delete the files of an earlier replay, after it is certain that there are days to play."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != ALONE:
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()


class Loop:
    """The work besides predictions: rolling features, monitor and training, whose output goes to `quiet`."""

    def __init__(self, config: Config, url: str, quiet: Console) -> None:
        self.config = config
        self.url = url
        self.quiet = quiet
        self.models = promotion.home(config)

    def refresh(self, day: date, servers: list[ServerProcess]) -> None:
        """Write the rolling features for the day, and wait until all servers have loaded them."""
        if self.config.contract.rolling:
            refresh.run(self.models, self.url, day)
            for server in servers:
                server.wait("rolling features loaded", as_of=str(day))

    def look(self, day: date) -> monitor.MonitorResult:
        """Run the monitor for the windows before the day, and write its result beside the champion."""
        result = monitor.check_champion(self.models, self.url, self.config.monitor, day, self.config.monitor.out_of)
        monitor.write_result(self.models, result)
        return result

    def retrain(self, day: date, managed: ServerProcess, row: dict[str, Any]) -> tuple[Event, int]:
        """Train a challenger and, if it is better, wait until the managed server has loaded it as the new champion.

        The server gets requests for explanations during all this; the second result is how many it answered.
        """
        with explaining_meanwhile(managed.address, row) as answered:
            try:
                trained = retrain.run(self.config, day, self.quiet)
            except (RefusedError, ConfigError) as error:
                return Event(str(day), "refused", str(error)), len(answered)
            if trained.bundle is None or not trained.news:
                return Event(str(day), "refused", "the same model again"), len(answered)
            managed.wait("champion loaded", version=trained.bundle.name)

        gates = json.loads((trained.bundle / "record.json").read_bytes())["gates"]
        gate = next(gate for gate in gates if gate["gate"].endswith("against the champion"))
        return Event(str(day), "promoted", f"{trained.bundle.name}: {gate['gate']} {gate['value']}"), len(answered)


def play(
    config: Config, days: Schedule, servers: list[ServerProcess], span: tuple[date, date], loop: Loop, out: Console
) -> ReplayResult:
    """Play every day from the first of `span` to the one before the second; `servers` are managed and frozen."""
    shape = (len(days.day), len(config.classes)) if config.classes else (len(days.day),)
    managed = np.empty(shape)
    frozen = np.empty(shape)
    events: list[Event] = []
    meanwhile = 0
    row: dict[str, Any] = {}

    with console.step(out, "Play") as say:
        total = (span[1] - span[0]).days
        for number in range(total):
            day = span[0] + timedelta(days=number)
            now = np.datetime64(day)

            send_labels(servers[0], days.labels_known_on(now))
            is_check_day = number > 0 and number % config.monitor.window_days == 0
            result = loop.look(day) if is_check_day else None
            loop.refresh(day, servers)

            for part, rows in days.rows_of(now):
                batch = servers[0].predict(rows)
                managed[part] = batch.predictions
                frozen[part] = servers[1].predict(rows).predictions
                days.request += [(batch.id, place) for place in range(len(rows))]
                row = rows[0]

            if result and (result.code or is_degraded(result)):
                kind = result.verdict if result.code else "degraded"
                events.append(Event(str(day), kind, result.reason))
                print_event(events[-1], out)
            if result and result.code == monitor.RETRAIN:
                say(f"{day}, retraining")
                event, answered = loop.retrain(day, servers[0], row)
                meanwhile += answered
                events.append(event)
                print_event(event, out)

            how = recent_figures(config, days, now, managed, frozen)
            say(f"{number + 1} of {total} days, {len(days.request):,} rows; until {day}: {how}")

    rows_played = PlayedRows(days.day, days.outcome, managed, frozen)
    statuses = servers[0].answered + servers[1].answered
    return ReplayResult(rows_played, events, statuses, meanwhile, Path(config.paths.reports))


def send_labels(server: ServerProcess, labels: list[dict[str, Any]]) -> None:
    for start in range(0, len(labels), LABELS_PER_REQUEST):
        server.send_labels(labels[start : start + LABELS_PER_REQUEST])


def is_degraded(result: monitor.MonitorResult) -> bool:
    """Whether the last window is degraded, be it an alarm or not."""
    return bool(result.windows) and bool(result.windows[-1].degraded)


def recent_figures(config: Config, days: Schedule, now: np.datetime64, managed: Array, frozen: Array) -> str:
    """The main metric of the frozen and of the managed champion in the window that ends with a day, as text."""
    tomorrow = now + np.timedelta64(1, "D")
    week = slice(*np.searchsorted(days.day, [tomorrow - np.timedelta64(config.monitor.window_days, "D"), tomorrow]))
    outcome = days.outcome[week]
    if not len(outcome):
        return "no recent rows"

    figure = "skill" if config.task == "regression" else "roc_auc"
    both = [metrics(outcome, answer, config.scoring, [figure])[figure] for answer in (frozen[week], managed[week])]
    return f"{figure} of a week {' -> '.join(f'{value:.3f}' for value in both)}"


def print_event(event: Event, out: Console) -> None:
    out.print(f"{event.day}  {event.kind:<10}  {event.why}", soft_wrap=True, highlight=False, markup=False)
