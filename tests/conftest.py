"""What more than one test file stands on: a tiny contract, one training of made-up parcels, and a real server over it.

Heavy libraries are imported by what needs them: a file of unit tests starts in a second.
"""

import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT
from tests.support.command import Command, Ended
from tests.support.parcels import Parcels
from tests.support.penguins import Penguins
from tests.support.server import serving
from tests.support.toy import TINY, Toy

if TYPE_CHECKING:
    import httpx2

    from pipeline.config.config import Config

# Of the environment that somebody has: no settings of the server or the pipeline, of colours, proxies, CI or MLflow.
KEPT = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LC_", "VIRTUAL_ENV", "PYENV_", "PYTHON", "PYTEST_",
    "COV_", "COVERAGE_", "OPENBLAS_", "SSL_", "REQUESTS_CA_BUNDLE", "PIP_", "UV_", "DOCKER_", "XDG_",
)  # fmt: skip
for _name in [name for name in os.environ if not name.startswith(KEPT)]:
    del os.environ[_name]
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as the command line sets it, before scikit-learn is there


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs no training comes first: one process trains then while another still tests. Whole trainings, which
    take longest, are the first of the others.
    """

    def order(item: pytest.Item) -> tuple[bool, bool]:
        return "parcels" in getattr(item, "fixturenames", ()), not item.nodeid.startswith(
            "tests/pipeline/training/test_train.py"
        )

    items.sort(key=order)


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


@pytest.fixture(scope="module")
def blank_pictures() -> Iterator[None]:
    """Pictures of one white dot: drawing takes most of the time of a toy monitor or replay."""
    from matplotlib.figure import Figure

    from pipeline import plotting

    def save(path: Path, _: object) -> None:
        Figure(figsize=(0.01, 0.01)).savefig(path, format="png")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plotting, "save", save)
        yield


@pytest.fixture(scope="session")
def parcels(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Parcels:
    """Trained by the first process that asks, for all of them."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "parcels"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Parcels(folder)


@pytest.fixture(scope="session")
def penguins(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Penguins:
    """Trained by the first process that asks, for all of them."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "penguins"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Penguins(folder)


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
def server(parcels: Parcels) -> "Iterator[httpx2.Client]":
    with serving(parcels.store) as client:
        yield client


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
