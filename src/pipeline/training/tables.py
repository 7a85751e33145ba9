"""The tables that a training ends with."""

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from pipeline.evaluation.bootstrap import Interval
from pipeline.training.gates import GateResult
from pipeline.training.search import CandidateResult

SHOWN = ("roc_auc", "average_precision", "log_loss", "ece", "mae", "rmse", "r2", "bias")  # in the leaderboard


def leaderboard(
    standings: list[CandidateResult],
    chosen: CandidateResult,
    baseline: Mapping[str, float],
    loss: str,
    trials: list[CandidateResult],
) -> Table:
    """Candidates by mean loss over the folds, on all rows; the chosen one is marked, and lost trials are noted."""
    table = Table(box=None, pad_edge=False, caption=lost_trials(trials), caption_justify="left", caption_style="yellow")
    metrics = [metric for metric in SHOWN if metric in baseline]
    for heading in ("all rows, mean of the folds", *metrics):
        table.add_column(heading, justify="right" if heading in metrics else "left")
    for standing in sorted(standings, key=lambda each: each.mean(loss)):
        figures = [f"failed: {standing.error}"] if standing.error else [f"{standing.mean(m):.4f}" for m in metrics]
        table.add_row(standing.name + (" *" if standing is chosen else ""), *figures)
    table.add_row("(always the same)", *(f"{baseline[metric]:.4f}" for metric in metrics), style="dim")
    return table


def lost_trials(trials: list[CandidateResult]) -> str | None:
    """A line for each kind that lost trials, with the first reason."""
    names = dict.fromkeys(trial.name for trial in trials if trial.error)
    lines = []
    for name in names:
        tried = [trial for trial in trials if trial.name == name]
        errors = [trial.error for trial in tried if trial.error]
        lines.append(f"{name}: {len(errors)} of {len(tried)} trials lost, the first to {errors[0]}")
    return "\n".join(lines) or None


def holdout_table(figures: Mapping[str, Interval]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("holdout", "value", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "holdout" else "right")
    for metric, figure in figures.items():
        table.add_row(metric, f"{figure.value:.4f}", f"{figure.low:.4f} to {figure.high:.4f}")
    return table


def gates_table(verdicts: list[GateResult]) -> Text:
    """Each verdict on a line: what was found and what is allowed; and below it why anyone asks."""
    lines = Text()
    width = max(len(verdict.gate) for verdict in verdicts)
    for verdict in verdicts:
        lines.append("pass     " if verdict.passed else "REFUSED  ", "green" if verdict.passed else "bold red")
        lines.append(f"{verdict.gate:<{width}}  {verdict.value}  (allowed: {verdict.limit})\n")
        lines.append(f"         {verdict.why}\n", "dim")
    lines.rstrip()
    return lines
