"""Measurements of the champion's predictions for `make bench`: in process, in the server, and on disk."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import psutil

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
MIB = 2**20


def one_row(work: Path) -> str:
    from pipeline.runtime.predictor import load

    predictor = load(work / "models" / "flights")
    row = {name: values[:1] for name, values in predictor.golden.columns.items()}
    took = []
    for _ in range(20_000):
        began = time.perf_counter_ns()
        predictor.predict(row)
        took.append(time.perf_counter_ns() - began)
    p50, p99 = np.percentile(took[1000:], [50, 99]) / 1000
    return f"{p50:.0f} µs (p99 {p99:.0f} µs)"


def explained(work: Path) -> str:
    """The time of POST /explain for forty rows; in process, its error against forty times as many sampled orders."""
    from pipeline.runtime import shapley
    from pipeline.runtime.arrays import to_columns
    from pipeline.runtime.predictor import load

    predictor = load(work / "models" / "flights")
    took = []
    with serving(work):
        for row in predictor.golden.rows[:40] * 3:
            began = time.perf_counter()
            ask("/explain", json.dumps(row).encode())
            took.append((time.perf_counter() - began) * 1000)

    errors = []
    background = shapley.sample_background(predictor.background)
    names = list(predictor.contract.request)
    for row in predictor.golden.rows[:8]:
        columns = to_columns([row], predictor.contract)
        estimates = []
        for shapley.SEED in range(41):
            shapley.permutation_places.cache_clear()
            estimates.append(shapley.by_permutations(predictor, columns, background, names)[2].mean(axis=0))
        errors.append(np.abs(estimates[0] - np.mean(estimates[1:], axis=0)))

    p50, p99 = np.percentile(took, [50, 99])
    return f"{p50:.1f} ms (p99 {p99:.1f} ms); {np.mean(errors):.4f} off, at most {np.max(errors):.4f}"


@contextmanager
def serving(work: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A ready server with the champion of `work`, on port 8765 if `settings` has none; it ends with the body."""
    environment = {**os.environ, "MODEL_DIR": str(work / "models/flights"), "PORT": "8765", **settings}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([PYTHON, "-m", "serve"], env=environment, cwd=ROOT, **quiet)
    try:
        wait(environment["PORT"])
        yield process
    finally:
        process.terminate()
        process.wait()


def wait(port: str) -> None:
    while True:
        try:
            urlopen(f"http://127.0.0.1:{port}/readyz")
            return
        except OSError:
            time.sleep(0.005)


def ask(path: str, body: bytes) -> None:
    urlopen(Request(f"http://127.0.0.1:8765{path}", body, {"content-type": "application/json"})).read()


def server(work: Path) -> str:
    """Seconds from the start to the first 200 of /readyz, the median of five; memory after 200 predictions."""
    from pipeline.runtime.predictor import load

    example = json.dumps(load(work / "models" / "flights").golden.rows[0]).encode()
    starts = []
    resident = 0.0
    for _ in range(5):
        began = time.perf_counter()
        with serving(work) as process:
            starts.append(time.perf_counter() - began)
            for _ in range(200):
                ask("/predict", example)
            resident = psutil.Process(process.pid).memory_info().rss / MIB
    return f"{sorted(starts)[2]:.2f} s, {resident:.0f} MiB"


def beside(work: Path) -> str:
    """The time of a one-row request while the server predicts batches of ten thousand: p99, median and worst."""
    from pipeline.runtime.predictor import load

    rows = load(work / "models" / "flights").golden.rows[:48]
    one = json.dumps(rows[0]).encode()
    many = json.dumps({"rows": [rows[n % 48] for n in range(10_000)]}).encode()

    took = []
    with serving(work):
        batches = threading.Thread(target=lambda: [ask("/predict/batch", many) for _ in range(20)])
        batches.start()
        while batches.is_alive():
            began = time.perf_counter()
            ask("/predict", one)
            took.append((time.perf_counter() - began) * 1000)

    return f"{np.percentile(took, 99):.0f} ms, median {np.median(took):.1f} ms, worst {max(took):.0f} ms"


def image(_: Path) -> str:
    """MB that the champion's image adds to its base; seconds from `docker run` to the first 200, median of five."""
    if shutil.which("docker") is None:
        return "no Docker here"
    subprocess.run(["make", "image", "IMAGE=bench"], cwd=ROOT, check=True, capture_output=True)
    layers = docker("history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", "bench")
    ours, _, base = layers.partition("COPY /out/ /")  # newest first
    added = sum(int(line.split()[0]) for line in ours.splitlines()) if base else 0

    locked = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host"]
    starts = []
    for _ in range(5):
        began = time.perf_counter()
        name = docker("run", "--detach", *locked, "--env", "PORT=8765", "bench")
        wait()
        starts.append(time.perf_counter() - began)
        docker("rm", "--force", name)

    return f"{added / 1e6:.0f} MB, {sorted(starts)[2]:.2f} s"


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def installed(_: Path) -> str:
    """The size of all files of the packages in the serving lock, without `.pyc` files."""
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "requirements/serve.txt").read_text(), re.MULTILINE)
    size = 0
    for name in set(pinned):
        with suppress(metadata.PackageNotFoundError):  # one for another platform
            files = [Path(str(file.locate())) for file in metadata.files(name) or []]
            size += sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")
    return f"{size / 1e6:.0f} MB"
