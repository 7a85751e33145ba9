"""Two first trainings at once, in a folder that has nothing yet: both end well, and one model is the champion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.toy import Toy


@pytest.mark.parametrize("attempt", range(3))
def test_two_first_trainings_at_once_both_end_well(tmp_path: Path, attempt: int) -> None:
    """MLflow's tables, the experiment, the model's name and the pointer are all made by a first use."""
    toy = Toy(tmp_path)
    places = [f"paths.models={tmp_path}/models", f"paths.reports={tmp_path}/reports"]
    overrides = [*places, f"paths.tracking=sqlite:///{tmp_path}/mlflow.db", *toy.overrides]
    words = [word for override in overrides for word in ("--set", override)]
    command = [sys.executable, "-m", "pipeline", "train", str(tmp_path / "toy.yaml"), *words]
    both = [
        subprocess.Popen(command, env=os.environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], "".join(said)
    lines = (tmp_path / "models/tiny/history.jsonl").read_text().splitlines()
    assert [json.loads(line)["before"] for line in lines] == [None]
