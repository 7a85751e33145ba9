"""Fits side by side: how many processes, and what they share."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.config.training import Train
from pipeline.runtime.arrays import Tensors
from pipeline.training import parallel
from pipeline.training.estimators import fit, predict
from tests.support.examples import KINDS, TRAIN, examples, two_kinds


@pytest.fixture
def config(tiny: Path) -> Config:
    return two_kinds(tiny)


def test_auto_is_every_core_and_no_more_processes_than_tasks(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    honest = parallel.Parallel
    monkeypatch.setattr(parallel, "cpu_count", lambda: 64)
    monkeypatch.setattr(parallel, "Parallel", lambda n_jobs, **more: asked.append(n_jobs) or honest(n_jobs=1, **more))
    auto = config.model_copy(update={"train": Train(rare=1)})
    assert list(parallel.run(auto, pow, [(2, 3), (3, 2)])) == [8, 9]
    assert (asked, parallel.workers(auto)) == ([2], 64)


def kind_of_memory(data: Tensors) -> tuple[str, str]:
    return type(data.strings).__name__, type(data.numbers).__name__


def test_processes_share_numbers_and_short_text(config: Config) -> None:
    """joblib maps arrays of a megabyte or more into the memory of every process; objects it would copy."""
    rows = 400_000
    data = Tensors(np.full((rows, 1), "red", dtype=object), np.zeros((rows, 1), dtype=np.float32))
    two = config.model_copy(update={"train": Train(rare=1, workers=2)})
    shared = list(parallel.run(two, kind_of_memory, [(parallel.shareable(data),)] * 2))
    assert shared == [("memmap", "memmap")] * 2
    assert list(parallel.run(two, kind_of_memory, [(data,)] * 2)) == [("ndarray", "memmap")] * 2


def test_long_text_keeps_its_form() -> None:
    text = np.array([["a"], ["b" * 40]], dtype=object)
    assert parallel.shareable(Tensors(text, np.zeros((2, 1), dtype=np.float32))).strings is text


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: type(settings).__name__)
def test_a_model_is_the_same_whatever_the_form_of_its_text(settings: object) -> None:
    data, target = examples()
    shared = parallel.shareable(data)
    assert shared.strings.dtype == np.dtype("U4")
    one, other = (predict(fit(settings, rows, target, TRAIN), rows) for rows in (data, shared))
    assert (one == other).all()


def test_results_come_in_the_order_of_the_tasks(config: Config) -> None:
    two = config.model_copy(update={"train": Train(rare=1, workers=2)})
    assert list(parallel.run(two, os.path.join, [("a", str(n)) for n in range(9)])) == [f"a/{n}" for n in range(9)]


class Sending:
    """Takes the place of Dask's client, and keeps what is sent to the cluster."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    def submit(self, _: object, argument: object, **options: object) -> int:
        self.sent.append(argument)
        return len(self.sent)


def test_a_cluster_gets_the_same_rows_once() -> None:
    """Also where other rows come between; the rows of a dictionary too, and nothing that is no rows."""
    client = Sending()
    cluster = parallel.Cluster(client)
    rows = np.zeros(3)
    for _ in range(parallel.MOST_SENT):
        assert cluster.placed(rows) == 1
        cluster.placed({"without weather": np.zeros(2)})
    assert cluster.placed("linear") == "linear"
    assert sum(argument is rows for argument in client.sent) == 1
    assert len(client.sent) == 1 + parallel.MOST_SENT
