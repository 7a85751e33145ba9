"""What more than one test file stands on: a tiny contract, one smoke training, and a real server over it.

Heavy libraries are imported by what needs them: a file of unit tests starts in a second.
"""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    import httpx2

    from pipeline.config.config import Config
    from pipeline.training.train import Outcome

# Of the environment that somebody has: no settings of the server or the pipeline, of colours, proxies, CI or MLflow.
KEPT = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LC_", "VIRTUAL_ENV", "PYENV_", "PYTHON", "PYTEST_",
    "COV_", "COVERAGE_", "OPENBLAS_", "SSL_", "REQUESTS_CA_BUNDLE", "PIP_", "UV_", "DOCKER_", "XDG_",
)  # fmt: skip
for _name in [name for name in os.environ if not name.startswith(KEPT)]:
    del os.environ[_name]
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as the command line sets it, before scikit-learn is there

ROOT = Path(__file__).resolve().parent.parent

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
  baseline: 0.001
  champion: {worse: 0.002}
  slices: {columns: [colour], rows: 100, figures: {roc_auc: {low: 0.6, high: 0.9}}}
  alone: 0.8
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The tiny config as a file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def tiny_config(tiny: Path) -> "Config":
    from pipeline.config.config import load

    return load(tiny)


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs no training comes first: one process trains then while another still tests. Whole trainings, which
    take longest, are the first of the others.
    """

    def order(item: pytest.Item) -> tuple[bool, bool]:
        return "smoke" in getattr(item, "fixturenames", ()), not item.nodeid.startswith("tests/test_train.py")

    items.sort(key=order)


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


FEW = [
    "train.resamples=50",
    "gates.holdout={roc_auc: {low: 0.6, high: 0.95}, log_loss: {low: 0.3, high: 0.69}, ece: {low: 0, high: 0.25}}",
    "gates.alone=0.95",
]
WEAK = "candidates.linear.C=0.0001"  # a toy model that is worse than the default one, and passes its gates


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


@pytest.fixture(scope="module")
def blank_pictures() -> Iterator[None]:
    """Pictures of one white dot: drawing is two thirds of a toy training. The smoke training draws its own."""
    from matplotlib.figure import Figure

    from pipeline import plotting

    def save(path: Path, _: object) -> None:
        Figure(figsize=(0.01, 0.01)).savefig(path, format="png")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plotting, "save", save)
        yield


class Smoke:
    """One training of configs/smoke.yaml by its command: its config, what it printed, and where it wrote."""

    def __init__(self, folder: Path) -> None:
        from pipeline.config.config import load

        self.folder = folder
        self.config = load(ROOT / "configs" / "smoke.yaml", in_folder(folder))
        printed = folder / "printed.txt"
        if not printed.exists():
            printed.write_text(trained("configs/smoke.yaml", folder), encoding="utf-8")
        self.printed = printed.read_text(encoding="utf-8")
        self.store = folder / "models" / self.config.name
        self.bundle = self.store / (self.store / "champion").read_text().strip()


def trained(config: str, folder: Path, *overrides: str, **environment: str) -> str:
    """What a training by command prints."""
    words = [word for override in [*in_folder(folder), *overrides] for word in ("--set", override)]
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", "train", config, *words],
        env={**os.environ, "COLUMNS": "160", **environment}, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Smoke:
    """Trained by the first process that asks, for all of them."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "smoke"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Smoke(folder)


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    stdout: str
    stderr: str


Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line within this process: in one of its own, imports take longer than what is tested."""

    def run(*words: str) -> Ended:
        from pipeline.__main__ import main

        monkeypatch.setattr(sys, "argv", ["pipeline", *words])
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


@contextmanager
def serving(model_dir: Path, **settings: str) -> "Iterator[httpx2.Client]":
    """A client of a real server in a process of its own, on a port that the system chose."""
    import httpx2

    environment = {**os.environ, "MODEL_DIR": str(model_dir), "PORT": "0", "HOST": "127.0.0.1", **settings}
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
def server(smoke: Smoke) -> "Iterator[httpx2.Client]":
    with serving(smoke.store) as client:
        yield client


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
