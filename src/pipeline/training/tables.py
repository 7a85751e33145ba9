"""The tables that a training prints. This module formats results and computes no metric."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from pipeline.evaluation.bootstrap import Interval
from pipeline.training.evidence import GateResult, verdict_of
from pipeline.training.fold_results import CandidateResult
from pipeline.training.missing import MissingResult

SHOWN = (  # in the leaderboard
    "roc_auc", "average_precision", "log_loss", "ece", "macro_f1", "mae", "rmse", "r2", "bias",
)  # fmt: skip

RARE = 0.1  # the share of rows below which an outcome is rare
VERDICTS = {"pass": "green", "WARN": "bold yellow", "REFUSED": "bold red"}  # with their styles


def leaderboard(
    standings: list[CandidateResult],
    chosen: CandidateResult,
    baseline: Mapping[str, float],
    loss: str,
) -> Table:
    """Make a table of the candidates, sorted by their mean loss over the folds, with the baseline in the last row.

    A star marks the chosen candidate. Failed candidates have their error instead of metrics.
    """
    table = Table(box=None, pad_edge=False)
    metrics = [metric for metric in SHOWN if metric in baseline]
    table.add_column("all rows, mean of the folds", justify="left")
    for metric in metrics:
        table.add_column(metric, justify="right")

    for result in sorted(standings, key=lambda result: result.mean(loss)):
        figures = [f"{result.mean(metric):.4f}" for metric in metrics]
        if result.error:
            figures = [f"failed: {result.error}"]
        mark = " *" if result is chosen else ""
        table.add_row(result.name + mark, *figures)

    table.add_row("constant prediction", *(f"{baseline[metric]:.4f}" for metric in metrics), style="dim")
    return table


def worse_on_sample(worse: list[CandidateResult]) -> list[str]:
    """Name the kinds that are not in the leaderboard, and say why. No line without one."""
    names = ", ".join(result.name for result in worse)
    return [f"not trained on all rows, worse beyond three standard errors on the sample: {names}"] if worse else []


def lost_trials(trials: list[CandidateResult]) -> list[str]:
    """Write a line for each kind with failed trials, with the error of its first failed trial."""
    names = dict.fromkeys(trial.name for trial in trials if trial.error)

    lines = []
    for name in names:
        tried = [trial for trial in trials if trial.name == name]
        errors = [trial.error for trial in tried if trial.error]
        lines.append(f"{name}: {len(errors)} of {len(tried)} trials failed, the first with {errors[0]}")
    return lines


def holdout_table(figures: Mapping[str, Interval]) -> Table:
    """Make a table of the metrics on the holdout, with their intervals."""
    table = Table(box=None, pad_edge=False)
    table.add_column("holdout", justify="left")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")

    for metric, interval in figures.items():
        table.add_row(metric, number(interval.value), f"{number(interval.low)} to {number(interval.high)}")
    return table


def number(value: float) -> str:
    """A metric for a table; a dash where it is undefined."""
    return f"{value:.4f}" if np.isfinite(value) else "–"


def missing_table(results: list[MissingResult], loss: str) -> Table:
    """A line for each group of optional columns that is left out: the loss, and how far off the probabilities are."""
    table = Table(box=None, pad_edge=False)
    for heading in ("left out", f"{loss}, folds", "trained without", f"{loss}, holdout", "mean prediction"):
        is_name = heading == "left out"
        table.add_column(heading, justify="left" if is_name else "right", no_wrap=is_name)
    calibrated = "ece" in results[0].holdout
    if calibrated:
        table.add_column("ece", justify="right")

    for result in results:
        on_folds = result.folds[:2] if result.folds else (np.nan, np.nan)
        numbers = [*on_folds, result.holdout[loss], result.mean_prediction]
        if calibrated:
            numbers.append(result.holdout["ece"])
        table.add_row(result.group, *("–" if np.isnan(number) else f"{number:.4f}" for number in numbers))
    return table


def rare_class_warning(target: NDArray[np.bool_], threshold: float) -> str | None:
    """Write what a rare outcome means for the metrics. None where neither is rare."""
    rarer = min(int(target.sum()), int((~target).sum()))
    if rarer >= RARE * len(target):
        return None
    return (
        f"Only {rarer:,} rows have the rarer outcome: accuracy misleads: a constant has {1 - rarer / len(target):.1%}. "
        f"Look at average_precision and the costs, which put the threshold at {threshold:.3g}"
    )


def absent_classes_warning(names: list[str]) -> str:
    """Name the classes that the holdout lacks."""
    return f"Warning: no row of the holdout is {' or '.join(names)}: how well the model tells it is not known"


def rarely_missing_warning(shares: Mapping[str, float]) -> str:
    """Name the optional columns that are nearly always there in the training rows."""
    named = ", ".join(f"{name} ({share:.1%})" for name, share in shares.items())
    return (
        f"Warning: rarely missing in these rows, but optional for callers: {named}. Declare in masking.groups which "
        "of them are left out together, or make them `nullable: false`"
    )


def gates_table(results: list[GateResult]) -> Text:
    """Write a line for each gate with its value and its limit. Below one that refuses or warns stands the reason."""
    lines = Text()
    width = max(len(result.gate) for result in results)

    for result in results:
        verdict = verdict_of(result)
        lines.append(f"{verdict:<9}", VERDICTS[verdict])
        lines.append(f"{result.gate:<{width}}  {result.value}  (allowed: {result.limit})\n")
        if verdict != "pass":
            lines.append(f"         {result.why}\n", "dim")

    lines.rstrip()
    return lines
