"""The parts of README and docs that show the flights: `make readme` writes them too."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from marked import block, console, write

ROOT = Path(__file__).parent.parent
RUN = ROOT / "docs/champion.json"  # tests compare README and the pages with it
RECORDED = ("candidate", "candidates", "rows", "holdout", "holdout_rows", "trained_on", "missing", "gates", "warnings")
CARDS = {"MODEL_CARD.md": "model-card.md", "DATA_CARD.md": "data-card.md"}
SAME_HOUR = (  # a pipeline that joins the weather of the hour of departure, which no caller knows two hours ahead
    "from pipeline.datasets import flights; flights.LAG_HOURS = 0; from pipeline.__main__ import main; main()"
)


def write_all() -> None:
    """Write them all, after a training of the flights."""
    store = ROOT / "models/flights"
    write_run(store / (store / "champion").read_text().strip())
    write(ROOT / "docs/loop.md", "worth", worth())
    write(ROOT / "docs/loop.md", "replay", replay())
    write(ROOT / "docs/loop.md", "skew", skew())  # after the replay, whose log it reads


def write_run(bundle: Path) -> None:
    """Write what the pages state of the champion, and its cards."""
    run = recorded_run(bundle)
    RUN.write_text(json.dumps(run, indent=1) + "\n")
    write(ROOT / "README.md", "headline", headline(run))
    write(ROOT / "README.md", "figures", figures(run))
    for card, page in CARDS.items():
        shutil.copy(bundle / card, ROOT / "docs" / page)


def replay() -> str:
    """The output of a replay; its picture is copied to docs/replay.png."""
    ended = subprocess.run(
        ["make", "--no-print-directory", "replay", "MODEL=flights"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        sys.exit(f"make replay failed:\n{ended.stdout}{ended.stderr}")
    shutil.copy(ROOT / "reports/flights.replay/replay.png", ROOT / "docs/replay.png")
    return console("make replay", "\n".join(line.rstrip() for line in ended.stdout.splitlines()))


def skew() -> str:
    """The replay's log compared with the data, in short, and with data that have the weather of another hour."""
    environment = {**os.environ, "LOG_URL": "sqlite:///reports/flights.replay/log.db"}
    parts = []
    for command, code in ((["-m", "pipeline"], 0), (["-c", SAME_HOUR], 6)):
        words = [sys.executable, *command, "skew", "configs/flights.yaml"]
        ended = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode != code:
            sys.exit(f"skew ended with {ended.returncode} instead of {code}:\n{ended.stdout}{ended.stderr}")
        parts.append([line.rstrip() for line in ended.stdout.splitlines()])

    honest, same_hour = parts
    shortened = "\n".join([*honest[:4], "…", *honest[-3:]])
    first = console("LOG_URL=sqlite:///reports/flights.replay/log.db make skew", shortened)
    then = "With `LAG_HOURS = 0` in `src/pipeline/datasets/flights.py`, the same command on the same log:"
    return f"{first}\n\n{then}\n\n" + block("console", "\n".join(same_hour))


def recorded_run(folder: Path) -> dict[str, Any]:
    """The numbers of a bundle that the pages state."""
    manifest = json.loads((folder / "bundle.json").read_text())
    record = json.loads((folder / "record.json").read_text())

    contract = {name: manifest["contract"][name] for name in ("name", "task")}
    facts = {name: record[name] for name in RECORDED}
    return {"bundle": folder.name, "contract": contract, "metrics": manifest["metrics"], "record": facts}


def headline(run: dict[str, Any]) -> str:
    """The data, the champion's ROC AUC and its gates in one line."""
    record = run["record"]
    gates = len(record["gates"])
    rows = f"{record['rows']['valid']:,} flights out of New York in 2013"
    return f"{rows}: ROC AUC {interval(run['metrics']['roc_auc'])} on {record['holdout']}, after {gates} gates."


def figures(run: dict[str, Any]) -> str:
    """The champion's figures on the holdout beside those of a constant prediction."""
    metrics = run["metrics"]
    record = run["record"]

    late = share_of_late(metrics)
    roc_auc = interval(metrics["roc_auc"])
    gate = next(gate for gate in record["gates"] if gate["gate"] == "log_loss below the baseline's")
    constant_loss = metrics["log_loss"]["value"] + float(gate["value"].removeprefix("by "))
    costs = costs_per_flight(metrics, late, yaml.safe_load((ROOT / "configs/flights.yaml").read_text())["costs"])
    rows = [
        ("ROC AUC: chance that a late flight gets a higher probability than one on time", roc_auc, "0.5"),
        ("log loss: lower is better", interval(metrics["log_loss"]), f"{constant_loss:.3f}"),
        ("calibration error: predicted against observed share", f"{metrics['ece']['value']:.3f}", "–"),
        ("cost per flight: 3 for a late flight without a warning, 1 for a false alarm", *costs),
    ]
    rows_of_holdout = f"{record['holdout']}, {record['holdout_rows']:,} flights"
    head = f"Champion `{run['bundle']}` ({record['candidate']}) on {rows_of_holdout}:"
    table = [f"| {name} | {model} | {constant} |" for name, model, constant in rows]
    columns = ["| metric, with its 95 % interval | model | constant prediction |", "|---|---|---|"]
    return "\n".join([head, "", *columns, *table])


def share_of_late(metrics: dict[str, Any]) -> float:
    """The share of positive rows, from accuracy, precision and recall: errors are missed positives and false alarms."""
    accuracy, precision, recall = (metrics[name]["value"] for name in ("accuracy", "precision", "recall"))
    return float((1 - accuracy) / ((1 - recall) + recall * (1 - precision) / precision))


def costs_per_flight(metrics: dict[str, Any], late: float, costs: dict[str, float]) -> tuple[str, str]:
    """The cost of the model's warnings, and the lower of the costs of warning always and never."""
    precision, recall = metrics["precision"]["value"], metrics["recall"]["value"]
    missed = (1 - recall) * late
    false_alarms = recall * late * (1 - precision) / precision
    model = costs["miss"] * missed + costs["false_alarm"] * false_alarms
    constant = min(costs["miss"] * late, costs["false_alarm"] * (1 - late))
    return f"{model:.2f}", f"{constant:.2f}"


def interval(figure: dict[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def worth() -> str:
    """The value of the rolling features, as `make bench` measured it."""
    row = re.search(r"^\| rolling features .*\| (.*) \|$", (ROOT / "docs/benchmarks.md").read_text(), re.MULTILINE)
    if row is None:
        sys.exit("docs/benchmarks.md has no line on the rolling features: run make bench first")
    return f"With them against the same model without, 95 % intervals over days: {row[1]}."
