"""Measurements of the training for `make bench`: time, memory, quality of the model, and accuracy of the export."""

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
FOLLOWS = "test_the_numbers_of_readme_are_those_of_its_runs"


def timed(command: list[str], folder: Path, **environment: str) -> tuple[float, float]:
    """The wall time of a command in seconds, and the peak memory of all its processes (proportional set size, MiB).

    Exits with the command's output where the command fails.
    """
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
    """Put the largest memory of the process and its children into `peak[0]`, in MiB, until the process ends."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = 0
        try:
            for member in [process, *process.children(recursive=True)]:
                total += member.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], total / MIB)
        time.sleep(0.05)


def setup(work: Path) -> str:
    """The time of the installation before `make train`, in a clone with an empty home, without a cache or uv."""
    clone = work / "clone"
    home = work / "home"
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
    overrides = []
    for key, place in places.items():
        overrides += ["--set", f"paths.{key}={place}"]
    return [PYTHON, "-m", "pipeline", "train", f"configs/{name}.yaml", *overrides]


def tests(_: Path) -> str:
    """The time of all tests but one: that test compares README with the page that this benchmark writes."""
    command = [str(Path(PYTHON).parent / "pytest"), "--deselect", f"tests/flights/test_readme.py::{FOLLOWS}"]
    return f"{timed(command, ROOT)[0]:.0f} s"


def folds(work: Path) -> str:
    record = bundle_file(work, "record.json")
    figures = list(record["candidates"][record["candidate"]].values())
    roc_auc = np.mean([fold["roc_auc"] for fold in figures])
    log_loss = np.mean([fold["log_loss"] for fold in figures])
    return f"AUC {roc_auc:.4f}, log loss {log_loss:.4f}"


def holdout(work: Path) -> str:
    metrics = bundle_file(work, "bundle.json")["metrics"]
    shown = {"AUC": metrics["roc_auc"], "log loss": metrics["log_loss"]}
    return ", ".join(f"{name} {m['value']:.3f} ({m['low']:.3f} to {m['high']:.3f})" for name, m in shown.items())


def missing(work: Path) -> str:
    """By group of optional columns: the loss on the folds, its difference to a model without, the holdout."""
    texts = []
    for result in bundle_file(work, "record.json")["missing"]:
        increase = result["fold_loss"] - result["fold_loss_without"]
        holdout_loss = result["holdout"]["log_loss"]
        texts.append(f"{result['group']}: {result['fold_loss']:.4f} ({increase:+.4f}); holdout {holdout_loss:.3f}")
    return "; ".join(texts)


def export(work: Path) -> str:
    record = bundle_file(work, "record.json")
    return f"0 off by more than 1e-5; largest difference {record['export_off']:.1e}"


def bundle_file(work: Path, name: str) -> dict:
    champion = (work / "models/flights/champion").read_text().strip()
    return json.loads((work / "models/flights" / champion / name).read_text())


def registration(work: Path) -> str:
    """The time to register the champion in an existing store of its own: log, version, tags and alias."""
    from pipeline.config.config import load
    from pipeline.evaluation.bootstrap import Interval
    from pipeline.registry import mlflow_store, mlflow_versions
    from pipeline.training import run_record
    from pipeline.training.evidence import GateResult
    from pipeline.training.search import CandidateResult

    record = bundle_file(work, "record.json")
    config = load(ROOT / "configs" / "flights.yaml")
    name = record["candidate"]
    best = CandidateResult(name, config.candidates.boosting, record["candidates"][name])
    metrics = {metric: Interval(**ends) for metric, ends in bundle_file(work, "bundle.json")["metrics"].items()}
    tags = run_record.version_tags(best, metrics, [GateResult(**gate) for gate in record["gates"]], record)
    bundle = work / "models/flights" / (work / "models/flights/champion").read_text().strip()
    mlflow_store.connect("bench", f"sqlite:///{work}/registration.db")

    began = time.perf_counter()
    with mlflow_store.run("bench"):
        mlflow_versions.register(config.contract, bundle, tags)
    mlflow_versions.sync_champion_alias(config.contract, bundle, f"sqlite:///{work}/registration.db")
    return f"{time.perf_counter() - began:.1f} s"


def bootstrap(_: Path) -> str:
    """The time to compare two models on random rows, as many as November and December have, over as many days."""
    from pipeline.evaluation.bootstrap import Bootstrap, paired
    from pipeline.runtime.contract import Scoring

    rng = np.random.default_rng(0)
    rows = 54_000
    new = rng.beta(2, 6, rows)
    noise = rng.normal(size=rows) / 20
    outcome = rng.random(rows) < new
    old = np.clip(new + noise, 0.01, 0.99)
    days = np.arange(rows) * 61 // rows

    began = time.perf_counter()
    paired(outcome, new, old, days, Bootstrap(Scoring("binary", 0.25), 500, 0), 0.9)
    return f"{time.perf_counter() - began:.2f} s"
