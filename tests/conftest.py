"""What more than one test file stands on: a tiny contract, one smoke training, and a real server over it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import httpx2
import pytest
from rich.console import Console

from pipeline.config import Config, load
from pipeline.train import Outcome, run

ROOT = Path(__file__).parent.parent

TINY = """
name: tiny
question: Is it a yes?
task: classification
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
  base_rate: 0.001
  slices: {columns: [colour], rows: 100, roc_auc: 0.6}
  alone: 0.8
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The tiny config as a file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def tiny_config(tiny: Path) -> Config:
    return load(tiny)


def in_folder(folder: Path) -> list[str]:
    """Overrides that keep a training's output away from a person's own."""
    return [
        f"paths.models={folder}/models",
        f"paths.reports={folder}/reports",
        f"paths.tracking=sqlite:///{folder}/mlflow.db",
    ]


class Smoke:
    """One training of configs/smoke.yaml: its config, what it returned, what it printed, and where it wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = load(ROOT / "configs" / "smoke.yaml", in_folder(folder))
        self.printed = StringIO()
        self.outcome: Outcome = run(self.config, Console(file=self.printed, width=160))
        assert self.outcome.bundle is not None
        self.bundle: Path = self.outcome.bundle
        self.store: Path = self.bundle.parent


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    return Smoke(tmp_path_factory.mktemp("smoke"))


Start = Callable[..., "subprocess.Popen[str]"]


@contextmanager
def serving(model_dir: Path) -> Iterator[httpx2.Client]:
    """A client of a real server in a process of its own, on a port that the system chose."""
    environment = {**os.environ, "MODEL_DIR": str(model_dir), "PORT": "0", "HOST": "127.0.0.1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "serve"], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        address = next(word for word in lines[1].split() if word.startswith("http://"))
        with httpx2.Client(base_url=address, timeout=10) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session", autouse=True)
def _a_persons_own_models_and_records_are_left_alone() -> Iterator[None]:
    def state() -> dict[str, float]:
        mine = ("models", "reports", "mlruns", "mlflow.db")
        return {
            str(path): path.stat().st_mtime
            for name in mine
            for path in [ROOT / name, *(ROOT / name).rglob("*")]
            if path.exists()
        }

    before = state()
    yield
    assert state() == before


@pytest.fixture(scope="session")
def server(smoke: Smoke) -> Iterator[httpx2.Client]:
    with serving(smoke.store) as client:
        yield client
