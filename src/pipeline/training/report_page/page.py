"""Writes the page of a training: values from the modules beside it, words and pictures from its template."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.config.config import Config
from pipeline.runtime import bundle_store
from pipeline.training import search
from pipeline.training.phases import Evaluation, Prepared, Selection
from pipeline.training.report_page import charts, values
from pipeline.training.report_page.fits import fit_for_page
from pipeline.training.report_page.holdout import holdout_values

PAGE = "report.html"


def page(
    config: Config, prepared: Prepared, selection: Selection, evaluation: Evaluation | None, record: Mapping[str, Any]
) -> bytes:
    """Return the page as HTML that needs no other file. `record` is the content of `record.json`.

    Without an evaluation the holdout is closed, and the page has the outcomes before it and the candidates.
    """
    rows = prepared.rows
    if evaluation is None:
        before = prepared.parts.search
        rows = rows._replace(examples=rows.examples.take(before), key=rows.key[before])
    best = selection.best
    groups = values.outcome_groups(config, rows.examples.target)

    text = environment().get_template(PAGE).render(
        config=config,
        record=record,
        selection=selection,
        outcomes={name: int(group.sum()) for name, group in groups.items()},
        rows_by_month=values.rows_by_month(record["data"]["profile"]),
        outcome_by_month=values.outcome_by_month(config, rows),
        outcome_names=values.outcome_names(config),
        missing=values.missing_values(rows, groups),
        candidates=values.candidates(config, prepared, selection) if selection.trials else None,
        baseline=search.baseline(prepared.rows.examples.target, prepared.parts.folds, config.scoring),
        fits=fit_for_page(config, prepared, best) if selection.trials else None,
        holdout=holdout_values(config, prepared, best, evaluation.holdout) if evaluation else None,
        digest=bundle_store.digest(evaluation.files["bundle.json"]) if evaluation else None,
    )  # fmt: skip
    return text.encode()


def environment() -> Environment:
    folder = FileSystemLoader(Path(__file__).parent)
    made = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    drawn = (charts.axis, charts.named_axis, charts.interval_axis, charts.series, charts.lines, charts.spans)
    made.globals.update({function.__name__: function for function in (*drawn, enumerate, zip)})
    made.filters["number"] = charts.number
    return made
