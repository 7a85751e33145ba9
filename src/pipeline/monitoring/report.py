"""Publishes the result of the monitor: tables on the screen, a page with plots, metrics in MLflow, and the file for the
server's gauges. This module must not decide anything about the champion.
"""

import base64
import io
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import plotting
from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.metrics import base_name
from pipeline.monitoring import monitor, plots
from pipeline.monitoring.monitor import MonitorResult
from pipeline.plotting import Picture
from pipeline.registry import mlflow_store
from pipeline.runtime import bundle_store

SHOWN = 6  # columns of the data that the table on the screen lists
WIDE = 150  # characters in a line of a table, on any screen


def publish(config: Config, state: Path, result: MonitorResult, out: Console) -> None:
    """Write a page to the reports and the result to `state`, print the result, and record it in MLflow.

    MLflow comes last: if it cannot be reached, everything else is done.
    """
    file = Path(config.paths.reports) / f"{config.name}.monitor.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    with bundle_store.locked(file.parent):
        bundle_store.replace(file, page(config.question, result).encode())
    monitor.write_result(state, result)

    wide = Console(file=out.file, width=max(out.width, WIDE))
    if result.windows:
        wide.print(outcome_table(result))
    if result.drifts:
        wide.print(drift_table(result))
    style = "green" if result.code == monitor.QUIET else "bold red"
    out.print(f"[{style}]{result.verdict}[/]: {escape(result.reason)}.", soft_wrap=True, highlight=False)
    out.print(f"With pictures: {file}", soft_wrap=True, highlight=False)

    for mended in mlflow_store.connect(config.name, config.paths.tracking):
        out.print(f"Repaired: {mended}", soft_wrap=True, highlight=False)
    name = f"monitor {result.as_of}"
    with mlflow_store.run(name):
        tags = {"verdict": result.verdict, "reason": result.reason, "version": result.version}
        figures = {f"monitor.{figure}": value for figure, value in monitor.result_figures(result).items()}
        mlflow_store.log({}, figures, tags)
        checked = f"Predictions of {result.version} before {result.as_of}"
        mlflow_store.describe_run(f"{name}, {result.verdict}", f"{checked}. {result.verdict}: {result.reason}.")


def shown_figures(result: MonitorResult) -> dict[str, Interval]:
    """The metrics to show, as expected: those of a class only where they are degraded in a window."""
    degraded: set[str] = set().union(*(window.degraded for window in result.windows))
    return {name: value for name, value in result.expected.items() if name == base_name(name) or name in degraded}


def outcome_table(result: MonitorResult) -> Table:
    """The metrics of every window, with a star where one is degraded."""
    table = Table(box=None, pad_edge=False)
    table.add_column("weeks to", justify="left")
    shown = shown_figures(result)
    for heading in ("rows", "days", *shown):
        table.add_column(heading, justify="right")
    expected = [monitor.format_interval(value) for value in shown.values()]
    table.add_row("(reference)", "", "", *expected, style="dim")

    for window in result.windows:
        cells = ["too few"] * len(expected)
        if window.figures:
            cells = [monitor.format_interval(window.figures[name]) for name in shown]
        row = [window.last, f"{window.rows:,}", str(window.days)]
        for name, text in zip(shown, cells, strict=True):
            marked = f"[bold red]{text} *[/]" if name in window.degraded else text
            row.append(marked)
        table.add_row(*row)
    return table


def drift_table(result: MonitorResult) -> Table:
    """The columns with the largest drift, with a star where it is larger than in every week of the reference."""
    table = Table(box=None, pad_edge=False)
    table.add_column("last week", justify="left")
    for heading in ("distance", "largest before", "missing", "before", "never seen", "beyond"):
        table.add_column(heading, justify="right")

    for column in result.drifts[:SHOWN]:
        mark = " *" if column.is_far else ""
        reference_psi = "" if column.reference_psi is None else f"{column.reference_psi:.3f}"
        shares = (column.missing, column.missing_before, column.unseen, column.outside)
        percents = [f"{share * 100:.1f} %" for share in shares]
        table.add_row(column.column + mark, f"{column.psi:.3f}", reference_psi, *percents)
    return table


def page(question: str, result: MonitorResult) -> str:
    """The HTML page, which contains its plots and needs no other file."""
    shown = shown_figures(result)
    weeks = {}
    if result.windows:
        for name, expected in shown.items():
            weeks[name] = as_data_url(partial(plots.weeks, figure=name, windows=result.windows, expected=expected))
    drifts = as_data_url(partial(plots.drifts, columns=result.drifts)) if result.drifts else ""

    return template().render(
        question=question,
        result=result,
        expected=shown,
        format_interval=monitor.format_interval,
        weeks=weeks,
        drifts=drifts,
    )


def template() -> Template:
    here = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    return here.get_template("monitor.html")


def as_data_url(picture: Picture) -> str:
    file = io.BytesIO()
    plotting.save(file, [picture])
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
