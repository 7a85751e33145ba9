"""`make challenge`: is there a better model than the champion, a month on? The answer is in reports/challenge.json."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.config.config import load
from pipeline.errors import PipelineError
from pipeline.training.retrain import plan

ROOT = Path(__file__).parent.parent
FIRST = {"flights": date(2013, 5, 1)}  # where there is no champion to go on from; this month for any other model
REFUSED = 4


def main(model: str) -> None:
    """Train a challenger as of AS_OF; by default that is one month after the champion's last day of training data.

    Where no champion knows only the days up to a month before, such a champion is trained first. Ends with the code of
    the error, before any work, where the config has no time to go on by.
    """
    try:
        plan(load(ROOT / f"configs/{model}.yaml"), None)
    except PipelineError as error:
        print(f"error: configs/{model}.yaml: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

    champion = record(model)
    following = months(champion["until"], 1) if champion else FIRST.get(model, date.today().replace(day=1))
    as_of = os.environ.get("AS_OF") or str(following)
    before = str(months(as_of, -1))

    if champion is None or champion["until"] > before:
        print(f"no champion that knows only the days before {before}: one is made first, to be challenged", flush=True)
        (ROOT / "models" / model / "champion").unlink(missing_ok=True)
        if code := retrain(model, before):
            sys.exit(code)
        champion = record(model)

    code = retrain(model, as_of)
    if code not in (0, REFUSED):
        sys.exit(code)

    after = record(model)
    better = code == 0 and after != champion
    result = {"model": model, "as_of": as_of, "better": better, "version": after and after["version"]}
    (ROOT / "reports/challenge.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"as of {as_of}: {'a better model' if better else 'nothing better'}")


def record(model: str) -> dict[str, Any] | None:
    """The champion's record.json with its version; None where there is no champion."""
    models = ROOT / "models" / model
    if not (models / "champion").exists():
        return None
    version = (models / "champion").read_text().strip()
    return {"version": version, **json.loads((models / version / "record.json").read_bytes())}


def retrain(model: str, as_of: str) -> int:
    """Run the command of `make retrain` and return its exit code."""
    command = [ROOT / ".venv/bin/python", "-m", "pipeline", "retrain", f"configs/{model}.yaml", "--as-of", as_of]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def months(day: str, count: int) -> date:
    """The first day of the month that comes `count` months after the month of `day`."""
    then = date.fromisoformat(day)
    month = then.year * 12 + then.month - 1 + count
    return date(month // 12, month % 12 + 1, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
