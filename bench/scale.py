"""`make bench SUITE=scale`: scorings and trainings by rows and workers, and a Dask cluster beside the own cores.

It writes the tables and the pictures of docs/scale.md. It takes about half an hour, and needs a quiet machine
and the champion of `make train`. `python bench/scale.py searches` measures one part alone.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import left_out
import pandas as pd
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator
from training import timed

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
SEARCHED = 0.1  # share of the days of these
WORKERS = (1, 2)
ADDRESS = "tcp://127.0.0.1:8797"
# Few days are too few for the limits of the year.
LENIENT = ["gates.holdout={}", "gates.slices={}", "gates.min_gain=0", "gates.max_missing_increase=1"]
ONE_CORE = ["taskset", "--cpu-list", "0"]


class Cost(NamedTuple):
    """Of one process and its children: wall time in seconds, peak memory in MiB."""

    seconds: float
    memory: float


Costs = dict[tuple[float, int], Cost]  # by size and number of workers


def main(parts: Sequence[str]) -> None:
    """Measure all parts or the named ones, and write what came out of each."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in parts or PARTS:
            PARTS[name](folder)


def measure_scorings(folder: Path) -> None:
    rows = flights(folder / "once.parquet")
    costs = scorings(folder)
    peer, difference = with_mlflow(folder)
    write("scorings", [*table(costs, "times the flights"), mlflow_line(peer, costs[1, 1], difference)])
    sizes = {times: times * rows for times in TIMES}
    plotting.save(ROOT / "docs/scale-scoring.png", [lambda axes: draw(axes, costs, "Scoring", "rows", sizes)])


def measure_trainings(folder: Path) -> None:
    costs = trainings(folder)
    write("trainings", table(costs, "share of the days"))
    sizes = {share: share for share in SHARES}
    picture = ROOT / "docs/scale-training.png"
    plotting.save(picture, [lambda axes: draw(axes, costs, "Training", "share of the days", sizes)])


def measure_searches(folder: Path) -> None:
    write("searches", search_table(on_two_sides(folder)))


def measure_left_out(folder: Path) -> None:
    write("left out", left_out.measure(folder))


PARTS = {
    "scorings": measure_scorings,
    "trainings": measure_trainings,
    "searches": measure_searches,
    "left_out": measure_left_out,
}


def flights(path: Path) -> int:
    """Write the flights as a Parquet file with the types of MLflow's schema. Return their number."""
    config = load(ROOT / CONFIG, [f"paths.reports={path.parent}"])
    frame = pd.DataFrame(read(config, path.parent).examples.request).replace("", None)
    for name, column in config.request.items():
        if column.kind == "datetime":
            frame[name] = frame[name].dt.strftime("%Y-%m-%dT%H:%M:%S")
        if column.kind == "integer" and not column.nullable:
            frame[name] = frame[name].astype("int64")
    frame.to_parquet(path, index=False, row_group_size=100_000)
    return len(frame)


def scorings(folder: Path) -> Costs:
    """Score the flights, once and several times over, from Parquet to Parquet. One worker has one core."""
    once = pq.read_table(folder / "once.parquet")
    source = folder / "in.parquet"

    costs = {}
    for times in TIMES:
        with pq.ParquetWriter(source, once.schema) as writer:
            for _ in range(times):
                writer.write_table(once, row_group_size=100_000)
        for workers in WORKERS:
            out = folder / f"out-{times}.parquet"
            out.unlink(missing_ok=True)
            words = ["score", CONFIG, "--in", str(source), "--out", str(out), "--set", f"train.workers={workers}"]
            costs[times, workers] = pipeline(words, ONE_CORE if workers == 1 else ())
    return costs


def with_mlflow(folder: Path) -> tuple[Cost, float]:
    """Score the flights once by MLflow's pyfunc on one core. Return the largest difference of a probability, too."""
    source = folder / "once.parquet"
    out = folder / "mlflow.parquet"
    command = [sys.executable, str(ROOT / "bench/score_with_mlflow.py"), "flights", str(source), str(out)]
    cost = measured([*ONE_CORE, *command], MLFLOW_TRACKING_URI=load(ROOT / CONFIG).paths.tracking)
    ours, theirs = (pd.read_parquet(path)["probability"] for path in (folder / "out-1.parquet", out))
    return cost, float((ours - theirs).abs().max())


