"""`make bench`: measure what docs/benchmarks.md states, on this machine, and write it there.

Takes about six minutes and a quiet machine. `python bench/measure.py NAME …` measures those rows and writes nothing.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import psutil

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
PYTHON = sys.executable
MIB = 2**20
TRIED = [
    "Aimed at: 50 times MLflow's requests for one row, 10 times for a hundred. Not reached here. What was tried",
    "and did not pay: gc.freeze and no collection at all; onnxruntime without its arena, memory patterns or",
    "reuse, and its inner `run`; no log. What paid: no timer per request, answers written by hand, validation",
    "without Python in it, one array for all numbers. Of a hundred rows the graph alone takes 370 µs. The same",
    "handler takes 48 µs in a loop and 70 µs after each switch of the processor, which a server of ten thousand",
    "small requests has all the time and one of 250 large ones has not.",
]


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
    return f"{timed([str(Path(PYTHON).parent / 'pytest')], ROOT)[0]:.0f} s"


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
    from pipeline import record, registry
    from pipeline.config import load
    from pipeline.evaluate import Interval
    from pipeline.gates import Verdict
    from pipeline.search import Standing

    told = bundle_file(work, "record.json")
    config = load(ROOT / "configs" / "flights.yaml")
    best = Standing(told["candidate"], config.candidates.boosting, told["candidates"][told["candidate"]])
    metrics = {name: Interval(**ends) for name, ends in bundle_file(work, "bundle.json")["metrics"].items()}
    tags = record.version_tags(best, metrics, [Verdict(**gate) for gate in told["gates"]], told)
    bundle = work / "models/flights" / (work / "models/flights/champion").read_text().strip()
    registry.connect("bench", f"sqlite:///{work}/registration.db")
    began = time.perf_counter()
    with registry.run():
        registry.register(config.contract, bundle, tags)
    registry.follow(config.contract, bundle, f"sqlite:///{work}/registration.db")
    return f"{time.perf_counter() - began:.1f} s"


def bootstrap(_: Path) -> str:
    """Two models on rows made by chance, as many as November and December have, over as many days."""
    from pipeline.evaluate import Bootstrap, paired

    rng = np.random.default_rng(0)
    rows = 54_000
    new, noise = rng.beta(2, 6, rows), rng.normal(size=rows) / 20
    outcome, old = rng.random(rows) < new, np.clip(new + noise, 0.01, 0.99)
    began = time.perf_counter()
    paired(outcome, new, old, np.arange(rows) * 61 // rows, Bootstrap(0.25, 500, 0), 0.9)
    return f"{time.perf_counter() - began:.2f} s"


def one_row(work: Path) -> str:
    from pipeline.predict import load

    predictor = load(work / "models" / "flights")
    row = {name: values[:1] for name, values in predictor.golden.columns.items()}
    took = []
    for _ in range(20_000):
        began = time.perf_counter_ns()
        predictor.predict(row)
        took.append(time.perf_counter_ns() - began)
    p50, p99 = np.percentile(took[1000:], [50, 99]) / 1000
    return f"{p50:.0f} µs (p99 {p99:.0f} µs)"


@contextmanager
def serving(work: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server of its own, from the moment that it is ready."""
    environment = {**os.environ, "MODEL_DIR": str(work / "models/flights"), "PORT": "8765"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([PYTHON, "-m", "serve"], env=environment, cwd=ROOT, **quiet)
    try:
        while True:
            try:
                urlopen("http://127.0.0.1:8765/readyz")
                break
            except OSError:
                time.sleep(0.005)
        yield process
    finally:
        process.terminate()
        process.wait()


def ask(path: str, body: bytes) -> None:
    urlopen(Request(f"http://127.0.0.1:8765{path}", body, {"content-type": "application/json"})).read()


def server(work: Path) -> str:
    """Start to the first 200 of /readyz, the median of five; resident memory after 200 predictions."""
    from pipeline.predict import load

    example = json.dumps(load(work / "models" / "flights").golden.rows[0]).encode()
    starts, resident = [], 0.0
    for _ in range(5):
        began = time.perf_counter()
        with serving(work) as process:
            starts.append(time.perf_counter() - began)
            for _ in range(200):
                ask("/predict", example)
            resident = psutil.Process(process.pid).memory_info().rss / MIB
    return f"{sorted(starts)[2]:.2f} s, {resident:.0f} MiB"


def beside(work: Path) -> str:
    """One row again and again while batches of ten thousand are answered: the median and the worst."""
    from pipeline.predict import load

    rows = load(work / "models" / "flights").golden.rows[:48]
    one = json.dumps(rows[0]).encode()
    many = json.dumps({"rows": [rows[n % 48] for n in range(10_000)]}).encode()
    took = []
    with serving(work):
        crowd = threading.Thread(target=lambda: [ask("/predict/batch", many) for _ in range(20)])
        crowd.start()
        while crowd.is_alive():
            began = time.perf_counter()
            ask("/predict", one)
            took.append((time.perf_counter() - began) * 1000)
    return f"{np.median(took):.1f} ms, 99 % within {np.percentile(took, 99):.0f} ms, worst {max(took):.0f} ms"


def installed(_: Path) -> str:
    """The files of every package of the serving lock, without their compiled copies."""
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "requirements/serve.txt").read_text(), re.MULTILINE)
    size = 0
    for name in set(pinned):
        with suppress(metadata.PackageNotFoundError):  # one for another platform
            files = [Path(str(file.locate())) for file in metadata.files(name) or []]
            size += sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")
    return f"{size / 1e6:.0f} MB"


