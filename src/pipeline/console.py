"""What a person sees while a command works: a line per step with its time, and the tables at the end."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.evaluate import Interval
from pipeline.gates import Verdict
from pipeline.search import Standing

Say = Callable[[str], None]


@contextmanager
def step(console: Console, title: str) -> Iterator[Say]:
    """One step of the work. What the body says last stands behind the title when it is done.

    On a terminal what it says on the way is shown live; elsewhere each step is one plain line.
    """
    heard: list[str] = []
    started = time.perf_counter()
    with console.status(title) as status:

        def say(text: str) -> None:
            heard.append(text)
            status.update(f"{title}: {text}")

        yield say
    result = f": {heard[-1]}" if heard else ""
    console.print(f"{time.perf_counter() - started:6.1f} s  {title}{result}", highlight=False, soft_wrap=True)


def leaderboard(standings: list[Standing], chosen: Standing, baseline: Mapping[str, float]) -> Table:
    """Candidates by mean log loss over the folds, on all rows; the chosen one is marked."""
    table = Table(box=None, pad_edge=False)
    for heading in ("mean of the folds", "ROC AUC", "avg. precision", "log loss", "ECE"):
        table.add_column(heading, justify="left" if heading == "mean of the folds" else "right")
    metrics = ("roc_auc", "average_precision", "log_loss", "ece")
    for standing in sorted(standings, key=lambda each: each.mean("log_loss")):
        figures = [f"failed: {standing.error}"] if standing.error else [f"{standing.mean(m):.4f}" for m in metrics]
        table.add_row(standing.name + (" *" if standing is chosen else ""), *figures)
    table.add_row("(base rate)", *(f"{baseline[metric]:.4f}" for metric in metrics), style="dim")
    return table


def holdout(figures: Mapping[str, Interval]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("holdout", "value", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "holdout" else "right")
    for metric, figure in figures.items():
        table.add_row(metric, f"{figure.value:.4f}", f"{figure.low:.4f} to {figure.high:.4f}")
    return table


def gates(verdicts: list[Verdict]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("gate", "value", "allowed", ""):
        table.add_column(heading, justify="left" if heading == "gate" else "right")
    for verdict in verdicts:
        table.add_row(verdict.gate, verdict.value, verdict.limit, "pass" if verdict.passed else "[red]REFUSED[/red]")
    return table


def next_steps(console: Console, lines: Mapping[str, Any]) -> None:
    for command, meaning in lines.items():
        console.print(f"  {command:<28} {meaning}", highlight=False, markup=False, soft_wrap=True)
