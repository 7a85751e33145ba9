"""The way of one table, without an edit by hand: from a CSV file to a champion that is served and monitored."""

import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.errors import PipelineError
from pipeline.replay.server_process import ServerProcess
from pipeline.runtime.arrays import to_columns
from pipeline.runtime.predictor import Example, Predictor, load

STEPS = ("new", "train", "predict", "explain", "feedback", "monitor")
MOST = 1e-6  # difference of a prediction over HTTP: absolute, and relative for a number above 1


class Onboarded(NamedTuple):
    """How far a table came: the steps that held, and why the next one did not.

    `seconds` is the time from the CSV file to the first prediction over HTTP. `differences` has for each row the
    difference between the prediction over HTTP and the bundle's.
    """

    held: list[str]
    failure: str
    seconds: float
    differences: list[float]


def onboard(work: Path, name: str, csv: Path, target: str) -> Onboarded:
    """Take the table through all steps, in the folder `work`. It ends at the first step that does not hold."""
    held: list[str] = []
    differences: list[float] = []
    seconds = float("nan")
    config = str(work / "configs" / f"{name}.yaml")
    models = work / "models" / name
    log = f"sqlite:///{work}/{name}.db"

    began = time.perf_counter()
    try:
        command(work, "new", name, str(csv), target)
        held.append("new")
        command(work, "train", config)
        held.append("train")

        with ServerProcess(models, work / f"{name}.log", LOG_URL=log) as server:
            champion = load(models)
            server.post("/predict", champion.examples[0].row)
            seconds = time.perf_counter() - began

            labels = []
            for example in champion.examples:
                request_id, difference = predict(server, champion, example)
                differences.append(difference)
                labels.append({"request_id": request_id, "label": example.outcome})
            if max(differences) > MOST:
                raise PipelineError(f"a prediction over HTTP differs by {max(differences):.1e} from the bundle's")
            held.append("predict")

            server.post("/explain", champion.examples[0].row)
            held.append("explain")
            server.send_labels(labels)
            held.append("feedback")

        command(work, "monitor", config, "--log-url", log)
        held.append("monitor")
    except PipelineError as error:
        step = STEPS[len(held)]
        return Onboarded(held, f"{step}: {error}", seconds, differences)
    return Onboarded(held, "", seconds, differences)


def command(work: Path, *words: str) -> None:
    """Run a command of the pipeline in the folder `work`. Raises PipelineError where it does not end with 0."""
    ended = subprocess.run([sys.executable, "-m", "pipeline", *words], cwd=work, capture_output=True, text=True)
    if ended.returncode:
        message = " ".join(ended.stderr.split()) or "it says nothing"
        raise PipelineError(f"ends with {ended.returncode}: {message[-300:]}")


def predict(server: ServerProcess, champion: Predictor, example: Example) -> tuple[str, float]:
    """The id of a request for one row, and the difference between its prediction and the bundle's."""
    response = server.post("/predict", example.row)
    served = response.get("probability", response.get("value"))
    if "classes" in response:
        served = [response["probabilities"][name] for name in response["classes"]]
    expected = champion.predict(to_columns([example.row], champion.contract))[0]
    error = np.abs(np.array(served) - expected) / np.maximum(1.0, np.abs(expected))
    return response["request_id"], float(error.max())
