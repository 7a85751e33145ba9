"""`make bench`: measure the rows of docs/benchmarks.md on this machine, and write them there.

It takes about eight minutes and needs a quiet machine. `python bench/measure.py NAME …` measures the named rows alone
and writes them into their places.
"""

import platform
import re
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil
from alarms import false_alarms, replayed
from answering import beside, explained, image, installed, one_row, server
from attacked import attacked
from limits import is_missed
from logged import logged
from remembered import worth
from training import bootstrap, export, folds, holdout, missing, registration, setup, smoke, tests, train

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
TRIED = [
    "Limits: 50 times MLflow's requests for one row, 10 times for a hundred rows: both **missed**. What was tried",
    "and did not help: no garbage collection, onnxruntime without its arena or memory patterns, no prediction",
    "log. What helped: no timer per request, responses written by hand, validation without Python in it, one",
    "array for all numbers. `gc.freeze` does not change the rate, and takes a third off the slowest response",
    "beside a batch of ten thousand. The graph alone takes 310 µs for a hundred rows.",
]


ROWS: dict[str, tuple[str, str, Callable[[Path], str]]] = {
    "setup": ("set-up from nothing: cold cache, pip, hashes checked", "150 s", setup),
    "train": ("`make train`, environment ready: wall, peak of all processes", "170 s, 2.5 GB", train),
    "smoke": ("training on `configs/smoke.yaml`, best of three", "10 s", smoke),
    "folds": ("champion, mean of the three folds", "AUC ≥ 0.732, log loss ≤ 0.466", folds),
    "holdout": ("champion, November–December, with 95 % intervals over days", "reported", holdout),
    "missing": (
        "optional columns left out: log loss on the sampled folds, against one trained without them; on the holdout",
        "reported",
        missing,
    ),
    "worth": ("rolling features against the same without, 95 % intervals over days", "reported", worth),
    "alarms": ("monitor: alarms where nothing has changed", "reported", false_alarms),
    "replayed": ("`make replay`, April to October", "300 s", replayed),
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
    "beside": ("one row while batches of 10,000 are answered, p99", "15 ms", beside),
    "logged": (
        "prediction log at half the largest rate, one row each: rows dropped, more memory, CPU",
        "0, 35 MB, CPU ≤ 1.10",
        logged,
    ),
    "explained": ("an explanation over HTTP, p50; difference from one with 40 times the orders", "10 ms", explained),
    "attacked": (
        "25 hostile requests, one at a time: slowest other request meanwhile, most memory of one",
        "100 ms, 40 MB",
        attacked,
    ),
    "image": ("image: over its base; `docker run` to the first answer (median of five)", "200 MB, 0.8 s", image),
    "installed": ("installed serving set, every package of `requirements/serve.txt`", "200 MB", installed),
    "tests": ("`make test`", "150 s", tests),
}


def main(names: list[str]) -> None:
    """Measure all rows, or the named ones, and write the page. With names, the other rows stay as they are."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        needed = names if not names or names == ["setup"] else ["train", *(n for n in names if n != "train")]
        for name in needed or ROWS:
            title, limit, measure = ROWS[name]
            result = measure(Path(folder))
            print(f"{title}: {result}", flush=True)
            mark = " **missed**" if is_missed(limit, result) else ""
            lines.append(f"| {title} | {limit} | {result}{mark} |")

    if names:
        new = {line.split(" | ")[0]: line for line in lines}
        known = re.findall(r"^\| .*\|$", before().partition("\n## ")[0], re.MULTILINE)[1:]
        lines = [new.get(line.split(" | ")[0], line) for line in known]
    PAGE.write_text(page(lines, names))
    print(f"written: {PAGE.relative_to(ROOT)}")


def before() -> str:
    """The page as it is."""
    return PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""


def page(lines: list[str], names: list[str]) -> str:
    """The page with these lines of the table.

    With `names`, only these were measured: they get a day of their own, and the day of the other rows stays.
    """
    ram = psutil.virtual_memory().total / 2**30
    machine = f"{psutil.cpu_count()} cores, {ram:.0f} GiB, {platform.system()} {platform.machine()}"
    today = str(datetime.now(UTC).date())
    whole = re.search(r"Written by `make bench` on ([\d-]+)", before())
    day = whole[1] if names and whole else today
    again = [f"Measured again on {today}: {', '.join(names)}.", ""] if names else []
    python = platform.python_version()
    match = re.search(r"<!-- serving -->.*<!-- /serving -->", before(), re.DOTALL)
    serving = match[0] if match else "<!-- serving -->\n<!-- /serving -->"

    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Written by `make bench` on {day}: {machine}, Python {python}. Shared machines are noisy; read times",
            "as ±20 %. `bench/training.py` and `bench/answering.py` say how.",
            "",
            *again,
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
            serving,
            "",
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
