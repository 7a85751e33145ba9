"""`make challenge`: is there a better model than the champion? The answer is in reports/challenge.json."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pipeline.config.config import Config, load
from pipeline.data.keys import day_after, split_keys
from pipeline.data.read import read_and_clean
from pipeline.errors import PipelineError

ROOT = Path(__file__).parent.parent
FIRST = {"flights": date(2013, 5, 1)}  # where there is no champion to go on from; this month for any other model
REFUSED = 4
TRAINED = ("a better model", "nothing better")

Record = dict[str, Any]


def main(model: str) -> None:
    """Train a challenger of the champion, and write what came of it.

    Rows with a time go on as of AS_OF, by default one month after the champion's last day of training data. Where no
    champion knows only the days up to a month before, such a champion is trained first. Rows without a time are trained
    and compared on the split that their config declares. Ends with the code of a training that failed.
    """
    try:
        config = load(ROOT / f"configs/{model}.yaml")
        champion = record(model)
        result = month_on(config, model, champion) if config.retrain else again(model, champion)
    except PipelineError as error:
        print(f"error: configs/{model}.yaml: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

    (ROOT / "reports/challenge.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if place := os.environ.get("GITHUB_OUTPUT"):
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(f"trained={str(result['news'] in TRAINED).lower()}\n")
    print(f"as of {result['as_of']}: {result['news']}")


def month_on(config: Config, model: str, champion: Record | None) -> dict[str, Any]:
    following = months(champion["until"], 1) if champion else FIRST.get(model, date.today().replace(day=1))
    as_of = os.environ.get("AS_OF") or str(following)
    before = str(months(as_of, -1))
    if champion and not os.environ.get("AS_OF") and champion["until"] >= (end := data_end(config)):
        return outcome(model, end, f"no data newer than {last_day(end)}", champion)

    if champion is None or champion["until"] > before:
        print(f"no champion that knows only the days before {before}: one is made first, to be challenged", flush=True)
        (ROOT / "models" / model / "champion").unlink(missing_ok=True)
        if code := pipeline(model, "retrain", "--as-of", before):
            sys.exit(code)
        champion = record(model)
    return challenged(model, as_of, champion, pipeline(model, "retrain", "--as-of", as_of))


def again(model: str, champion: Record | None) -> dict[str, Any]:
    today = str(date.today())
    if champion is None:
        return outcome(model, today, "there is no released model to compare with", None)
    return challenged(model, today, champion, pipeline(model, "train"))


def challenged(model: str, as_of: str, champion: Record | None, code: int) -> dict[str, Any]:
    if code not in (0, REFUSED):
        sys.exit(code)
    after = record(model)
    better = code == 0 and after != champion
    return outcome(model, as_of, "a better model" if better else "nothing better", after)


def outcome(model: str, as_of: str, news: str, champion: Record | None) -> dict[str, Any]:
    version = champion and champion["version"]
    return {"model": model, "as_of": as_of, "news": news, "version": version}


def data_end(config: Config) -> str:
    """The day after the newest row."""
    with tempfile.TemporaryDirectory() as reports:
        columns = read_and_clean(config, Path(reports)).columns
    return day_after(split_keys(columns, config)) or ""


def last_day(end: str) -> str:
    return str(date.fromisoformat(end) - timedelta(days=1))


def record(model: str) -> Record | None:
    """The champion's record.json with its version; None where there is no champion."""
    models = ROOT / "models" / model
    if not (models / "champion").exists():
        return None
    version = (models / "champion").read_text().strip()
    return {"version": version, **json.loads((models / version / "record.json").read_bytes())}


def pipeline(model: str, command: str, *options: str) -> int:
    """Run a command as its target of make does, and return its exit code."""
    words = [ROOT / ".venv/bin/python", "-m", "pipeline", command, f"configs/{model}.yaml", *options]
    return subprocess.run(words, cwd=ROOT, check=False).returncode


def months(day: str, count: int) -> date:
    """The first day of the month that comes `count` months after the month of `day`."""
    then = date.fromisoformat(day)
    month = then.year * 12 + then.month - 1 + count
    return date(month // 12, month % 12 + 1, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
