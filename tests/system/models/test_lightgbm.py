"""A kind of model that the project does not have: its file is added to a copy of the source, as docs/models.md says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.parcels import CONFIG, settings

NAMED = "candidates={linear: {}, lightgbm: {n_estimators: 40, min_child_samples: 5}}"
SEARCHED = "search={kinds: {lightgbm: {trials: 2, space: {num_leaves: {low: 7, high: 31}}}}}"
EXACT = """
import numpy as np
from pipeline.candidates.kind import KINDS
from pipeline.config.training import Train
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.predictor import Session
from pipeline.training.estimators import fit
from pipeline.training.export.onnx import export_error, to_onnx
from tests.support.examples import examples, numbers

def check(data, target, unit=1.0, **settings):
    fitted = fit(KINDS["lightgbm"](**settings), data, target, Train(rare=1))
    assert to_onnx(fitted, data, "test") == to_onnx(fitted, data, "test")
    assert export_error(fitted, Session(to_onnx(fitted, data, "test")), data, unit, seed=0) <= 1e-5

check(*examples(2000))
data, target = numbers(2000)
check(data, target, unit=target.std())
check(data, np.random.default_rng(0).integers(0, 4, 2000))

# Neighbouring float32 values on both sides of a threshold.
lower = np.linspace(1, 2, 50, dtype=np.float32)
values = np.repeat(np.column_stack([lower, np.nextafter(lower, np.float32(9))]).ravel(), 20)
outcome = np.arange(len(values)) // 20 % 2 == 1
check(Tensors(np.empty((len(values), 0), dtype=object), values[:, None]), outcome, min_child_samples=1)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `src` with the file."""
    copy = tmp_path_factory.mktemp("with_lightgbm") / "src"
    shutil.copytree(ROOT / "src", copy)
    shutil.copy(ROOT / "examples/lightgbm/lightgbm.py", copy / "pipeline/candidates/")
    return copy


def run(source: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{ROOT}", "COLUMNS": "160"}
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)


def test_the_export_is_exact_for_every_task(source: Path) -> None:
    ended = run(source, "-c", EXACT)
    assert ended.returncode == 0, ended.stderr


def test_a_training_compares_it(source: Path, tmp_path: Path) -> None:
    overrides = [word for override in [*settings(tmp_path), NAMED, SEARCHED] for word in ("--set", override)]
    ended = run(source, "-m", "pipeline", "train", str(CONFIG), *overrides)
    assert ended.returncode == 0, ended.stderr
    store = tmp_path / "models/parcels"
    record = json.loads((store / (store / "champion").read_text().strip() / "record.json").read_text())
    assert list(record["candidates"]) == ["linear", "lightgbm"]
    assert all(0.2 < fold["log_loss"] < 0.65 for fold in record["candidates"]["lightgbm"].values())
