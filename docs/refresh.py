"""`make readme`: run the commands that README and docs show, and put their output, figures and pictures there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import configuration
from marked import block, console, write

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
EXCERPT = ("Read and clean", "Search on", "all rows, mean", "Evaluate the gates", "Package, record")


def main() -> None:
    """Train, serve, ask, and rewrite the marked parts of README and docs."""
    # <flights>
    import refresh_flights

    os.environ["MODEL"] = "flights"  # the pages show them, whatever the default is
    # </flights>
    trained = subprocess.run(
        ["make", "--no-print-directory", "train"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if trained.returncode != 0:
        sys.exit(f"make train failed:\n{trained.stdout}{trained.stderr}")

    printed = trained.stdout.partition("\n")[2]
    write(DOCS / "commands.md", "train", console("make train", printed))
    write(README, "train", console("make train", excerpt(printed)))
    write(README, "serve", serve())
    # <flights>
    refresh_flights.write_all()
    # </flights>
    write(configuration.PAGE, "keys", configuration.tables())
    summarise()
    print("written: the marked parts of README.md and docs/")


def summarise() -> None:
    """Put the summary that reviewers of a pull request see into docs/ci.md."""
    completed = subprocess.run(
        ["make", "--no-print-directory", "summary"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    write(DOCS / "ci.md", "summary", block("markdown", completed.stdout))


def excerpt(printed: str) -> str:
    """The lines of a training's output that a first reader looks for, with the leaderboard."""
    lines = []
    in_leaderboard = False
    for line in printed.splitlines():
        if in_leaderboard and re.match(r" *[\d.]+ s  ", line):
            in_leaderboard = False
        if in_leaderboard or any(start in line for start in EXCERPT):
            lines.append(line)
        if line.startswith("all rows, mean"):
            in_leaderboard = True
    return "\n".join(lines)


def serve() -> str:
    """The server's output when it starts, and its response to the command in that output."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        ["make", "--no-print-directory", "serve"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )

    try:
        if process.stdout is None:
            sys.exit("make serve prints nothing")
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("curl "):
                break
        lines = lines[-4:]  # what set-up may print comes before
        command = lines[-1].strip()
        response = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    finally:
        process.terminate()
        process.wait()

    return console("make serve", "".join(lines)) + "\n\nPasted, that line answers\n\n" + block("json", response)


if __name__ == "__main__":
    main()
