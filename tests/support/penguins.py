"""The repository's example of several classes, trained once for all tests with two quick kinds of model."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT
from tests.support.toy import in_folder

CONFIG = ROOT / "configs/penguins.yaml"
QUICK = [
    "candidates={linear: {}, boosting: {max_iter: 30, min_samples_leaf: 5}}",
    "train.resamples=40",
    "gates.max_missing_increase=0.05",
]
ADELIE = {"island": "Torgersen", "bill_length_mm": 39.1, "bill_depth_mm": 18.7, "flipper_length_mm": 181}


class Penguins:
    """The store and the champion's bundle."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "models" / "penguins"
        if not self.store.exists():
            train(folder)
        self.bundle = self.store / (self.store / "champion").read_text().strip()


def overrides(folder: Path, *more: str) -> list[str]:
    return [word for setting in [*in_folder(folder), *QUICK, *more] for word in ("--set", setting)]


def train(folder: Path, *more: str) -> str:
    """What a training by command prints."""
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", "train", str(CONFIG), *overrides(folder, *more)],
        env={**os.environ, "COLUMNS": "160"}, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
