"""The pictures of a search and of a model.

Each function draws one picture on one pair of axes, from plain values: this module knows no config, data set or model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pipeline.evaluation.curves import by_tenth, curve
from pipeline.evaluation.metrics import roc_auc
from pipeline.plotting import ACCENT, INK, QUIET
from pipeline.training.fold_results import CandidateResult

MANY = 5  # classes from which on their names are small
MOST_COUNTS = 20  # classes up to which each cell of a confusion matrix has its count
MARKERS = "osD^vP"  # the candidates that were not chosen share a colour and differ by their marker
Array = NDArray[Any]


def draw_folds(axes: Axes, results: list[CandidateResult], metric: str, *, in_time: bool) -> None:
    """Draw the metric of every candidate on each fold. The first candidate is the chosen one and has the colour.

    A line joins folds that follow each other `in_time`; those of groups or of random rows have no order.
    """
    names = list(results[0].folds)

    for position, result in enumerate(results):
        figures = [result.folds[name][metric] for name in names]
        label = f"{result.name}, mean {result.mean(metric):.3f}"
        marker = MARKERS[position % len(MARKERS)]
        color = QUIET if position else ACCENT
        zorder = 2 if position else 3
        line = "-" if in_time else ""
        axes.plot(figures, label=label, marker=marker, linestyle=line, color=color, zorder=zorder)

    axes.set(title="Folds: each on rows that it was not trained on", ylabel=metric)
    axes.set_xticks(range(len(names)), [name.replace(" to ", "\nto ") for name in names])
    axes.margins(x=0.15, y=0.2)
    axes.legend(frameon=False, fontsize=8)


def draw_trials(axes: Axes, trials: list[CandidateResult], loss: str) -> None:
    """Draw the mean loss of each trial, in the order of the trials, and the lowest loss so far.

    Trials that failed or were stopped have none.
    """
    kinds = dict.fromkeys(trial.name for trial in trials)
    for position, kind in enumerate(kinds):
        finished = [number for number, trial in enumerate(trials, 1) if trial.name == kind]
        finished = [number for number in finished if np.isfinite(trials[number - 1].mean(loss))]
        losses = [trials[number - 1].mean(loss) for number in finished]
        axes.plot(finished, losses, MARKERS[position % len(MARKERS)], ms=5, label=kind)

    lowest = np.minimum.accumulate([trial.mean(loss) for trial in trials])
    numbers = range(1, len(trials) + 1)
    axes.step(numbers, lowest, where="post", color=QUIET, linewidth=1, label="lowest so far", zorder=1)

    axes.set(title="Search", xlabel="trial", ylabel=f"mean {loss} of the folds")
    axes.legend(frameon=False, fontsize=7, ncols=2)


def draw_importance(axes: Axes, importance: Mapping[str, float], loss: str) -> None:
    """Draw the permutation importance as bars, with the most important feature on top."""
    names = sorted(importance, key=lambda name: importance[name])
    axes.barh(names, [importance[name] for name in names], color=ACCENT)
    axes.set(title="Holdout: what the model uses", xlabel=f"{loss} gained when the feature is shuffled")


def draw_roc(axes: Axes, outcome: Array, probability: Array) -> None:
    """Draw the ROC curve of probabilities [rows] against boolean outcomes [rows]."""
    _, hits, false_alarms = curve(outcome, probability)
    axes.plot(np.append(0, false_alarms) / false_alarms[-1], np.append(0, hits) / hits[-1], color=ACCENT)
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=1)
    area = roc_auc(outcome, probability)
    axes.set(title=f"Holdout: ROC, area {area:.3f}", xlabel="false alarms ÷ negatives", ylabel="hits ÷ positives")


def draw_calibration(axes: Axes, outcome: Array, prediction: Array, names: tuple[str, str]) -> None:
    """Draw the mean outcome against the mean prediction, by tenths of the predictions.

    `outcome` and `prediction` have shape [rows]. `names` are the labels of the x and y axes.
    """
    expected, observed = by_tenth(outcome, prediction)
    both = np.concatenate([expected, observed])
    ends = [min(0, 1.05 * both.min()), 1.05 * both.max()]

    axes.plot(ends, ends, color=QUIET, linestyle="--", linewidth=1)
    axes.plot(expected, observed, marker="o", color=ACCENT)
    axes.set(title="Holdout: calibration", xlabel=f"{names[0]}, by tenth", ylabel=names[1])


def draw_precision_recall(axes: Axes, outcome: Array, probability: Array, threshold: float) -> None:
    """Draw the precision-recall curve, with a point at the threshold and a line at the share of positive outcomes."""
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


def draw_confusion(axes: Axes, outcome: Array, predicted: Array, names: Sequence[str], title: str) -> None:
    """Draw the confusion matrix of the labels `predicted` [rows]; `names` are those of the classes 0, 1, 2 …"""
    size = len(names)
    counts = np.zeros((size, size), dtype=np.int64)
    np.add.at(counts, (outcome.astype(np.int64), predicted.astype(np.int64)), 1)

    small: dict[str, Any] = {"fontsize": 6} if size >= MANY else {}
    axes.imshow(counts, cmap="Greens")
    for truth, label in np.ndindex(size, size) if size <= MOST_COUNTS else ():
        count = counts[truth, label]
        color = "white" if count > counts.max() / 2 else INK
        axes.text(label, truth, f"{count:,}", ha="center", va="center", color=color, **small)

    axes.set(title=title, xlabel="predicted", ylabel="outcome", xticks=range(size), yticks=range(size))
    axes.set_xticklabels(names, rotation=90 if size >= MANY else 0, **small)
    axes.set_yticklabels(names, **small)


def draw_errors(axes: Axes, outcome: Array, prediction: Array, unit: str) -> None:
    """Draw a histogram of prediction minus outcome, without the outermost hundredth on each side."""
    error = prediction - outcome
    low, high = np.quantile(error, [0.01, 0.99])

    axes.hist(error[(error >= low) & (error <= high)], bins=50, color=ACCENT)
    axes.axvline(0, color=QUIET, linestyle="--", linewidth=1)
    axes.set(title="Holdout: prediction minus outcome", xlabel=f"error{unit}", ylabel="rows")
