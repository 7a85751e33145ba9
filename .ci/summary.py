"""`make summary`: the results of a training, as Markdown, in reports/summary.md, and on GitHub in the job's summary."""

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def main(model: str) -> None:
    """Write the summary of the newest model, whether it is the champion or not."""
    records = list((ROOT / "models" / model).glob("*/record.json"))
    if not records:
        sys.exit(f"error: there is no model of {model}: run make train first")

    bundle = max(records, key=lambda path: json.loads(path.read_bytes())["created"]).parent
    record = json.loads((bundle / "record.json").read_bytes())
    manifest = json.loads((bundle / "bundle.json").read_bytes())
    text = summary(bundle.name, record, manifest)

    (ROOT / "reports/summary.md").write_text(text, encoding="utf-8")
    if place := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(text)
    print(text)


def summary(digest: str, record: dict[str, Any], manifest: dict[str, Any]) -> str:
    """The leaderboard, the holdout and the gates; one gate compares with the champion of that time."""
    loss = "mae" if manifest["contract"]["task"] == "regression" else "log_loss"
    means = {name: mean(loss, folds) for name, folds in record["candidates"].items() if folds}

    lines = [f"## `{manifest['contract']['name']}` `{digest}`: {record['candidate']}", ""]
    lines += [f"| candidate | mean {loss} of the folds |", "|---|---|"]
    for name in sorted(means, key=lambda candidate: means[candidate]):
        shown = f"**{name}**" if name == record["candidate"] else name
        lines.append(f"| {shown} | {means[name]:.4f} |")

    lines += ["", f"Holdout: {record['holdout']}, {record['judged_on']:,} rows, opened once.", ""]
    if record.get("restart"):
        lines += [f"**A restart**, without a comparison with the champion: {record['restart']}", ""]

    lines += ["| gate | value | allowed | |", "|---|---|---|---|"]
    for gate in record["gates"]:
        verdict = "pass" if gate["passed"] else "**refused**"
        if gate["passed"] and gate.get("warning"):
            verdict = f"**warning**: {gate['why']}"
        lines.append(f"| {gate['gate']} | {gate['value']} | {gate['limit']} | {verdict} |")
    return "\n".join([*lines, ""])


def mean(metric: str, folds: dict[str, dict[str, float]]) -> float:
    return sum(fold[metric] for fold in folds.values()) / len(folds)


if __name__ == "__main__":
    main(sys.argv[1])
