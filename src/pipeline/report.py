"""Pictures of a model, drawn from outcomes and probabilities alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline import evaluate
from pipeline.search import Standing

INK, ACCENT, QUIET = "#1f2933", "#0f766e", "#9aa7b4"
MARKERS = "osD^vP"  # the others share a colour, and each has its own mark
Array = NDArray[Any]


def draw(folder: Path, outcome: Array, probability: Array, threshold: float, standings: list[Standing]) -> None:
    """One PNG per picture in `folder`, and `summary.png` with the three that tell most."""
    ranked = evaluate.rank(outcome, probability, threshold)
    pictures: dict[str, Callable[[Axes], None]] = {
        "folds": lambda axes: folds(axes, standings),
        "roc": lambda axes: roc(axes, ranked),
        "calibration": lambda axes: calibration(axes, outcome, probability),
        "precision_recall": lambda axes: precision_recall(axes, ranked, threshold),
        "confusion": lambda axes: confusion(axes, outcome, probability >= threshold, threshold),
    }
    for name, picture in pictures.items():
        save(folder / f"{name}.png", [picture])
    save(folder / "summary.png", [pictures[name] for name in ("folds", "roc", "calibration")])


def save(path: Path, pictures: list[Callable[[Axes], None]]) -> None:
    figure = Figure(figsize=(4.6 * len(pictures), 4.2), layout="constrained", facecolor="white")
    for axes, picture in zip(np.atleast_1d(figure.subplots(1, len(pictures))), pictures, strict=True):
        picture(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8)
        axes.title.set(fontsize=10, color=INK, fontweight="bold")
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(fontsize=9, color=INK)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def folds(axes: Axes, standings: list[Standing]) -> None:
    """AUC of every candidate on every fold, one line each; the first, which was chosen, in colour."""
    names = list(standings[0].folds)
    for place, standing in enumerate(standings):
        figures = [standing.folds[name]["roc_auc"] for name in names]
        style: dict[str, Any] = {"marker": MARKERS[place % len(MARKERS)], "color": QUIET if place else ACCENT}
        label = f"{standing.name}, mean {standing.mean('roc_auc'):.3f}"
        axes.plot(figures, label=label, zorder=2 if place else 3, **style)
    axes.set(title="Each fold judged on rows it has not seen", ylabel="ROC AUC")
    axes.set_xticks(range(len(names)), [name.replace(" to ", "\nto ") for name in names])
    axes.margins(x=0.15, y=0.2)
    axes.legend(frameon=False, fontsize=8)


def roc(axes: Axes, ranked: evaluate.Ranked) -> None:
    hits, alarms = np.cumsum(ranked.outcome)[ranked.ends], np.cumsum(1 - ranked.outcome)[ranked.ends]
    area = evaluate.weighted(ranked, np.ones(len(ranked.outcome)))["roc_auc"]
    axes.plot(np.append(0, alarms / alarms[-1]), np.append(0, hits / hits[-1]), color=ACCENT)
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=1)
    axes.set(title=f"Holdout: ROC, area {area:.3f}", xlabel="false alarms ÷ negatives", ylabel="hits ÷ positives")


def calibration(axes: Axes, outcome: Array, probability: Array) -> None:
    expected, observed = evaluate.calibration(outcome, probability)
    top = 1.05 * max(expected.max(), observed.max())
    axes.plot([0, top], [0, top], color=QUIET, linestyle="--", linewidth=1)
    axes.plot(expected, observed, marker="o", color=ACCENT)
    axes.set(
        title="Holdout: what was said and what happened", xlabel="mean probability, by tenth", ylabel="observed share"
    )


def precision_recall(axes: Axes, ranked: evaluate.Ranked, threshold: float) -> None:
    hits = np.cumsum(ranked.outcome)
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / hits[-1]
    axes.plot(recall[ranked.ends], precision[ranked.ends], color=ACCENT)
    if ranked.flagged:
        at = ranked.flagged - 1
        axes.plot(recall[at], precision[at], "o", color=INK, label=f"threshold {threshold:.2f}")
        axes.legend(frameon=False, fontsize=8)
    axes.axhline(ranked.outcome.mean(), color=QUIET, linestyle="--", linewidth=1)
    axes.set(title="Holdout: precision and recall", xlabel="recall", ylabel="precision", ylim=(0, 1.02))


def confusion(axes: Axes, outcome: Array, flagged: Array, threshold: float) -> None:
    counts = np.array([[np.sum((outcome == truth) & (flagged == said)) for said in (0, 1)] for truth in (0, 1)])
    axes.imshow(counts, cmap="Greens")
    for truth, said in np.ndindex(2, 2):
        dark = counts[truth, said] > counts.max() / 2
        axes.text(said, truth, f"{counts[truth, said]:,}", ha="center", va="center", color="white" if dark else INK)
    axes.set(title=f"Holdout at threshold {threshold:.2f}", xlabel="said", ylabel="was", xticks=(0, 1), yticks=(0, 1))
    axes.set_xticklabels(["no", "yes"])
    axes.set_yticklabels(["no", "yes"])
