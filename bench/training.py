"""What `make bench` measures of the training: how long, how much memory, how good, how exact."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
MIB = 2**20
FOLLOWS = "test_the_numbers_of_readme_are_those_of_its_runs_and_of_the_benchmarks"


def timed(command: list[str], folder: Path, **environment: str) -> tuple[float, float]:
    """Wall seconds of a command, and the peak memory of all its processes together (proportional set size, MiB)."""
    started = time.perf_counter()
    process = psutil.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peak = [0.0]
    watcher = threading.Thread(target=watch, args=(process, peak))
    watcher.start()
    printed = process.communicate()[0]
    took = time.perf_counter() - started
    watcher.join()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{printed}")
    return took, peak[0]


def watch(process: psutil.Process, peak: list[float]) -> None:
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = 0
        try:
            for each in [process, *process.children(recursive=True)]:
                total += each.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], total / MIB)
        time.sleep(0.05)


def setup(work: Path) -> str:
    """A clone, an empty home, no cache, no uv: what `make train` installs before it begins."""
    clone, home = work / "clone", work / "home"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    home.mkdir()
    uv = shutil.which("uv")
    path = os.pathsep.join(
        p for p in os.environ["PATH"].split(os.pathsep) if uv is None or not (Path(p) / "uv").exists()
    )
    base = f"PYTHON={os.path.realpath(PYTHON)}"
    took, _ = timed(["make", ".venv/.train", base], clone, HOME=str(home), PATH=path, PIP_NO_CACHE_DIR="1")
    return f"{took:.0f} s"


def train(work: Path) -> str:
    took, peak = timed(command("flights", work), ROOT)
    return f"{took:.1f} s, {peak:,.0f} MiB"


def smoke(work: Path) -> str:
    return f"{min(timed(command('smoke', work), ROOT)[0] for _ in range(3)):.1f} s"


def command(name: str, work: Path) -> list[str]:
    places = {"models": work / "models", "reports": work / "reports", "tracking": f"sqlite:///{work}/mlflow.db"}
    overrides = [word for key, place in places.items() for word in ("--set", f"paths.{key}={place}")]
    return [PYTHON, "-m", "pipeline", "train", f"configs/{name}.yaml", *overrides]


def tests(_: Path) -> str:
    """Without the one that holds README against the page that is being written."""
    command = [str(Path(PYTHON).parent / "pytest"), "--deselect", f"tests/test_readme.py::{FOLLOWS}"]
    return f"{timed(command, ROOT)[0]:.0f} s"


def folds(work: Path) -> str:
    record = bundle_file(work, "record.json")
    figures = list(record["candidates"][record["candidate"]].values())
    means = {metric: np.mean([fold[metric] for fold in figures]) for metric in ("roc_auc", "log_loss")}
    return f"AUC {means['roc_auc']:.4f}, log loss {means['log_loss']:.4f}"


def holdout(work: Path) -> str:
    metrics = bundle_file(work, "bundle.json")["metrics"]
    shown = {"AUC": metrics["roc_auc"], "log loss": metrics["log_loss"]}
    return ", ".join(f"{name} {m['value']:.3f} ({m['low']:.3f} to {m['high']:.3f})" for name, m in shown.items())


def export(work: Path) -> str:
    record = bundle_file(work, "record.json")
    return f"0 off by more than 1e-5; largest difference {record['export_off']:.1e}"


def bundle_file(work: Path, name: str) -> dict:
    champion = (work / "models/flights/champion").read_text().strip()
    return json.loads((work / "models/flights" / champion / name).read_text())


def registration(work: Path) -> str:
    """The champion once more, in a store of its own that exists already: log, version, tags, alias."""
    from pipeline.config.config import load
    from pipeline.evaluation.bootstrap import Interval
    from pipeline.registry import mlflow_store
    from pipeline.training import run_record
    from pipeline.training.gates import GateResult
    from pipeline.training.search import CandidateResult

    told = bundle_file(work, "record.json")
    config = load(ROOT / "configs" / "flights.yaml")
    best = CandidateResult(told["candidate"], config.candidates.boosting, told["candidates"][told["candidate"]])
    metrics = {name: Interval(**ends) for name, ends in bundle_file(work, "bundle.json")["metrics"].items()}
    tags = run_record.version_tags(best, metrics, [GateResult(**gate) for gate in told["gates"]], told)
    bundle = work / "models/flights" / (work / "models/flights/champion").read_text().strip()
    mlflow_store.connect("bench", f"sqlite:///{work}/registration.db")
    began = time.perf_counter()
    with mlflow_store.run("bench"):
        mlflow_store.register(config.contract, bundle, tags)
    mlflow_store.sync_champion_alias(config.contract, bundle, f"sqlite:///{work}/registration.db")
    return f"{time.perf_counter() - began:.1f} s"


def bootstrap(_: Path) -> str:
    """Two models on rows made by chance, as many as November and December have, over as many days."""
    from pipeline.evaluation.bootstrap import Bootstrap, paired
    from pipeline.runtime.contract import Scoring

    rng = np.random.default_rng(0)
    rows = 54_000
    new, noise = rng.beta(2, 6, rows), rng.normal(size=rows) / 20
    outcome, old = rng.random(rows) < new, np.clip(new + noise, 0.01, 0.99)
    began = time.perf_counter()
    paired(outcome, new, old, np.arange(rows) * 61 // rows, Bootstrap(Scoring("binary", 0.25), 500, 0), 0.9)
    return f"{time.perf_counter() - began:.2f} s"
