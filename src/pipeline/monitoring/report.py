"""What the monitor has found, for people, MLflow and the server: a table, one page with pictures, metrics, gauges."""

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
from pipeline.monitoring import monitor, plots
from pipeline.monitoring.monitor import MonitorResult
from pipeline.plotting import Picture
from pipeline.registry import mlflow_store
from pipeline.runtime import bundle_store

SHOWN, WIDE = 6, 150  # columns of the data in the table on the screen, and columns of that


def publish(config: Config, models: Path, found: MonitorResult, out: Console) -> None:
    """A page in the reports, the verdict beside the champion and on the screen, and a run in MLflow, which comes last:
    where it cannot be reached all the rest is there.
    """
    file = Path(config.paths.reports) / f"{config.name}.monitor.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    with bundle_store.locked(file.parent):
        bundle_store.replace(file, page(config.question, found).encode())
    monitor.write_result(models, found)
    wide = Console(file=out.file, width=max(out.width, WIDE))
    if found.windows:
        wide.print(outcome_table(found))
    if found.drifts:
        wide.print(drift_table(found))
    style = "green" if found.code == monitor.QUIET else "bold red"
    out.print(f"[{style}]{found.verdict}[/]: {escape(found.reason)}.", soft_wrap=True, highlight=False)
    out.print(f"With pictures: {file}", soft_wrap=True, highlight=False)
    for mended in mlflow_store.connect(config.name, config.paths.tracking):
        out.print(f"Mended: {mended}", soft_wrap=True, highlight=False)
    name = f"monitor {found.as_of}"
    with mlflow_store.run(name):
        tags = {"mlflow.runName": name, "verdict": found.verdict, "reason": found.reason, "version": found.version}
        mlflow_store.log(
            {}, {f"monitor.{figure}": value for figure, value in monitor.result_figures(found).items()}, tags
        )


def outcome_table(found: MonitorResult) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("weeks to", "rows", "days", *found.expected):
        table.add_column(heading, justify="left" if heading == "weeks to" else "right")
    expected = [monitor.format_interval(value) for value in found.expected.values()]
    table.add_row("(when it was made)", "", "", *expected, style="dim")
    for window in found.windows:
        told = [monitor.format_interval(value) for value in window.figures.values()] or ["too few"] * len(expected)
        marked = [
            f"[bold red]{text} *[/]" if name in window.degraded else text
            for name, text in zip(found.expected, told, strict=True)
        ]
        table.add_row(window.last, f"{window.rows:,}", str(window.days), *marked)
    return table


def drift_table(found: MonitorResult) -> Table:
    """The columns that are furthest off."""
    table = Table(box=None, pad_edge=False)
    for heading in ("last week", "distance", "furthest before", "missing", "before", "never seen", "beyond"):
        table.add_column(heading, justify="left" if heading == "last week" else "right")
    for each in found.drifts[:SHOWN]:
        shares = (each.missing, each.missing_before, each.unseen, each.outside)
        usual = "" if each.reference_psi is None else f"{each.reference_psi:.3f}"
        far = " *" if each.is_far else ""
        table.add_row(each.column + far, f"{each.psi:.3f}", usual, *(f"{share * 100:.1f} %" for share in shares))
    return table


def page(question: str, found: MonitorResult) -> str:
    """One file that needs no other."""
    weeks: list[Picture] = [
        partial(plots.weeks, figure=name, found=found.windows, expected=expected)
        for name, expected in found.expected.items()
    ]
    return template().render(
        question=question,
        found=found,
        format_interval=monitor.format_interval,
        weeks=as_data_url(weeks) if found.windows else "",
        drifts=as_data_url([partial(plots.drifts, found=found.drifts)]) if found.drifts else "",
    )


def template() -> Template:
    here = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    return here.get_template("monitor.html")


def as_data_url(drawn: list[Picture]) -> str:
    file = io.BytesIO()
    plotting.save(file, drawn)
    return base64.b64encode(file.getvalue()).decode()
