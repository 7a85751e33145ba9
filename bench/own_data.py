"""`make bench SUITE=own`: take public tables from CSV to a monitored champion, and write docs/own-data.md.

It takes a quarter of an hour; only the seconds need a quiet machine. `python bench/own_data.py NAME …` takes the
named tables alone, such as diamonds, and writes nothing.
"""

import math
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil
import public_tables
from histgradient import Comparison, Quality, compare
from limits import is_missed
from onboarded import MOST, STEPS, Onboarded, onboard
from public_tables import TABLES, TIMED, Table

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "own-data.md"
BEGIN = "<!-- own -->"
END = "<!-- /own -->"
QUIET = 0.5  # load of a machine on which nothing else runs
MISSED = " **missed**"
NOT_SERVED = "–"


class Result(NamedTuple):
    """What came of one table. There is no comparison where the training did not end with a champion."""

    table: Table
    rows: int
    columns: int
    onboarded: Onboarded
    quality: Quality | None


def main(names: list[str]) -> None:
    """Take all tables, or the named ones, one after the other. With all tables, write the page."""
    machine = describe_machine()
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "configs").mkdir()
        public_tables.fetch(work / "packages")
        for table in TABLES:
            if table.name in names or not names:
                results.append(take(work, table))
                print(table_line(results[-1]), flush=True)

    if not names:
        write([machine, "", *limit_lines(results), "", *table_lines(results)])


def take(work: Path, table: Table) -> Result:
    """Write the table to a CSV file, take it through all steps, and compare its champion."""
    frame = public_tables.read(table, work / "packages")
    csv = work / f"{table.name}.csv"
    frame.to_csv(csv, index=False)

    onboarded = onboard(work, table.name, csv, table.target)
    quality = compare(work, table.name) if "train" in onboarded.held else None
    return Result(table, *frame.shape, onboarded, quality)


def describe_machine() -> str:
    """The day, the machine, and whether something else runs on it: to be called before the work begins."""
    ram = psutil.virtual_memory().total / 2**30
    machine = f"{psutil.cpu_count()} cores, {ram:.0f} GiB, {platform.system()} {platform.machine()}"
    load = os.getloadavg()[0]
    text = f"Written on {datetime.now(UTC).date()}: {machine}, Python {platform.python_version()}."
    if load > QUIET:
        text += f" Other work ran beside it (a load of {load:.1f} at the start), so the seconds are upper bounds."
    return text


def limit_lines(results: list[Result]) -> list[str]:
    """The table of limits: what was promised of all tables, and what they came to."""
    stopped = [result.table.name for result in results if result.onboarded.failure]
    differences = [difference for result in results for difference in result.onboarded.differences]
    different = sum(difference > MOST for difference in differences)
    qualities = {result.table.name: result.quality for result in results if result.quality}
    worse = [name for name, quality in qualities.items() if quality.folds.is_worse]
    worse_on_holdout = [name for name, quality in qualities.items() if quality.holdout.is_worse]
    timed = next(result for result in results if result.table == TIMED)

    rows = [
        ("tables that a step stopped", "0", listed(stopped, len(results))),
        (
            f"predictions over HTTP against the bundle's, {len(differences):,} rows",
            f"0 off by more than {MOST:g}",
            f"{different} off by more than {MOST:g}; largest difference {max(differences, default=0):.1e}",
        ),
        ("champions with a larger loss than HistGradientBoosting on the folds", "0", listed(worse, len(qualities))),
        ("the same on the holdout", "reported", listed(worse_on_holdout, len(qualities))),
        (
            f"{timed.rows:,} rows of {timed.table.dataset}, from CSV to the first prediction over HTTP",
            "60 s",
            seconds_of(timed),
        ),
    ]
    lines = ["| what | limit | measured |", "|---|---|---|"]
    for title, limit, measured in rows:
        mark = MISSED if measured == NOT_SERVED or is_missed(limit, measured) else ""
        lines.append(row([title, limit, measured + mark]))
    return lines


def listed(names: list[str], count: int) -> str:
    """How many of so many tables, and which."""
    which = f": {', '.join(names)}" if names else ""
    return f"{len(names)} of {count}{which}"


def table_lines(results: list[Result]) -> list[str]:
    """The table with a line for each table, and the comparison of the regressions with another loss."""
    head = ["table", "rows", "columns", "target", "task", "champion", "loss on the folds", "HistGradientBoosting"]
    head += ["difference", "difference on the holdout", "seconds", "steps that held"]
    lines = [row(head), "|---" * len(head) + "|"]
    lines += [table_line(result) for result in results]

    head = ["regression", "loss on the folds", "HistGradientBoosting with `absolute_error`", "difference"]
    lines += ["", row(head), "|---" * len(head) + "|"]
    for result in results:
        if result.quality and result.quality.same_loss:
            lines.append(row([result.table.name, *losses(result.quality.same_loss)]))
    return lines


def table_line(result: Result) -> str:
    """The line of one table, with the marks of what it missed."""
    table, rows, columns, onboarded, quality = result
    facts = ["–"] * 6
    if quality:
        facts = [quality.task, quality.candidate, *losses(quality.folds), losses(quality.holdout)[-1]]

    steps = ", ".join(onboarded.held)
    if onboarded.held == list(STEPS):
        steps = "all"
    if onboarded.failure:
        steps += f"; {onboarded.failure}{MISSED}"
    described = [public_tables.describe(table), f"{rows:,}", str(columns), table.target]
    return row([*described, *facts, seconds_of(result).removesuffix(" s"), steps])


def losses(comparison: Comparison) -> list[str]:
    """Both losses, and their difference with its interval and the mark of a champion that is worse."""
    value, low, high = comparison.difference
    digits = 4 if abs(comparison.other) < 10 else 2
    difference = f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
    mark = MISSED if comparison.is_worse else ""
    return [f"{comparison.champion:.{digits}f}", f"{comparison.other:.{digits}f}", difference + mark]


def seconds_of(result: Result) -> str:
    """The seconds to the first prediction over HTTP; a dash for a table that did not come so far."""
    seconds = result.onboarded.seconds
    return NOT_SERVED if math.isnan(seconds) else f"{seconds:.0f} s"


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(lines: list[str]) -> None:
    """Put the lines into the page, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + "\n".join([BEGIN, *lines, END]) + after, encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
