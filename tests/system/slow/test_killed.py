"""`kill -9` at fifty random instants of a train, a promote or a rollback: the champion serves, and the next command
tidies up and says so.
"""

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.registry import mlflow_store, mlflow_versions, promotion
from pipeline.runtime import bundle_store, predictor
from tests.support.toy import FEW, Toy, in_folder, statuses, trained_twice

KILLS, SEED = 50, 0
OTHER = ["--set", "train.seed=7", "--set", "candidates.linear.C=0.5"]  # a third model, which takes the champion's place
TOLD = {
    "models": "unfinished files of an interrupted command",
    "reports": "of a training that was killed was removed",
    "runs": "of it in MLflow marked as KILLED",
    "record": "champion is at",
    "alias": "MLflow's alias champion was set to version",
}

# Libraries are imported once, and each command is forked from there; not so ONNX Runtime, which starts threads. A child
# tells its number when it begins to work; then what it says goes to files.
NURSERY = """
import json, os, sys
import optuna, skl2onnx, sqlalchemy.orm
import mlflow.store.model_registry.sqlalchemy_store, mlflow.store.tracking.sqlalchemy_store
from pipeline import __main__
from pipeline.data import clean
from pipeline.registry import mlflow_store
from pipeline.training import estimators

sqlalchemy.orm.configure_mappers()
assert len(os.listdir("/proc/self/task")) == 1, "threads do not survive a fork"
for line in sys.stdin:
    words, said = json.loads(line)
    child = os.fork()
    if child == 0:
        os.setsid()
        from pipeline.registry import promotion
        from pipeline.training import train
        print(os.getpid(), flush=True)
        for stream in (1, 2):
            os.dup2(os.open(f"{said}{stream}", os.O_CREAT | os.O_TRUNC | os.O_WRONLY), stream)
        sys.argv = ["pipeline", *words]
        try:
            __main__.main()
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code)  # taking so many libraries down takes a second
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Ended(NamedTuple):
    """How a command ended, how long it worked, and its errors."""

    code: int
    seconds: float
    told: str


class Nursery:
    """The command line in processes of their own, without the seconds that imports take."""

    def __init__(self) -> None:
        quiet = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}  # pandas brings Arrow
        command = [sys.executable, "-c", NURSERY]
        self.process = subprocess.Popen(
            command, bufsize=0, env={**os.environ, **quiet}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, toy: Toy, words: list[str], seconds: float | None = None) -> Ended:
        """One verb on the toy's folder; after so many seconds of its work it is killed."""
        places = [*in_folder(toy.folder), f"data.path={toy.folder}/toy.csv", "features=[colour, size, legs]", *FEW]
        given = [word for each in [*places, "train.workers=1"] for word in ("--set", each)]
        (toy.folder / "said2").write_text("")  # a child that is killed at once makes none
        order = [words[0], f"{toy.folder}/toy.yaml", *given, *words[1:]], f"{toy.folder}/said"
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        child, began = int(self.process.stdout.readline()), time.perf_counter()
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            os.killpg(child, signal.SIGKILL)
        code, seconds = int(self.process.stdout.readline()), time.perf_counter() - began
        return Ended(code, seconds, (toy.folder / "said2").read_text())


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_twice(tmp_path_factory.mktemp("trained"))


def left(toy: Toy) -> set[str]:
    """What is not as it should be: kinds of `TOLD`. The record is looked at in a copy, since a look repairs SQLite's."""
    config, copy = toy.config(), Path(tempfile.mkdtemp(dir=toy.folder.parent))  # a new one, for MLflow keeps files open
    for file in toy.folder.glob("mlflow.db*"):
        shutil.copy(file, copy)
    seen = toy.config(f"paths.tracking=sqlite:///{copy}/mlflow.db")
    mlflow_store.connect("tiny", seen.paths.tracking)
    champion, alias, moves = (
        promotion.champion(config),
        mlflow_versions.version_with_alias("tiny", "champion"),
        promotion.history(config),
    )
    found = {
        "models": any(promotion.home(config).rglob(".unfinished*")),
        "reports": any(Path(config.paths.reports).rglob(".unfinished*")),
        "runs": "RUNNING" in statuses(seen),
        "record": champion != moves[-1].after,
        "alias": alias is None or champion != alias[1],
    }
    return {kind for kind, wrong in found.items() if wrong}


def test_a_kill_at_any_of_fifty_instants_leaves_a_champion(trained: Path, nursery: Nursery, tmp_path: Path) -> None:
    """The next command tidies up and prints that it did. Each instant is drawn from the shortest time that the command
    has worked yet, and a little more.
    """
    first, second = (str(move.after) for move in promotion.history(Toy(trained).config()))
    verbs = {
        "train": ["train", *OTHER],
        "promote": ["promote", "--version", first, "--why", "a"],
        "rollback": ["rollback", "--why", "a"],
    }
    shortest, known = {}, {first, second}
    for verb, words in verbs.items():
        toy = Toy(shutil.copytree(trained, tmp_path / verb))
        code, shortest[verb], told = nursery.run(toy, words)
        assert (code, left(toy)) == (0, set()), told
        known.add(str(promotion.champion(toy.config())))
    assert len(known) == 3
    rng, hits = random.Random(SEED), []
    for number, verb in enumerate(islice(cycle(verbs), 2 * KILLS)):
        if sum(code != 0 for _, code, *_ in hits) == KILLS:
            break
        share = rng.uniform(0, 1.05)
        case = f"{number}: {verb} killed at {share:.3f} of {shortest[verb]:.2f} s"
        toy = Toy(shutil.copytree(trained, tmp_path / "case"))
        models = promotion.home(toy.config())
        ended = nursery.run(toy, verbs[verb], share * shortest[verb])
        assert ended.code in (0, -signal.SIGKILL), f"{case}: {ended.told}"
        assert predictor.load(models).folder.name in known, case
        assert [bundle_store.damage(models / digest) for digest in (first, second)] == [None, None], case
        found, after = left(toy), nursery.run(toy, ["history"])
        assert (after.code, left(toy)) == (0, set()), f"{case}: {after.told}"
        assert {kind for kind, words in TOLD.items() if words in after.told} == found, f"{case}: {after.told}"
        hits.append((verb, ended.code, *sorted(found)))
        if ended.code == 0:  # before its kill came
            shortest[verb] = min(shortest[verb], ended.seconds)
        shutil.rmtree(toy.folder)
    assert sum(code != 0 for _, code, *_ in hits) == KILLS, Counter(hits)
    assert 0 < sum(len(hit) > 2 for hit in hits) < len(hits), Counter(hits)  # some left work to do, and some nothing
