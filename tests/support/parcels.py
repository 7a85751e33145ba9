"""What the tests of the machine stand on: one training of `parcels.yaml`, on rows that are made up here."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT
from tests.support.toy import in_folder

CONFIG = ROOT / "tests/support/parcels.yaml"
REQUIRED = {"carrier": "B6", "depot": "NTH", "city": "ROM", "sent": "2013-12-02T17:30", "weight": 75}


class Parcels:
    """One training by its command: its config, what it printed, and where it wrote."""

    def __init__(self, folder: Path) -> None:
        from pipeline.config.config import load

        self.folder = folder
        self.config = load(CONFIG, settings(folder))
        printed = folder / "printed.txt"
        if not printed.exists():
            printed.write_text(trained(folder), encoding="utf-8")
        self.printed = printed.read_text(encoding="utf-8")
        self.store = folder / "models" / self.config.name
        self.bundle = self.store / (self.store / "champion").read_text().strip()


def settings(folder: Path) -> list[str]:
    """Overrides with which a command reads the rows in this folder, and writes there alone."""
    data = folder / "parcels.csv"
    if not data.exists():
        make(data)
    return [*in_folder(folder), f"data.path={data}"]


def trained(folder: Path, *overrides: str, **environment: str) -> str:
    """What a training by command prints."""
    words = [word for override in [*settings(folder), *overrides] for word in ("--set", override)]
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", "train", str(CONFIG), *words],
        env={**os.environ, "COLUMNS": "160", **environment}, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def make(path: Path) -> None:
    """Sixty days to the end of 2013, seventy parcels a day. Frost, a long way, weight and a rush at six in the evening
    make them late; each day has its own luck, which the next shares in part. One distance of a hundred is missing, one
    temperature is broken.
    """
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    days, a_day = 60, 70
    rows, day = days * a_day, np.repeat(np.arange(days), a_day)
    minute = np.sort(rng.integers(300, 1380, (days, a_day)), axis=1).ravel()
    carrier, depot = rng.choice(["B6", "AA", "9X"], rows, p=[0.4, 0.4, 0.2]), rng.choice(["EST", "NTH", "STH"], rows)
    city = rng.choice(["ROM", "OSL", "LIS", "VIE"], rows)
    weight, distance = rng.integers(20, 1001, rows), rng.integers(100, 3000, rows).astype(float)
    temp = 40 + 5 * np.sin(day / 5) + rng.normal(0, 10, rows)

    luck = np.zeros(days)
    for today in range(1, days):
        luck[today] = 0.7 * luck[today - 1] + rng.normal(0, 0.3)
    rush, frost = np.abs(minute - 1080) < 120, temp < 32
    odds = -3 + luck[day] + 2 * rush + 1.5 * frost + weight / 1000 + (carrier == "9X") + distance / 3000
    hours = np.round(np.clip(odds + rng.logistic(size=rows), -1, None), 2)
    distance[rng.random(rows) < 0.01] = np.nan
    temp[7] = 999
    sent = np.datetime64("2013-11-02T00:00", "m") + day * np.timedelta64(1440, "m") + minute.astype("timedelta64[m]")
    arrived = sent + np.timedelta64(120, "m") + (60 * (1 + hours)).astype(int).astype("timedelta64[m]")

    asked = {"carrier": carrier, "depot": depot, "city": city, "sent": sent, "weight": weight, "distance": distance}
    told = {"temp": temp.round(1), "arrived": arrived, "hours_late": hours, "late": hours > 0}
    pd.DataFrame(asked | told).to_csv(path, index=False)
