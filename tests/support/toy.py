"""A tiny problem: its contract, its rows, and trainings of it."""

import tempfile
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.config.config import Config
    from pipeline.training.phases import Outcome

TINY = """
name: tiny
question: Is it a yes?
task: binary
dataset: table
columns:
  colour: {kind: category, known: before, meaning: Colour of it}
  shape: {kind: category, known: before, meaning: Shape of it, values: {round: Round, square: Square}}
  size: {kind: number, known: before, meaning: Size of it, unit: cm, minimum: 0, maximum: 10, nullable: true}
  legs: {kind: integer, known: before, meaning: Number of legs, minimum: 0, maximum: 8}
  when: {kind: datetime, known: before, meaning: Local time}
  hour: {kind: integer, known: before, meaning: Hour, derived_from: [when]}
  later: {kind: number, known: after, meaning: Known afterwards}
  good: {kind: boolean, known: after, meaning: Whether it was}
target: good
features: [colour, shape, size, legs, hour]
split: {by: time, time: when, holdout: 2 days, folds: 2, fold_length: 1 day}
candidates: {linear: {}}
costs: {miss: 3, false_alarm: 1}
gates:
  holdout: {roc_auc: {low: 0.6, high: 0.9}, log_loss: {low: 0.3, high: 0.62}, ece: {low: 0, high: 0.05}}
  min_gain: 0.001
  champion: {max_increase: 0.002}
  slices: {columns: [colour], min_rows: 100, metrics: {roc_auc: {low: 0.6, high: 0.9}}}
  max_single_feature: 0.8
"""
FEW = [
    "train.resamples=50",
    "gates.holdout={roc_auc: {low: 0.6, high: 0.95}, log_loss: {low: 0.3, high: 0.69}, ece: {low: 0, high: 0.25}}",
    "gates.max_single_feature=0.95",
    "gates.max_missing_increase=0.05",
    "gates.champion.max_gain=1",
    "gates.champion.warn_gain=0.9",
]
WEAK = "candidates.linear.C=0.0001"  # a toy model that is worse than the default one, and passes its gates


@lru_cache
def empty_record() -> bytes:
    """MLflow's database as its first use makes it, which takes seconds."""
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
        return (Path(folder) / "mlflow.db").read_bytes()


def in_folder(folder: Path) -> list[str]:
    """Overrides that keep a training's output away from a person's own."""
    if not (folder / "mlflow.db").exists():
        (folder / "mlflow.db").write_bytes(empty_record())
    return [
        f"paths.models={folder}/models",
        f"paths.reports={folder}/reports",
        f"paths.tracking=sqlite:///{folder}/mlflow.db",
    ]


class Toy:
    """Four thousand rows of the tiny contract over eight days, each day with its own luck, as a CSV file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.overrides = [
            f"data.path={folder}/toy.csv", "features=[colour, size, legs]", "train.workers=1", *FEW
        ]  # fmt: skip
        if not (folder / "toy.csv").exists():
            self.make()

    def make(self) -> None:
        import numpy as np
        import pandas as pd

        rng = np.random.default_rng(0)
        rows = 4000
        colour, size = rng.choice(["red", "blue"], rows), rng.random(rows) * 10
        day = np.arange(rows) * 8 // rows
        odds = (size - 5) / 2 + (colour == "red") - 0.5 + rng.normal(size=8)[day] / 3
        frame = pd.DataFrame(
            {
                "colour": colour,
                "shape": "round",
                "size": size,
                "legs": rng.integers(0, 9, rows),
                "when": np.datetime64("2013-01-01T00:00") + day * np.timedelta64(1, "D"),
                "later": odds,
                "good": rng.random(rows) < 1 / (1 + np.exp(-odds)),
            }
        )
        frame.to_csv(self.folder / "toy.csv", index=False)
        (self.folder / "toy.yaml").write_text(TINY)

    def config(self, *overrides: str) -> "Config":
        """Output goes to the folder of the data; the features are those that need no deriving."""
        from pipeline.config.config import load

        return load(self.folder / "toy.yaml", [*in_folder(self.folder), *self.overrides, *overrides])

    def train(self, *overrides: str) -> "Outcome":
        from rich.console import Console

        from pipeline.training.train import run

        return run(self.config(*overrides), Console(quiet=True))


def statuses(config: "Config") -> Counter[str]:
    """How many runs the record has of each status."""
    import mlflow

    client = mlflow.MlflowClient(config.paths.tracking)
    experiment = client.get_experiment_by_name("tiny")
    return Counter(run.info.status for run in client.search_runs([experiment.experiment_id] if experiment else []))


def trained_twice(folder: Path) -> Path:
    """A folder with a champion, and a weaker one before it."""
    Toy(folder).train(WEAK)
    Toy(folder).train()
    return folder
