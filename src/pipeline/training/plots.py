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

MARKERS = "osD^vP"  # the candidates that were not chosen share a colour and differ by their marker
Array = NDArray[Any]


def draw_folds(axes: Axes, standings: list[CandidateResult], metric: str) -> None:
    """One line per candidate over the folds. The first candidate, which was chosen, is in colour."""
    names = list(standings[0].folds)

    for place, standing in enumerate(standings):
        figures = [standing.folds[name][metric] for name in names]
        color = QUIET if place else ACCENT
        style: dict[str, Any] = {"marker": MARKERS[place % len(MARKERS)], "color": color}
        label = f"{standing.name}, mean {standing.mean(metric):.3f}"
        zorder = 2 if place else 3
        axes.plot(figures, label=label, zorder=zorder, **style)

    axes.set(title="Folds: each on rows that it was not trained on", ylabel=metric)
    axes.set_xticks(range(len(names)), [name.replace(" to ", "\nto ") for name in names])
    axes.margins(x=0.15, y=0.2)
    axes.legend(frameon=False, fontsize=8)


def draw_trials(axes: Axes, tried: list[CandidateResult], loss: str) -> None:
    """The mean loss of each trial, in the order of the trials, and the lowest loss so far."""
    names = dict.fromkeys(trial.name for trial in tried)
    for n, name in enumerate(names):
        at = [place for place, trial in enumerate(tried, 1) if trial.name == name and not trial.error]
        axes.plot(at, [tried[place - 1].mean(loss) for place in at], MARKERS[n % len(MARKERS)], ms=5, label=name)

    best = np.minimum.accumulate([trial.mean(loss) for trial in tried])
    axes.step(range(1, len(tried) + 1), best, where="post", color=QUIET, linewidth=1, label="lowest so far", zorder=1)
    axes.set(title="Search", xlabel="trial", ylabel=f"mean {loss} of the folds")
    axes.legend(frameon=False, fontsize=7, ncols=2)


def draw_importance(axes: Axes, risen: Mapping[str, float], loss: str) -> None:
    """How much the loss rises when one feature is shuffled, the most important feature on top."""
    ordered = sorted(risen.items(), key=lambda item: item[1])
    axes.barh([name for name, _ in ordered], [value for _, value in ordered], color=ACCENT)
    axes.set(title="Holdout: what the model uses", xlabel=f"{loss} gained when the feature is shuffled")


def draw_roc(axes: Axes, outcome: Array, probability: Array) -> None:
    _, hits, false_alarms = curve(outcome, probability)
    axes.plot(np.append(0, false_alarms) / false_alarms[-1], np.append(0, hits) / hits[-1], color=ACCENT)
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=1)
    area = roc_auc(outcome, probability)
    axes.set(title=f"Holdout: ROC, area {area:.3f}", xlabel="false alarms ÷ negatives", ylabel="hits ÷ positives")


def draw_calibration(axes: Axes, outcome: Array, answer: Array, names: tuple[str, str]) -> None:
    """Mean prediction against mean outcome by tenths of the predictions. `names` are the labels of the two axes."""
    expected, observed = by_tenth(outcome, answer)
    both = np.concatenate([expected, observed])
    ends = [min(0, 1.05 * both.min()), 1.05 * both.max()]
    axes.plot(ends, ends, color=QUIET, linestyle="--", linewidth=1)
    axes.plot(expected, observed, marker="o", color=ACCENT)
    axes.set(title="Holdout: calibration", xlabel=f"{names[0]}, by tenth", ylabel=names[1])


def draw_precision_recall(axes: Axes, outcome: Array, probability: Array, threshold: float) -> None:
    thresholds, hits, false_alarms = curve(outcome, probability)
    precision = hits / (hits + false_alarms)
    recall = hits / hits[-1]

    axes.plot(recall, precision, color=ACCENT)
    flagged = np.count_nonzero(thresholds >= threshold)
    if flagged:
        axes.plot(recall[flagged - 1], precision[flagged - 1], "o", color=INK, label=f"threshold {threshold:.2f}")
        axes.legend(frameon=False, fontsize=8)

    axes.axhline(outcome.mean(), color=QUIET, linestyle="--", linewidth=1)
    axes.set(title="Holdout: precision and recall", xlabel="recall", ylabel="precision", ylim=(0, 1.02))


def draw_confusion(axes: Axes, outcome: Array, flagged: Array, threshold: float) -> None:
    counts = np.zeros((2, 2), dtype=np.int64)
    for truth, predicted in np.ndindex(2, 2):
        counts[truth, predicted] = np.sum((outcome == truth) & (flagged == predicted))

    axes.imshow(counts, cmap="Greens")
    for truth, predicted in np.ndindex(2, 2):
        count = counts[truth, predicted]
        color = "white" if count > counts.max() / 2 else INK
        axes.text(predicted, truth, f"{count:,}", ha="center", va="center", color=color)

    axes.set(
        title=f"Holdout at threshold {threshold:.2f}",
        xlabel="predicted",
        ylabel="outcome",
        xticks=(0, 1),
        yticks=(0, 1),
    )
    axes.set_xticklabels(["no", "yes"])
    axes.set_yticklabels(["no", "yes"])


def draw_errors(axes: Axes, outcome: Array, answer: Array, unit: str) -> None:
    """A histogram of the errors, without the outermost hundredth on each side."""
    error = answer - outcome
    low, high = np.quantile(error, [0.01, 0.99])
    axes.hist(error[(error >= low) & (error <= high)], bins=50, color=ACCENT)
    axes.axvline(0, color=QUIET, linestyle="--", linewidth=1)
    axes.set(title="Holdout: prediction minus outcome", xlabel=f"error{unit}", ylabel="rows")
