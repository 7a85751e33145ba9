"""How often the monitor raises a false alarm, and how long a replay takes."""

import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
YEARS = 150  # simulated series of weeks, with days drawn anew
WEEKS = 8  # weeks of each series


def false_alarms(_: Path) -> str:
    """The share of alarms among the checks of the monitor, where the data have not changed.

    The weeks are made of days of January to March, which evaluated models that were not trained on them.
    """
    from pipeline.config.candidates import Search
    from pipeline.config.config import load
    from pipeline.data.read import read
    from pipeline.data.split import Fold, split
    from pipeline.evaluation.bootstrap import Bootstrap, with_intervals
    from pipeline.evaluation.metrics import MONITORED
    from pipeline.monitoring import performance
    from pipeline.training import retrain
    from pipeline.training.search import evaluate_candidates

    config, _split = retrain.plan(load(ROOT / "configs/flights.yaml"), date(2013, 4, 1))
    config = config.model_copy(update={"candidates": config.replay.candidates, "search": Search()})
    with tempfile.TemporaryDirectory() as reports:
        rows = read(config, Path(reports))
    parts = split(rows.key, config.split)
    folds = [*parts.folds, Fold("holdout", parts.search, parts.holdout)]
    tried = list(config.candidates.named().items())[:1]
    best = evaluate_candidates(config, rows.examples.data, rows.examples.target, folds, tried, lambda _: None)[0]

    at = np.concatenate([fold.valid for fold in folds])
    outcome = rows.examples.target[at]
    prediction = np.concatenate([best.predictions[fold.name] for fold in folds])
    day = rows.key[at].astype("datetime64[D]").astype(np.int64)
    bootstrap = Bootstrap(config.scoring, 500, 0)
    expected = with_intervals(outcome, prediction, day, bootstrap, MONITORED[config.task])

    days = np.unique(day)
    plan = Bootstrap(config.scoring, 200, 0)
    rows_of = {number: np.flatnonzero(day == number) for number in days}
    shares = []
    for length in (1, 3, 7):
        rng = np.random.default_rng(1)
        alarm_count = 0
        checks = 0
        for _ in range(YEARS):
            starts = rng.integers(0, len(days) - length + 1, WEEKS * 7 // length + 1)
            drawn = np.concatenate([days[start : start + length] for start in starts])[: WEEKS * 7]
            sample = np.concatenate([rows_of[number] for number in drawn])
            sizes = [len(rows_of[number]) for number in drawn]
            when = np.repeat(np.datetime64(0, "D") + np.arange(len(drawn)), sizes)
            end = np.datetime64(0, "D") + len(drawn)
            windows = performance.weekly_windows(
                when, outcome[sample], prediction[sample], end, WEEKS, expected, config.monitor, plan
            )
            for last in range(2, len(windows) + 1):
                alarm_count += performance.alarm_fires(windows[:last], config.monitor)
                checks += 1
        shares.append(f"{alarm_count / checks:.1%} of {checks:,} looks on days drawn by {length}")
    return "; ".join(shares)


def replayed(work: Path) -> str:
    """The wall time of `make replay` in seconds, with the environment ready."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "pipeline", "replay", "--set", f"paths.reports={work}/replayed"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ})
    return f"{time.perf_counter() - began:.0f} s"
