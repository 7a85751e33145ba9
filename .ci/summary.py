"""`make summary`: the last training as Markdown, in reports/summary.md, and on GitHub in the job's summary.

The summary is of the bundle that this training made, and of no older one. Its first line is a comment of HTML that
tells `.ci/comment` whether there is anything to say.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MARKER = "<!-- the model's summary: {} -->"
NO_MODEL = "No training has made one, or the last one ended before it had one. Its log says why."


def main(model: str, digest: str | None = None) -> None:
    """Write the summary of the last training, or of the bundle with this digest."""
    text = of_bundle(model, digest, "a release") if digest else of_training(model)
    (ROOT / "reports").mkdir(exist_ok=True)
    (ROOT / "reports/summary.md").write_text(text, encoding="utf-8")
    if place := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(text)
    print(text.partition("\n")[2])


def of_training(model: str) -> str:
    """The summary of the last training. One that ended with an error has left its reports in MODEL.failed, one that was
    killed in a folder of its own.
    """
    if not (ROOT / f"configs/{model}.yaml").exists():
        sys.exit(f"error: configs/{model}.yaml: there is no such model")

    reports = ROOT / "reports"
    failed = reports / f"{model}.failed"
    made = (failed if failed.is_dir() else reports / model) / "training.json"
    if not made.exists() or list(reports.glob(f".unfinished-{model}-*")):
        return f"{MARKER.format('no model')}\n## `{model}`: no model\n\n{NO_MODEL}\n"
    training = json.loads(made.read_bytes())
    same = training["bundle"] == training["champion_before"]
    return of_bundle(model, training["bundle"], "the same model" if same else "another model")


def of_bundle(model: str, digest: str, news: str) -> str:
    bundle = ROOT / "models" / model / digest
    record = json.loads((bundle / "record.json").read_bytes())
    manifest = json.loads((bundle / "bundle.json").read_bytes())
    return f"{MARKER.format(news)}\n{summary(digest, record, manifest)}"


def summary(digest: str, record: dict[str, Any], manifest: dict[str, Any]) -> str:
    """The leaderboard, the holdout and the gates; one gate compares with the champion of that time."""
    loss = "mae" if manifest["contract"]["task"] == "regression" else "log_loss"
    means = {name: mean(loss, folds) for name, folds in record["candidates"].items() if folds}

    lines = [f"## `{manifest['contract']['name']}` `{digest}`: {record['candidate']}", ""]
    if means:  # a model that was brought as ONNX has none
        lines += [f"| candidate | mean {loss} of the folds |", "|---|---|"]
    for name in sorted(means, key=lambda candidate: means[candidate]):
        shown = f"**{name}**" if name == record["candidate"] else name
        lines.append(f"| {shown} | {means[name]:.4f} |")

    rows = record["holdout_rows"] if "holdout_rows" in record else record["judged_on"]  # the name in older bundles
    lines += ["", f"Holdout: {record['holdout']}, {rows:,} rows, opened once.", ""]
    if record.get("restart"):
        lines += [f"**A restart**, without a comparison with the champion: {record['restart']}", ""]
    for warning in record.get("warnings", []):
        lines += [f"**Warning**: {warning.removeprefix('Warning: ')}", ""]

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
    main(*sys.argv[1:])
