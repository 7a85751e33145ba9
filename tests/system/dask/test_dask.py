"""Trainings and scorings on a Dask cluster: a real scheduler and two workers, each a process of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from distributed import Client

from pipeline.config.training import Train
from pipeline.training.parallel import run
from tests.support import ROOT
from tests.support.command import pipeline
from tests.support.parcels import CONFIG, Parcels, settings
from tests.support.threads import threads

ON_DASK = "train.backend=dask"


class Cluster:
    """The address of a scheduler, a client that looks at it, and its workers by name."""

    def __init__(self, address: str, workers: dict[str, "subprocess.Popen[bytes]"]) -> None:
        self.address, self.workers = address, workers
        self.client = Client(address)
        self.client.wait_for_workers(len(workers), timeout=60)


@contextmanager
def process(*words: str, **pipes: int) -> "Iterator[subprocess.Popen[bytes]]":
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, env=environment, **pipes) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """The same training on this machine's own cores."""
    return Parcels(tmp_path_factory.mktemp("here"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    with ExitStack() as running:
        running.enter_context(process(*scheduler))
        workers = {}
        for name in ("one", "two"):
            words = [*worker, "--name", name, "--local-directory", str(tmp_path / name)]
            workers[name] = running.enter_context(process(*words))
        found = Cluster(address, workers)
        running.callback(found.client.close)
        yield found


def training(folder: Path, cluster: Cluster) -> "tuple[list[str], dict[str, str]]":
    """The words of a training of the parcels in a folder of its own, and its environment."""
    folder.mkdir()
    overrides = [word for override in [*settings(folder), ON_DASK] for word in ("--set", override)]
    return ["train", str(CONFIG), *overrides], {"DASK_SCHEDULER_ADDRESS": cluster.address}


def champion(folder: Path) -> str:
    return (folder / "models/parcels/champion").read_text().strip()


def test_the_bundle_is_the_one_that_is_made_at_home(parcels: Parcels, cluster: Cluster, tmp_path: Path) -> None:
    words, environment = training(tmp_path / "there", cluster)
    ended = pipeline(*words, **environment)
    assert ended.returncode == 0, ended.stderr
    assert champion(tmp_path / "there") == parcels.bundle.name


def test_a_worker_that_is_killed_in_the_middle_changes_nothing(
    parcels: Parcels, cluster: Cluster, tmp_path: Path
) -> None:
    """It is killed while it has work; the other one does that again."""
    words, environment = training(tmp_path / "there", cluster)
    command = [sys.executable, "-m", "pipeline", *words]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL) as trained:
        names = {address: about["name"] for address, about in cluster.client.scheduler_info()["workers"].items()}
        busy: list[str] = []
        while not busy:
            assert trained.poll() is None
            busy = [names[address] for address, tasks in cluster.client.processing().items() if tasks]
        cluster.workers[busy[0]].kill()
        assert trained.wait() == 0
    assert len(cluster.client.scheduler_info()["workers"]) == 1
    assert champion(tmp_path / "there") == parcels.bundle.name


def test_a_scoring_writes_the_same_there(parcels: Parcels, cluster: Cluster, tmp_path: Path) -> None:
    words = ["score", str(CONFIG), *(word for override in settings(parcels.folder) for word in ("--set", override))]
    source = str(parcels.config.data.path)
    for name, where in (("here.csv", []), ("there.csv", ["--set", ON_DASK])):
        more = ["--in", source, "--out", str(tmp_path / name), *where]
        ended = pipeline(*words, *more, DASK_SCHEDULER_ADDRESS=cluster.address)
        assert ended.returncode == 6, ended.stderr  # one temperature is broken
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()


def test_a_task_has_one_thread_there_as_it_has_here(parcels: Parcels, cluster: Cluster) -> None:
    """Two workers on two cores with two threads each took twice as long for the predictions of boosting."""
    for backend in ({"workers": 2}, {"backend": "dask", "scheduler": cluster.address}):
        config = parcels.config.model_copy(update={"train": Train(rare=1, **backend)})
        assert list(run(config, threads, [(), ()])) == [{1}, {1}]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("", "train.scheduler: is missing. Name it, such as tcp://HOST:8786, or set DASK_SCHEDULER_ADDRESS"),
        ("tcp://127.0.0.1:9", "train.scheduler: tcp://127.0.0.1:9: no scheduler answers"),
        (
            "10.0.0.5",
            "train.scheduler: 10.0.0.5 is no address. Name it, such as tcp://HOST:8786, or set DASK_SCHEDULER_ADDRESS",
        ),
    ],
)
def test_a_scheduler_that_is_not_there_is_one_sentence(tmp_path: Path, address: str, says: str) -> None:
    overrides = [word for override in [*settings(tmp_path), ON_DASK] for word in ("--set", override)]
    ended = pipeline("train", str(CONFIG), *overrides, DASK_SCHEDULER_ADDRESS=address)
    assert (ended.returncode, ended.stderr) == (2, f"error: {says}\n")