ROWS: dict[str, tuple[str, str, Callable[[Path], str]]] = {
    "setup": ("set-up from nothing: cold cache, pip, hashes checked", "150 s", setup),
    "train": ("`make train`, environment ready: wall, peak of all processes", "150 s, 2.5 GB", train),
    "smoke": ("training on `configs/smoke.yaml`, best of three", "10 s", smoke),
    "folds": ("champion, mean of the three folds", "AUC ≥ 0.722, log loss ≤ 0.478", folds),
    "holdout": ("champion, November–December, with 95 % intervals over days", "reported", holdout),
    "export": (
        "ONNX against scikit-learn, 53,991 holdout rows and 10,000 damaged ones",
        "0 off by more than 1e-5",
        export,
    ),
    "registration": ("registration in MLflow: log, version, tags, alias", "5 s", registration),
    "bootstrap": (
        "paired day-block bootstrap of AUC and log loss, 500 resamples of 54,000 rows, two models",
        "1 s",
        bootstrap,
    ),
    "one_row": ("one row in process, request columns to answer, p50", "60 µs", one_row),
    "server": ("server: start to ready (median of five), resident memory", "0.8 s, 110 MB", server),
    "beside": ("one row while batches of 10,000 are answered", "20 ms", beside),
    "installed": ("installed serving set, every package of `requirements/serve.txt`", "200 MB", installed),
    "tests": ("`make test`", "150 s", tests),
}


def main(names: list[str]) -> None:
    """Measure the named rows, or all of them and write the page."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        needed = names if not names or names == ["setup"] else ["train", *(n for n in names if n != "train")]
        for name in needed or ROWS:
            title, limit, measure = ROWS[name]
            found = measure(Path(folder))
            print(f"{title}: {found}", flush=True)
            lines.append(f"| {title} | {limit} | {found} |")
    if not names:
        PAGE.write_text(page(lines))
        print(f"written: {PAGE.relative_to(ROOT)}")


def page(lines: list[str]) -> str:
    memory = psutil.virtual_memory().total / 2**30
    machine = f"{psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"
    today, python = datetime.now(UTC).date(), platform.python_version()
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    serving = re.search(r"<!-- serving -->.*<!-- /serving -->", before, re.DOTALL)
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Written by `make bench` on {today}: {machine}, Python {python}. Shared machines are noisy; read times",
            "as ±20 %. `bench/measure.py` says how each row is measured.",
            "",
            "| what | limit | measured |",
            "|---|---|---|",
            *lines,
            "",
            "## The server and its peers",
            "",
            "Written by `make bench-serve`; `bench/serving.py` says who the peers are and how they are measured.",
            "",
            *TRIED,
            "",
            serving[0] if serving else "<!-- serving -->\n<!-- /serving -->",
            "",
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