def trainings(folder: Path) -> Costs:
    """Train on a share of the days, with one worker and with more."""
    costs = {}
    for share in SHARES:
        for workers in WORKERS:
            settings = [f"data.sample={share}", f"train.workers={workers}", *LENIENT]
            costs[share, workers] = pipeline(train(folder / f"{share}-{workers}", settings))
    return costs


def on_two_sides(folder: Path) -> dict[int, tuple[Cost, Cost]]:
    """Train with searches of several sizes on the own cores, and on a cluster of two workers, in turns."""
    planned = load(ROOT / CONFIG).search.kinds
    costs = {}
    with cluster(folder):
        for times in SEARCHES:
            settings = [f"data.sample={SEARCHED}", *LENIENT]
            settings += [f"search.kinds.{kind}.trials={times * plan.trials}" for kind, plan in planned.items() if plan]
            here = pipeline(train(folder / f"here-{times}", [*settings, "train.workers=2"]))
            there = [*settings, "train.backend=dask", f"train.scheduler={ADDRESS}"]
            costs[times] = (here, pipeline(train(folder / f"there-{times}", there)))
    return costs


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


def pipeline(words: Sequence[str], before: Sequence[str] = ()) -> Cost:
    """What a command of the pipeline takes as a process, with some words before it."""
    return measured([*before, sys.executable, "-m", "pipeline", *words])


def measured(command: list[str], **environment: str) -> Cost:
    cost = Cost(*timed(command, ROOT, **environment))
    print(f"{cost.seconds:7.1f} s {cost.memory:6.0f} MiB  {' '.join(command)}", flush=True)
    return cost


def draw(axes: Axes, costs: Costs, title: str, label: str, sizes: dict[float, float]) -> None:
    """Draw the seconds by size, a line for each number of workers, on logarithmic axes."""
    for workers, color in zip(WORKERS, (QUIET, ACCENT), strict=True):
        seconds = [costs[size, workers].seconds for size in sizes]
        plural = "worker" if workers == 1 else "workers"
        axes.loglog(list(sizes.values()), seconds, marker="o", color=color, label=f"{workers} {plural}")
    axes.set_xticks(list(sizes.values()), [f"{size:,.12g}" for size in sizes.values()])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(title=f"{title}, on logarithmic axes", xlabel=label, ylabel="seconds, whole process")
    axes.legend(frameon=False, fontsize=8)


def table(costs: Costs, first: str) -> list[str]:
    lines = [f"| {first} | 1 worker | 2 workers | |", "|---|---|---|---|"]
    for size in dict.fromkeys(size for size, _ in costs):
        one = costs[size, 1]
        two = costs[size, 2]
        lines.append(f"| {size:g} | {stated(one)} | {stated(two)} | {one.seconds / two.seconds:.2f} times as fast |")
    return lines


def mlflow_line(peer: Cost, ours: Cost, difference: float) -> str:
    facts = f"{peer.seconds / ours.seconds:.1f} times as long; largest difference of a probability {difference:.1g}"
    return f"| 1, by MLflow's pyfunc of the same bundle | {stated(peer)} | | {facts} |"


def stated(cost: Cost) -> str:
    return f"{cost.seconds:.1f} s, {cost.memory:,.0f} MiB"


def search_table(searches: dict[int, tuple[Cost, Cost]]) -> list[str]:
    lines = ["| trials | own cores | cluster | cluster ÷ own cores |", "|---|---|---|---|"]
    for times, (here, there) in searches.items():
        ratio = there.seconds / here.seconds
        lines.append(f"| {times} times | {here.seconds:.0f} s | {there.seconds:.0f} s | {ratio:.2f} |")
    return lines


def write(mark: str, lines: list[str]) -> None:
    """Put lines between the marks of the page."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition(f"<!-- /{mark} -->\n")
    if not end:
        sys.exit(f"{PAGE}: has no block {mark}")
    PAGE.write_text(before + begin + "\n".join(lines) + "\n" + end + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
