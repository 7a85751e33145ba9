"""A network that PyTorch trains, exports and brings as ONNX. Runs where PyTorch is installed, and every week."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.parcels import CONFIG, REQUIRED, settings
from tests.support.server import serving

pytest.importorskip("torch")


def test_a_network_is_trained_exported_bundled_and_served(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    overrides = [word for override in settings(tmp_path) for word in ("--set", override)]
    onnx = str(tmp_path / "network.onnx")
    example = [str(ROOT / "examples/pytorch/train.py"), str(CONFIG), onnx, "--epochs", "40"]
    for words in (example, ["-m", "pipeline", "bundle", str(CONFIG), "--onnx", onnx]):
        ended = subprocess.run(
            [sys.executable, *words, *overrides], env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    store = tmp_path / "models/parcels"
    with serving(store) as client:
        answers = [
            client.post("/predict", json=REQUIRED | more).json() for more in ({}, {"temp": 20.0}, {"city": "XXX"})
        ]
    probabilities = [answer["probability"] for answer in answers]
    assert all(0 < probability < 1 for probability in probabilities)
    assert len(set(probabilities)) == 3
