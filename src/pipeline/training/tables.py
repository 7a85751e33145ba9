"""The tables that a training prints."""

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
    """Candidates by their mean loss over the folds, on all rows. The chosen one is marked, failed trials are noted."""
    table = Table(box=None, pad_edge=False, caption=lost_trials(trials), caption_justify="left", caption_style="yellow")
    metrics = [metric for metric in SHOWN if metric in baseline]
    for heading in ("all rows, mean of the folds", *metrics):
        table.add_column(heading, justify="right" if heading in metrics else "left")

    for result in sorted(standings, key=lambda result: result.mean(loss)):
        figures = [f"{result.mean(metric):.4f}" for metric in metrics]
        if result.error:
            figures = [f"failed: {result.error}"]
        mark = " *" if result is chosen else ""
        table.add_row(result.name + mark, *figures)

    table.add_row("(always the same)", *(f"{baseline[metric]:.4f}" for metric in metrics), style="dim")
    return table


def lost_trials(trials: list[CandidateResult]) -> str | None:
    """A line for each kind with failed trials, with the reason of the first."""
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
    """A line for each gate: its value and what it allows. Below a gate that refuses, the reason for the gate."""
    lines = Text()
    width = max(len(verdict.gate) for verdict in verdicts)
    for verdict in verdicts:
        if verdict.passed:
            lines.append("pass     ", "green")
        else:
            lines.append("REFUSED  ", "bold red")
        lines.append(f"{verdict.gate:<{width}}  {verdict.value}  (allowed: {verdict.limit})\n")
        if not verdict.passed:
            lines.append(f"         {verdict.why}\n", "dim")

    lines.rstrip()
    return lines
