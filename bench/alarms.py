"""How often the monitor rings where nothing has changed; and what a replay takes."""

import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
YEARS, WEEKS = 150, 8  # of looks, on days that are dealt out anew


def alarms(_: Path) -> str:
    """Alarms by looks, on weeks made of days of January to March that judged models which had not learnt from them."""
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
    outcome, answer = rows.examples.target[at], np.concatenate([best.predictions[fold.name] for fold in folds])
    day = rows.key[at].astype("datetime64[D]").astype(np.int64)
    known = Bootstrap(config.scoring, 500, 0)
    expected = with_intervals(outcome, answer, day, known, MONITORED[config.task])
    days, plan = np.unique(day), Bootstrap(config.scoring, 200, 0)
    of = {each: np.flatnonzero(day == each) for each in days}
    told = []
    for length in (1, 3, 7):
        rng, rang, looks = np.random.default_rng(1), 0, 0
        for _ in range(YEARS):
            starts = rng.integers(0, len(days) - length + 1, WEEKS * 7 // length + 1)
            drawn = np.concatenate([days[start : start + length] for start in starts])[: WEEKS * 7]
            some = np.concatenate([of[each] for each in drawn])
            when = np.repeat(np.datetime64(0, "D") + np.arange(len(drawn)), [len(of[each]) for each in drawn])
            end = np.datetime64(0, "D") + len(drawn)
            found = performance.weekly_windows(when, outcome[some], answer[some], end, WEEKS, expected, config.monitor, plan)
            for last in range(2, len(found) + 1):
                rang, looks = rang + performance.alarm_fires(found[:last], config.monitor), looks + 1
        told.append(f"{rang / looks:.1%} of {looks:,} looks on days drawn by {length}")
    return "; ".join(told)


def replayed(work: Path) -> str:
    """The wall time of `make replay`, with the environment ready."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "pipeline", "replay", "--set", f"paths.reports={work}/replayed"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ})
    return f"{time.perf_counter() - began:.0f} s"
