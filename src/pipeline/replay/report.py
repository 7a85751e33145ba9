"""What a replay has shown: a table by month, what happened and why, a picture, and all of it in one file."""

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
from pipeline.replay.replay import Event, ReplayResult

RESAMPLES = 200
WIDE = 130  # columns of the table, on whatever screen
SHOWN = {
    "binary": {"roc_auc": "ROC AUC", "ece": "calibration error"},
    "regression": {"skill": "skill", "share_above": "outcomes above answers"},
}


def publish(config: Config, played: ReplayResult, out: Console) -> None:
    """On the screen, and in the replay's folder `replay.json` and `replay.png`."""
    found = [month_figures(config, played, each) for each in np.unique(played.rows.day.astype("datetime64[M]"))]
    told = {
        "model": config.name,
        "months": found,
        "events": [event._asdict() for event in played.events],
        "rows": len(played.rows.day),
        "statuses": {str(status): count for status, count in sorted(played.statuses.items())},
    }
    draw_replay(config, played, found)
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    (played.folder / "replay.json").write_text(text, encoding="utf-8")
    out.print()
    Console(file=out.file, width=max(out.width, WIDE)).print(figures_table(config, found))
    asked = ", ".join(f"{count:,} answered {status}" for status, count in sorted(played.statuses.items()))
    meanwhile = f"{played.meanwhile:,} explanations while champions were trained and taken on, all answered 200"
    out.print(f"\nRequests: {asked}; {meanwhile}.", highlight=False, soft_wrap=True)
    out.print(f"Written: {played.folder}/replay.json, replay.png", highlight=False, soft_wrap=True)


def month_figures(config: Config, played: ReplayResult, which: Any) -> dict[str, Any]:
    """One month: the figures of both champions, and what the managed one gained in the loss and in ROC AUC."""
    asked = played.rows
    rows = np.flatnonzero(asked.day.astype("datetime64[M]") == which)
    outcome, unit = asked.outcome[rows], asked.day[rows].astype(np.int64)
    if config.task == "binary":
        outcome = outcome == 1
    said = {"frozen": asked.frozen[rows], "managed": asked.managed[rows]}
    wanted = list(dict.fromkeys([*MONITORED[config.task], *DECISIVE[config.task]]))
    figures = {name: metrics(outcome, answer, config.scoring, wanted) for name, answer in said.items()}
    plan = Bootstrap(config.scoring, RESAMPLES, config.train.seed)
    apart = paired(outcome, said["managed"], said["frozen"], unit, plan, 0.95)
    happened = [event._asdict() for event in played.events if event.day.startswith(str(which))]
    return {
        "month": str(which),
        "rows": len(rows),
        "mean": round(float(np.mean(outcome)), 4),
        **{name: {key: round(value, 4) for key, value in of.items()} for name, of in figures.items()},
        "gained": {name: [round(end, 4) for end in as_gain(name, value)] for name, value in apart.items()},
        "events": happened,
    }


def as_gain(name: str, apart: Interval) -> Interval:
    """A difference so that more is better: of a loss less is."""
    value, low, high = apart
    return apart if name == "roc_auc" else Interval(-value, -high, -low)


def figures_table(config: Config, found: list[dict[str, Any]]) -> Table:
    """Each figure of the frozen champion and of the managed one, what that gained, and what happened in the month."""
    shown, figure = SHOWN[config.task], "roc_auc" if config.task == "binary" else config.loss
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("frozen -> managed", no_wrap=True)
    for heading in (f"{config.noun}s", *shown.values(), f"{shown.get(figure, figure)} gained, 95 %"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    drawn.add_column("what happened")
    for each in found:
        value, low, high = each["gained"][figure]
        figures = [f"{each['frozen'][key]:.3f} -> {each['managed'][key]:.3f}" for key in shown]
        happened = ", ".join(f"{event['kind']} {event['day'][8:]}" for event in each["events"])
        gained = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
        drawn.add_row(each["month"], f"{each['rows']:,}", *figures, gained, happened or "-")
    return drawn


def draw_replay(config: Config, played: ReplayResult, found: list[dict[str, Any]]) -> None:
    names = [each["month"] for each in found]
    marks = [position_of_day(event, names) for event in played.events if event.kind == "promoted"]
    drawn: list[Picture] = [
        partial(
            draw_months,
            names=[np.datetime64(name).item().strftime("%b") for name in names],
            figures={who: [each[who][key] for each in found] for who in ("managed", "frozen")},
            title=title[0].upper() + title[1:],
            marks=marks,
        )
        for key, title in SHOWN[config.task].items()
    ]
    plotting.save(played.folder / "replay.png", drawn)


def position_of_day(event: Event, names: list[str]) -> float:
    """Where a day lies between the middles of months."""
    return names.index(event.day[:7]) + (int(event.day[8:]) - 15.5) / 31


def draw_months(
    axes: Axes, names: Sequence[str], figures: Mapping[str, Sequence[float]], title: str, marks: Sequence[float]
) -> None:
    """A figure of the managed and of the frozen champion by month; `marks` are where a new one was promoted."""
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
