"""Names and descriptions of runs and versions, for people who look at MLflow's lists and pages.

It makes text from the record of a training, and knows nothing of MLflow.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Interval
from pipeline.training.fold_results import CandidateResult


def run_name(config: Config, best: CandidateResult, holdout: Mapping[str, Interval], outcome: str) -> str:
    """Name a training by its candidate, its loss and its outcome, such as `boosting, log loss 0.502, promoted`.

    Where the holdout stays closed, the loss is the mean of the folds.
    """
    if not holdout:
        return f"{best.name}, {named_figure(config.loss, best.mean(config.loss))} on the folds, holdout not opened"
    return f"{best.name}, {named_figure(config.loss, holdout[config.loss].value)}, {outcome}"


def child_name(result: CandidateResult, rows: str, loss: str) -> str:
    """Name a trial or a candidate by its kind, the rows that it was evaluated on, and its loss."""
    figure = named_figure(loss, result.mean(loss))
    if result.stopped:
        figure = "stopped early"
    if result.error:
        figure = "failed"
    return f"{result.name}, {rows}, {figure}"


def named_figure(name: str, value: float) -> str:
    return f"{name.replace('_', ' ')} {format_number(value)}"


def format_number(value: float) -> str:
    """Three significant digits; from 1,000 on all digits before the decimal point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def experiment(config: Config) -> str:
    """Describe the experiment of a config."""
    return (
        f"{config.question}\n\nA run is one training, or one check of the monitor. The runs below a training are its "
        "trials, and the best candidate of each kind on all rows."
    )


def training(config: Config, best: CandidateResult, holdout: Mapping[str, Interval], about: Mapping[str, Any]) -> str:
    """Describe a training as Markdown: what was trained, on which rows, its metrics with intervals, and its gates.

    `about` is the content of `record.json`.
    """
    until = f" before {about['until']}" if about["until"] else ""
    rows = f"The chosen candidate, **{best.name}**, was trained on {about['trained_on']:,} rows{until}."
    if about["trained_on"] > about["train_rows"]:
        rows += f" The metrics are of a model with its settings that was trained on {about['train_rows']:,} of them."

    if not holdout:
        head = ["| metric | mean of the folds |", "|---|---|"]
        table = [f"| {name} | {format_number(best.mean(name))} |" for name in next(iter(best.folds.values()))]
        return "\n".join([config.question, "", rows, "", *head, *table, "", "The holdout was not opened."])

    head = [
        f"| metric | holdout: {about['holdout']}, {about['holdout_rows']:,} rows | 95 % interval |",
        "|---|---|---|",
    ]
    table = []
    for name, (value, low, high) in holdout.items():
        table.append(f"| {name} | {format_number(value)} | {format_number(low)} to {format_number(high)} |")
    return "\n".join([config.question, "", rows, "", *head, *table, "", *gates(about["gates"])])


def gates(results: list[dict[str, Any]]) -> list[str]:
    """The lines on the gates: how many passed, and each that refused or warned, with its reason."""
    refused = [gate for gate in results if not gate["passed"]]
    warned = [gate for gate in results if gate["passed"] and gate["warning"]]
    head = f"{len(refused)} of {len(results)} gates refused it:" if refused else f"All {len(results)} gates passed."

    lines = [head]
    for gate in [*refused, *warned]:
        verdict = "warned" if gate["passed"] else "refused"
        lines.append(f"- {gate['gate']} {verdict}: {gate['value']}, allowed {gate['limit']}; {gate['why']}")
    return lines
