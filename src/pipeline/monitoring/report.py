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
from pipeline.monitoring.monitor import Found
from pipeline.plotting import Picture
from pipeline.registry import mlflow_store
from pipeline.runtime import bundle_store

SHOWN, WIDE = 6, 150  # columns of the data in the table on the screen, and columns of that


def publish(config: Config, models: Path, found: Found, out: Console) -> None:
    """A page in the reports, the verdict beside the champion and on the screen, and a run in MLflow, which comes last:
    where it cannot be reached all the rest is there.
    """
    file = Path(config.paths.reports) / f"{config.name}.monitor.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    with bundle_store.locked(file.parent):
        bundle_store.replace(file, page(config.question, found).encode())
    monitor.put(models, found)
    wide = Console(file=out.file, width=max(out.width, WIDE))
    if found.windows:
        wide.print(outcomes(found))
    if found.drifts:
        wide.print(incoming(found))
    style = "green" if found.code == monitor.QUIET else "bold red"
    out.print(f"[{style}]{found.verdict}[/]: {escape(found.reason)}.", soft_wrap=True, highlight=False)
    out.print(f"With pictures: {file}", soft_wrap=True, highlight=False)
    for mended in mlflow_store.connect(config.name, config.paths.tracking):
        out.print(f"Mended: {mended}", soft_wrap=True, highlight=False)
    name = f"monitor {found.as_of}"
    with mlflow_store.run(name):
        tags = {"mlflow.runName": name, "verdict": found.verdict, "reason": found.reason, "version": found.version}
        mlflow_store.log({}, {f"monitor.{figure}": value for figure, value in monitor.numbers(found).items()}, tags)


def outcomes(found: Found) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("weeks to", "rows", "days", *found.expected):
        table.add_column(heading, justify="left" if heading == "weeks to" else "right")
    expected = [monitor.spelled(value) for value in found.expected.values()]
    table.add_row("(when it was made)", "", "", *expected, style="dim")
    for window in found.windows:
        told = [monitor.spelled(value) for value in window.pooled.values()] or ["too few"] * len(expected)
        marked = [
            f"[bold red]{text} *[/]" if name in window.wrong else text
            for name, text in zip(found.expected, told, strict=True)
        ]
        table.add_row(window.last, f"{window.rows:,}", str(window.days), *marked)
    return table


def incoming(found: Found) -> Table:
    """The columns that are furthest off."""
    table = Table(box=None, pad_edge=False)
    for heading in ("last week", "distance", "furthest before", "missing", "before", "never seen", "beyond"):
        table.add_column(heading, justify="left" if heading == "last week" else "right")
    for each in found.drifts[:SHOWN]:
        shares = (each.missing, each.missing_before, each.unseen, each.outside)
        usual = "" if each.usual is None else f"{each.usual:.3f}"
        far = " *" if each.far else ""
        table.add_row(each.column + far, f"{each.off:.3f}", usual, *(f"{share * 100:.1f} %" for share in shares))
    return table


def page(question: str, found: Found) -> str:
    """One file that needs no other."""
    weeks: list[Picture] = [
        partial(plots.weeks, figure=name, found=found.windows, expected=expected)
        for name, expected in found.expected.items()
    ]
    return template().render(
        question=question,
        found=found,
        spelled=monitor.spelled,
        weeks=encoded(weeks) if found.windows else "",
        drifts=encoded([partial(plots.drifts, found=found.drifts)]) if found.drifts else "",
    )


def template() -> Template:
    here = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    return here.get_template("monitor.html")


def encoded(drawn: list[Picture]) -> str:
    file = io.BytesIO()
    plotting.save(file, drawn)
    return base64.b64encode(file.getvalue()).decode()
