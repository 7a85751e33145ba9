"""Publishes the result of a replay: a table by month with its events, plots, and one JSON file with everything.

This module must not know the servers.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from rich.console import Console
from rich.table import Table

from pipeline import plotting
from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Bootstrap, Interval, paired
from pipeline.evaluation.metrics import DECISIVE, MONITORED, metrics
from pipeline.plotting import ACCENT, QUIET, Picture
from pipeline.replay.replay import Array, Event, ReplayResult

RESAMPLES = 200
WIDE = 130  # characters in a line of the table, on any screen
SHOWN = {
    "binary": {"roc_auc": "ROC AUC", "ece": "calibration error"},
    "multiclass": {"roc_auc": "ROC AUC", "ece": "calibration error"},
    "regression": {"skill": "skill", "share_above": "outcomes above predictions"},
}


def publish(config: Config, played: ReplayResult, out: Console) -> None:
    """Print the result, and write `replay.json` and `replay.png` to the folder of the replay."""
    names = np.unique(played.rows.day.astype("datetime64[M]"))
    months = [month_figures(config, played, month) for month in names]
    content = {
        "model": config.name,
        "months": months,
        "events": [event._asdict() for event in played.events],
        "rows": len(played.rows.day),
        "statuses": {str(status): count for status, count in sorted(played.statuses.items())},
    }

    draw_replay(config, played, months)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (played.folder / "replay.json").write_text(text, encoding="utf-8")

    out.print()
    Console(file=out.file, width=max(out.width, WIDE)).print(figures_table(config, months))
    requests = ", ".join(f"{count:,} with status {status}" for status, count in sorted(played.statuses.items()))
    meanwhile = f"{played.meanwhile:,} explanations while champions were trained and loaded, all with status 200"
    out.print(f"\nRequests: {requests}; {meanwhile}.", highlight=False, soft_wrap=True)
    out.print(f"Written: {played.folder}/replay.json, replay.png", highlight=False, soft_wrap=True)


def month_figures(config: Config, played: ReplayResult, month: Any) -> dict[str, Any]:
    """One month: the metrics of both champions, the events, and how much better the managed champion was.

    `gained` holds that for the loss and, of a classifier, for ROC AUC: value and 95 % interval of the difference.
    """
    rows = np.flatnonzero(played.rows.day.astype("datetime64[M]") == month)
    outcome = played.rows.outcome[rows]
    unit = played.rows.day[rows].astype(np.int64)
    managed = played.rows.managed[rows]
    frozen = played.rows.frozen[rows]

    wanted = list(dict.fromkeys([*MONITORED[config.task], *DECISIVE[config.task]]))
    plan = Bootstrap(config.scoring, RESAMPLES, config.train.seed)
    differences = paired(outcome, managed, frozen, unit, plan, 0.95)

    gained = {}
    for name, difference in differences.items():
        gained[name] = [round(end, 4) for end in as_gain(name, difference)]
    return {
        "month": str(month),
        "rows": len(rows),
        "mean": None if config.classes else round(float(np.mean(outcome)), 4),
        "frozen": rounded_metrics(config, outcome, frozen, wanted),
        "managed": rounded_metrics(config, outcome, managed, wanted),
        "gained": gained,
        "events": [event._asdict() for event in played.events if event.day.startswith(str(month))],
    }


def rounded_metrics(config: Config, outcome: Array, predictions: Array, names: Sequence[str]) -> dict[str, float]:
    figures = metrics(outcome, predictions, config.scoring, names)
    return {name: round(value, 4) for name, value in figures.items()}


def as_gain(name: str, difference: Interval) -> Interval:
    """The difference with the sign for which more is better: a loss is better when it is lower."""
    value, low, high = difference
    return difference if name == "roc_auc" else Interval(-value, -high, -low)


def figures_table(config: Config, months: list[dict[str, Any]]) -> Table:
    """By month: the metrics of the frozen and of the managed champion, the difference, and the events."""
    shown = SHOWN[config.task]
    figure = config.loss if config.task == "regression" else "roc_auc"
    table = Table(box=None, pad_edge=False)
    table.add_column("frozen -> managed", no_wrap=True)
    for heading in (f"{config.noun}s", *shown.values(), f"{shown.get(figure, figure)} gained, 95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("events")

    for month in months:
        value, low, high = month["gained"][figure]
        figures = [f"{month['frozen'][key]:.3f} -> {month['managed'][key]:.3f}" for key in shown]
        gained = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
        happened = ", ".join(f"{event['kind']} {event['day'][8:]}" for event in month["events"])
        table.add_row(month["month"], f"{month['rows']:,}", *figures, gained, happened or "-")
    return table


def draw_replay(config: Config, played: ReplayResult, months: list[dict[str, Any]]) -> None:
    """Write `replay.png`: one plot for each metric of `SHOWN`."""
    names = [month["month"] for month in months]
    labels = [np.datetime64(name).item().strftime("%b") for name in names]
    marks = [position_of_day(event, names) for event in played.events if event.kind == "promoted"]

    pictures: list[Picture] = []
    for key, title in SHOWN[config.task].items():
        figures = {
            "managed": [month["managed"][key] for month in months],
            "frozen": [month["frozen"][key] for month in months],
        }
        heading = title[0].upper() + title[1:]
        pictures.append(partial(draw_months, names=labels, figures=figures, title=heading, marks=marks))

    plotting.save(played.folder / "replay.png", pictures)


def position_of_day(event: Event, names: list[str]) -> float:
    """The position of an event's day on an axis that has the middle of every month at its index in `names`."""
    return names.index(event.day[:7]) + (int(event.day[8:]) - 15.5) / 31


def draw_months(
    axes: Axes, names: Sequence[str], figures: Mapping[str, Sequence[float]], title: str, marks: Sequence[float]
) -> None:
    """One metric of the managed and of the frozen champion by month, with a line at every promotion in `marks`."""
    for place in marks:
        axes.axvline(place, color=QUIET, linestyle=":", linewidth=1)

    styles = {"managed": (ACCENT, "o-"), "frozen": (QUIET, "s--")}
    for name, values in figures.items():
        color, style = styles[name]
        axes.plot(range(len(names)), values, style, color=color, label=name)

    axes.plot([], [], ":", color=QUIET, label="new champion")
    axes.set(title=title)
    axes.set_xticks(range(len(names)), names)
    axes.legend(frameon=False, fontsize=8)
