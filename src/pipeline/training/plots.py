"""Pictures of a search and of a model, each drawn on one pair of axes from plain values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pipeline.evaluation.curves import by_tenth, curve
from pipeline.evaluation.metrics import roc_auc
from pipeline.plotting import ACCENT, INK, QUIET
from pipeline.training.search import CandidateResult

MARKERS = "osD^vP"  # the others share a colour, and each has its own mark
Array = NDArray[Any]


def draw_folds(axes: Axes, standings: list[CandidateResult], metric: str) -> None:
    """Every candidate on every fold, one line each; the first, which was chosen, in colour."""
    names = list(standings[0].folds)
    for place, standing in enumerate(standings):
        figures = [standing.folds[name][metric] for name in names]
        style: dict[str, Any] = {"marker": MARKERS[place % len(MARKERS)], "color": QUIET if place else ACCENT}
        label = f"{standing.name}, mean {standing.mean(metric):.3f}"
        axes.plot(figures, label=label, zorder=2 if place else 3, **style)
    axes.set(title="Each fold judged on rows it has not seen", ylabel=metric)
    axes.set_xticks(range(len(names)), [name.replace(" to ", "\nto ") for name in names])
    axes.margins(x=0.15, y=0.2)
    axes.legend(frameon=False, fontsize=8)


def draw_trials(axes: Axes, tried: list[CandidateResult], loss: str) -> None:
    """Each trial's mean loss in the order in which it was asked for, and the lowest so far."""
    places = {name: n for n, name in enumerate(dict.fromkeys(trial.name for trial in tried))}
    for name, n in places.items():
        at = [place for place, trial in enumerate(tried, 1) if trial.name == name and not trial.error]
        axes.plot(at, [tried[place - 1].mean(loss) for place in at], MARKERS[n % len(MARKERS)], ms=5, label=name)
    best = np.minimum.accumulate([trial.mean(loss) for trial in tried])
    axes.step(range(1, len(tried) + 1), best, where="post", color=QUIET, linewidth=1, label="lowest so far", zorder=1)
    axes.set(title="Search", xlabel="trial", ylabel=f"mean {loss} of the folds")
    axes.legend(frameon=False, fontsize=7, ncols=2)


def draw_importance(axes: Axes, risen: Mapping[str, float], loss: str) -> None:
    """How much the loss rises when one feature's values are dealt out anew, the most important on top."""
    ordered = sorted(risen.items(), key=lambda item: item[1])
    axes.barh([name for name, _ in ordered], [value for _, value in ordered], color=ACCENT)
    axes.set(title="Holdout: what the model uses", xlabel=f"{loss} gained when the feature is shuffled")


def draw_roc(axes: Axes, outcome: Array, probability: Array) -> None:
    _, hits, alarms = curve(outcome, probability)
    axes.plot(np.append(0, alarms) / alarms[-1], np.append(0, hits) / hits[-1], color=ACCENT)
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=1)
    area = roc_auc(outcome, probability)
    axes.set(title=f"Holdout: ROC, area {area:.3f}", xlabel="false alarms ÷ negatives", ylabel="hits ÷ positives")


def draw_calibration(axes: Axes, outcome: Array, answer: Array, names: tuple[str, str]) -> None:
    """Mean answer against mean outcome in tenths; `names` are what each is called."""
    expected, observed = by_tenth(outcome, answer)
    both = np.concatenate([expected, observed])
    ends = [min(0, 1.05 * both.min()), 1.05 * both.max()]
    axes.plot(ends, ends, color=QUIET, linestyle="--", linewidth=1)
    axes.plot(expected, observed, marker="o", color=ACCENT)
    axes.set(title="Holdout: what was said and what happened", xlabel=f"{names[0]}, by tenth", ylabel=names[1])


def draw_precision_recall(axes: Axes, outcome: Array, probability: Array, threshold: float) -> None:
    thresholds, hits, alarms = curve(outcome, probability)
    precision, recall = hits / (hits + alarms), hits / hits[-1]
    axes.plot(recall, precision, color=ACCENT)
    flagged = np.count_nonzero(thresholds >= threshold)
    if flagged:
        axes.plot(recall[flagged - 1], precision[flagged - 1], "o", color=INK, label=f"threshold {threshold:.2f}")
        axes.legend(frameon=False, fontsize=8)
    axes.axhline(outcome.mean(), color=QUIET, linestyle="--", linewidth=1)
    axes.set(title="Holdout: precision and recall", xlabel="recall", ylabel="precision", ylim=(0, 1.02))


def draw_confusion(axes: Axes, outcome: Array, flagged: Array, threshold: float) -> None:
    counts = np.array([[np.sum((outcome == truth) & (flagged == said)) for said in (0, 1)] for truth in (0, 1)])
    axes.imshow(counts, cmap="Greens")
    for truth, said in np.ndindex(2, 2):
        dark = counts[truth, said] > counts.max() / 2
        axes.text(said, truth, f"{counts[truth, said]:,}", ha="center", va="center", color="white" if dark else INK)
    axes.set(title=f"Holdout at threshold {threshold:.2f}", xlabel="said", ylabel="was", xticks=(0, 1), yticks=(0, 1))
    axes.set_xticklabels(["no", "yes"])
    axes.set_yticklabels(["no", "yes"])


def draw_errors(axes: Axes, outcome: Array, answer: Array, unit: str) -> None:
    """How far off how many answers are; the outermost hundredths are left out of the picture."""
    error = answer - outcome
    low, high = np.quantile(error, [0.01, 0.99])
    axes.hist(error[(error >= low) & (error <= high)], bins=50, color=ACCENT)
    axes.axvline(0, color=QUIET, linestyle="--", linewidth=1)
    axes.set(title="Holdout: said minus was", xlabel=f"error{unit}", ylabel="rows")
