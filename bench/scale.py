"""`make bench SUITE=scale`: scorings and trainings by rows and workers, and a Dask cluster beside the own cores.

It writes the tables and the picture of docs/scale.md. It takes about half an hour and needs a quiet machine.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from matplotlib.axes import Axes

from pipeline import plotting
from pipeline.config.config import load
from pipeline.data.read import read
from pipeline.plotting import ACCENT, QUIET

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/scale.md"
CONFIG = "configs/flights.yaml"
TIMES = (1, 10, 100)  # the flights, for a scoring
SHARES = (0.1, 0.3, 1.0)  # of the days, for a training
SEARCHES = (1, 3, 10)  # times the trials of each kind
SEARCHED = 0.3  # share of the days of these
WORKERS = (1, 2)
ADDRESS = "tcp://127.0.0.1:8797"
LENIENT = ["gates.holdout={}", "gates.slices={}", "gates.min_gain=0"]  # few days are too few for the limits of the year
Seconds = dict[tuple[float, int], float]
Overheads = dict[int, tuple[float, float]]


def main() -> None:
    """Measure, and write what came out."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows, scored = scorings(folder)
        trained = trainings(folder)
        searches = on_two_sides(folder)

    plotting.save(
        ROOT / "docs/scale.png",
        [
            lambda axes: draw(axes, scored, "Scoring", "rows", {times: times * rows for times in TIMES}),
            lambda axes: draw(axes, trained, "Training", "share of the days", None),
        ],
    )
    write("curves", [*table(scored, "times the flights"), "", *table(trained, "share of the days")])
    write("searches", search_table(searches))


def scorings(folder: Path) -> tuple[int, Seconds]:
    """Score the flights, once and several times over, from Parquet to Parquet. Return how many they are, too."""
    columns = read(load(ROOT / CONFIG, [f"paths.reports={folder}"]), folder).examples.request
    flights = pd.DataFrame(columns).replace("", None)
    once = folder / "once.parquet"
    flights.to_parquet(once, index=False, row_group_size=100_000)
    table_of_once = pq.read_table(once)

    seconds = {}
    for times in TIMES:
        path = folder / f"{times}.parquet"
        with pq.ParquetWriter(path, table_of_once.schema) as writer:
            for _ in range(times):
                writer.write_table(table_of_once, row_group_size=100_000)
        for workers in WORKERS:
            out = folder / "scored.parquet"
            words = ["score", CONFIG, "--in", str(path), "--out", str(out), "--set", f"train.workers={workers}"]
            seconds[times, workers] = timed(words)
            out.unlink()
        path.unlink()
    return len(flights), seconds


def trainings(folder: Path) -> Seconds:
    """Train on a share of the days, with one worker and with more."""
    seconds = {}
    for share in SHARES:
        for workers in WORKERS:
            settings = [f"data.sample={share}", f"train.workers={workers}", *LENIENT]
            seconds[share, workers] = timed(train(folder / f"{share}-{workers}", settings))
    return seconds


def on_two_sides(folder: Path) -> Overheads:
    """Train with searches of several sizes on the own cores, and on a cluster of two workers, in turns."""
    planned = load(ROOT / CONFIG).search.kinds
    seconds = {}
    with cluster(folder):
        for times in SEARCHES:
            settings = [f"data.sample={SEARCHED}", *LENIENT]
            settings += [f"search.kinds.{kind}.trials={times * plan.trials}" for kind, plan in planned.items() if plan]
            here = timed(train(folder / f"here-{times}", [*settings, "train.workers=2"]))
            there = [*settings, "train.backend=dask", f"train.scheduler={ADDRESS}"]
            seconds[times] = (here, timed(train(folder / f"there-{times}", there)))
    return seconds


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """A scheduler, and two workers of one thread each."""
    scheduler = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", ADDRESS.rpartition(":")[2]]
    worker = ["distributed.cli.dask_worker", ADDRESS, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]
    started = []
    try:
        for words in (scheduler, worker, worker):
            command = [sys.executable, "-m", *words, "--no-dashboard"]
            started.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL))
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def train(folder: Path, settings: Sequence[str]) -> list[str]:
    """The words of a training that leaves everything in a folder of its own."""
    own = [f"paths.models={folder}/models", f"paths.reports={folder}", f"paths.tracking=sqlite:///{folder}/mlflow.db"]
    folder.mkdir()
    return ["train", CONFIG, *(word for setting in [*settings, *own] for word in ("--set", setting))]


def timed(words: list[str]) -> float:
    """Run a command of the pipeline as a process, and return the seconds that it took."""
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    print(f"{seconds:7.1f} s  {' '.join(words)}", flush=True)
    if ended.returncode:
        sys.exit(ended.stderr)
    return seconds


def draw(axes: Axes, seconds: Seconds, title: str, label: str, sizes: dict[float, float] | None) -> None:
    """Draw the seconds by size, a line for each number of workers, on logarithmic axes."""
    for workers, color in zip(WORKERS, (QUIET, ACCENT), strict=True):
        by_size = {size: value for (size, number), value in seconds.items() if number == workers}
        places = [sizes[size] if sizes else size for size in by_size]
        plural = "worker" if workers == 1 else "workers"
        axes.loglog(places, list(by_size.values()), marker="o", color=color, label=f"{workers} {plural}")
    axes.set(title=title, xlabel=label, ylabel="seconds, whole process")
    axes.legend(frameon=False, fontsize=8)


def table(seconds: Seconds, first: str) -> list[str]:
    head = [f"| {first} | 1 worker | 2 workers | |", "|---|---|---|---|"]
    lines = []
    for size in dict.fromkeys(size for size, _ in seconds):
        one = seconds[size, 1]
        two = seconds[size, 2]
        lines.append(f"| {size:g} | {one:.1f} s | {two:.1f} s | {one / two:.2f} times as fast |")
    return head + lines


def search_table(searches: Overheads) -> list[str]:
    head = ["| trials | own cores | cluster | cluster ÷ own cores |", "|---|---|---|---|"]
    return head + [
        f"| {times} times | {here:.0f} s | {there:.0f} s | {there / here:.2f} |"
        for times, (here, there) in searches.items()
    ]


def write(mark: str, lines: list[str]) -> None:
    """Put lines between the marks of the page."""
    begin = f"<!-- {mark} -->\n"
    end = f"\n<!-- /{mark} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    PAGE.write_text(before + begin + "\n".join(lines) + end + after, encoding="utf-8")


if __name__ == "__main__":
    main()
