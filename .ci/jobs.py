"""python .ci/jobs.py: the jobs of ci.yml as a picture in Mermaid's language, written into docs/ci.md."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
MARKERS = ("<!-- jobs -->", "<!-- /jobs -->")
ONLY = {"pull_request": "of a pull request", "'push'": "of a push to main"}


def main() -> None:
    page = ROOT / "docs/ci.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKERS[0])
    _, _, after = rest.partition(MARKERS[1])
    page.write_text("".join([before, MARKERS[0], "\n", picture(), MARKERS[1], after]), encoding="utf-8")


def picture() -> str:
    """A box for each job with what it waits for, when it runs and what it may write, as a block of Markdown.

    An arrow that follows from others is left out: `publish` waits for `image`, and with it for what `image` waits for.
    """
    jobs: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    needs = {name: set(job.get("needs", [])) for name, job in jobs.items()}
    lines = ["```mermaid", "flowchart LR"]
    for name, job in jobs.items():
        lines.append(f'  {name}["{"<br>".join(described(name, job))}"]')
    for name in jobs:
        waited = needs[name] - {further for need in needs[name] for further in before(need, needs)}
        lines += [f"  {need} --> {name}" for need in jobs if need in waited]
    return "\n".join([*lines, "```", ""])


def described(name: str, job: dict[str, Any]) -> list[str]:
    """The lines of a job's box."""
    lines = [f"<b>{name}</b>"]
    matrix = job.get("strategy", {}).get("matrix", {})
    lines += [", ".join(values) for values in matrix.values()]
    lines += [f"only {when}" for condition, when in ONLY.items() if condition in str(job.get("if", ""))]
    if writes := [right for right, level in job["permissions"].items() if level == "write"]:
        lines.append(f"may write: {', '.join(writes)}")
    return lines


def before(name: str, needs: dict[str, set[str]]) -> set[str]:
    """All jobs that have ended before a job starts."""
    found = set(needs[name])
    for need in needs[name]:
        found |= before(need, needs)
    return found


if __name__ == "__main__":
    main()
