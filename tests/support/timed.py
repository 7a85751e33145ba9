"""Sixty days of the tiny problem, with a turn in them, for what watches and replays."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.config.config import Config, load
from tests.support.toy import TINY, in_folder

TIMED = (
    TINY.replace("  hour: {kind: integer, known: before, meaning: Hour, derived_from: [when]}\n", "")
    .replace("features: [colour, shape, size, legs, hour]", "features: [colour, size, legs]")
    .replace("holdout: 2 days, folds: 2, fold_length: 1 day", "holdout: 4 days, folds: 2, fold_length: 4 days")
    + """
timing: {time: when}
retrain:
  compare_on: 6 days
  fold_length: 6 days
  max_increase: 0
  holdout: {roc_auc: {low: 0.55, high: 0.95}, skill: {low: -0.5, high: 0.5}}
monitor: {window_days: 3, pooled_windows: 3, min_days: 5, min_rows: 50, min_bad: 2, out_of: 3}
replay: {learn: 24 days}
train: {workers: 1, resamples: 50, rare: 5}
"""
)
DAYS, A_DAY, FIRST = 60, 80, date(2013, 1, 1)
LEARNT = date(2013, 1, 25)


def made(turns: int = DAYS) -> pd.DataFrame:
    """Rows of sixty days. From the day `turns` on there are more of the good ones."""
    rng, day = np.random.default_rng(0), np.repeat(np.arange(DAYS), A_DAY)
    size, colour = rng.random(len(day)) * 10, rng.choice(["red", "blue"], len(day))
    odds = (size - 5) / 2 + (colour == "red") - 0.5 + rng.normal(size=DAYS)[day] / 4 + 2.0 * (day >= turns)
    when = np.datetime64(FIRST, "m") + day * np.timedelta64(1440, "m") + rng.integers(0, 1440, len(day))
    good = rng.random(len(day)) < 1 / (1 + np.exp(-odds))
    told = {"colour": colour, "shape": "round", "size": size, "legs": rng.integers(0, 9, len(day)), "when": when}
    return pd.DataFrame({**told, "later": odds, "good": good}).sort_values("when", ignore_index=True)


def config_in(folder: Path, frame: pd.DataFrame, *overrides: str) -> Config:
    frame.to_csv(folder / "timed.csv", index=False)
    (folder / "timed.yaml").write_text(TIMED)
    gates = (
        "gates.holdout={roc_auc: {low: 0.6, high: 0.95}, log_loss: {low: 0.3, high: 0.69}, ece: {low: 0, high: 0.25}}"
    )
    given = [
        f"data.path={folder}/timed.csv",
        gates,
        "gates.max_single_feature=0.95",
        "gates.max_missing_increase=0.05",
        *overrides,
    ]
    return load(folder / "timed.yaml", [*in_folder(folder), *given])
