"""Kinds of model that a search leaves out after its sample: has one of them the lowest loss on all rows?"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import public_tables
from onboarded import command
from public_tables import TABLES, Table
from rich.console import Console

from pipeline.config.config import Config, load
from pipeline.data import masking
from pipeline.training.fold_results import evaluate_candidates
from pipeline.training.select import compare
from pipeline.training.train import prepare

FEWEST = 5_000  # rows of a table
KINDS = ("linear", "tree", "forest", "boosting", "perceptron")
SETTINGS = ["search.sample=0.3", *(f"candidates.{kind}={{}}" for kind in KINDS)]


class LeftOut(NamedTuple):
    """Of one table: the losses on all rows by kind, of the kinds that went on and of those that were left out."""

    table: Table
    rows: int
    went_on: dict[str, float]
    left_out: dict[str, float]

    @property
    def is_won(self) -> bool:
        """Whether a kind that was left out has the lowest loss."""
        return min(self.left_out.values(), default=float("inf")) < min(self.went_on.values())


def measure(folder: Path) -> list[str]:
    """A line for each public table with rows enough, and one for all of them."""
    (folder / "configs").mkdir()
    public_tables.fetch(folder / "packages")
    tables = []
    for table in TABLES:
        frame = public_tables.read(table, folder / "packages")
        if len(frame) >= FEWEST:
            csv = folder / f"{table.name}.csv"
            frame.to_csv(csv, index=False)
            command(folder, "new", table.name, str(csv), table.target)
            config = load(folder / "configs" / f"{table.name}.yaml", SETTINGS)
            tables.append(LeftOut(table, len(frame), *losses(config)))
            print(line(tables[-1]), flush=True)
    return [*HEAD, *map(line, tables), summary(tables)]


def losses(config: Config) -> tuple[dict[str, float], dict[str, float]]:
    """The mean loss over the folds by kind, on all rows: of what a training compares there, and of what it left out."""
    quiet = Console(quiet=True)
    with tempfile.TemporaryDirectory() as reports:
        rows, copies, parts, *_ = prepare(config, Path(reports), quiet)
    _, went_on, worse = compare(config, rows, copies, quiet, parts.folds)

    _, data, target = masking.with_copies(rows.examples, copies)
    folds = masking.folds_with_copies(parts.folds, copies, len(rows.key))
    candidates = [(trial.name, trial.settings) for trial in worse]
    left_out = evaluate_candidates(config, data, target, folds, candidates, lambda _: None)
    first, second = ({result.name: result.mean(config.loss) for result in side} for side in (went_on, left_out))
    return first, second


HEAD = ["| table | rows | lowest loss of the kinds that went on | of those that were left out |", "|---|---|---|---|"]


def line(found: LeftOut) -> str:
    return f"| {found.table.name} | {found.rows:,} | {lowest(found.went_on)} | {lowest(found.left_out)} |"


def lowest(losses: dict[str, float]) -> str:
    if not losses:
        return "none was left out"
    name = min(losses, key=lambda kind: losses[kind])
    return f"{losses[name]:.5g}, {name} (of {len(losses)})"


def summary(tables: list[LeftOut]) -> str:
    left_out = sum(len(found.left_out) for found in tables)
    kinds = left_out + sum(len(found.went_on) for found in tables)
    won = sum(found.is_won for found in tables)
    return f"| all | | {kinds} kinds of {len(tables)} tables, {left_out} left out | the lowest of its table: {won} |"
