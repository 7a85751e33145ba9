"""`make readme`: run the commands that README shows, and put what they print, the figures and the picture there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def main() -> None:
    """Train, serve, ask, and rewrite the marked parts of README."""
    trained = subprocess.run(
        ["make", "--no-print-directory", "train"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if trained.returncode != 0:
        sys.exit(f"make train failed:\n{trained.stdout}{trained.stderr}")
    text = README.read_text(encoding="utf-8")
    text = fill(text, "train", console("make train", trained.stdout.partition("\n")[2]))
    text = fill(text, "serve", serve())
    text = fill(text, "figures", figures())
    text = fill(text, "worth", worth())
    text = fill(text, "replay", replay())
    README.write_text(text, encoding="utf-8")
    summarise()
    README.write_text(fill(text, "test", test()), encoding="utf-8")  # last: the tests read this page too
    shutil.copy(ROOT / "reports/flights/summary.png", ROOT / "docs/summary.png")
    print("written: README.md, docs/summary.png, docs/replay.png")


def summarise() -> None:
    """What reviewers get, into docs/ci.md."""
    page = ROOT / "docs/ci.md"
    said = subprocess.run(
        ["make", "--no-print-directory", "summary"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    page.write_text(fill(page.read_text(encoding="utf-8"), "summary", block("markdown", said.stdout)), encoding="utf-8")


def fill(text: str, name: str, content: str) -> str:
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def console(command: str, printed: str) -> str:
    return block("console", f"$ {command}\n{printed}")


def block(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def serve() -> str:
    """What the server prints when it starts, and its answer to the line that it prints."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        ["make", "--no-print-directory", "serve"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None:
            sys.exit("make serve prints nothing")
        lines = [process.stdout.readline() for _ in range(4)]
        asked = lines[-1].strip()
        answer = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True).stdout
    finally:
        process.terminate()
        process.wait()
    return console("make serve", "".join(lines)) + "\n\nPasted, that line answers\n\n" + block("json", answer)


def test() -> str:
    """The last line of the tests."""
    ended = subprocess.run(
        ["make", "--no-print-directory", "test"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        sys.exit(f"make test failed:\n{ended.stdout}{ended.stderr}")
    return console("make test", "…\n" + ended.stdout.strip().splitlines()[-1])


def replay() -> str:
    """What a replay prints; its picture goes beside."""
    ended = subprocess.run(
        ["make", "--no-print-directory", "replay"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        sys.exit(f"make replay failed:\n{ended.stdout}{ended.stderr}")
    shutil.copy(ROOT / "reports/flights.replay/replay.png", ROOT / "docs/replay.png")
    return console("make replay", "\n".join(line.rstrip() for line in ended.stdout.splitlines()))


def figures() -> str:
    """The champion's figures in one sentence each, read from its bundle."""
    store = ROOT / "models/flights"
    folder = store / (store / "champion").read_text().strip()
    bundle, record = (json.loads((folder / name).read_text()) for name in ("bundle.json", "record.json"))
    best, folds = record["candidate"], record["candidates"][record["candidate"]]
    mean = {metric: sum(fold[metric] for fold in folds.values()) / len(folds) for metric in ("roc_auc", "log_loss")}
    auc, loss = bundle["metrics"]["roc_auc"], bundle["metrics"]["log_loss"]
    return (
        f"Champion `{folder.name}`: {best}, out of {len(record['candidates'])} kinds the simplest within one standard "
        f"error of the lowest mean log loss over {len(folds)} folds; its own is {mean['log_loss']:.3f} (mean ROC AUC "
        f"{mean['roc_auc']:.3f}). On the holdout, {record['holdout']}, opened once: ROC AUC "
        f"{auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}), log loss {loss['value']:.3f} "
        f"({loss['low']:.3f} to {loss['high']:.3f})."
    )


def worth() -> str:
    """What `make bench` found the features with memory to be worth."""
    row = re.search(r"^\| features with memory .*\| (.*) \|$", (ROOT / "docs/benchmarks.md").read_text(), re.MULTILINE)
    if row is None:
        sys.exit("docs/benchmarks.md has no line on the features with memory: run make bench first")
    return f"With them against the same model without, 95 % intervals over days: {row[1]}."


if __name__ == "__main__":
    main()
