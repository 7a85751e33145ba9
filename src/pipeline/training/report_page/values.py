"""What the page shows of the rows and of the candidates, as plain values."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.data.read import TrainingRows
from pipeline.data.split import Fold
from pipeline.evaluation.bootstrap import Interval, blocks
from pipeline.evaluation.metrics import mean_of_blocks, row_losses
from pipeline.training import search
from pipeline.training.fold_results import CandidateResult
from pipeline.training.phases import Prepared, Selection

DRAWN = 6  # classes that have a line: the first of them
Array = NDArray[Any]


class Extremes(NamedTuple):
    """The lowest and the highest of some values, each with its name."""

    low: float
    low_name: str
    high: float
    high_name: str


def extremes(names: Sequence[str], values: Sequence[float]) -> Extremes:
    lowest = int(np.argmin(values))
    highest = int(np.argmax(values))
    return Extremes(values[lowest], names[lowest], values[highest], names[highest])


def mean_interval(values: list[Array], units: list[Array]) -> Interval:
    """Return the mean over parts of the mean `values` [rows], with its 95 % interval by blocks in `units` [rows].

    With a single block in a part, there is no interval: NaN.
    """
    pairs = [mean_of_blocks(*pair) for pair in zip(values, units, strict=True)]
    means, errors = np.array(pairs).T
    mean = float(means.mean())
    error = float(np.linalg.norm(errors)) / len(pairs)
    reach = 1.96 * error if np.isfinite(error) else np.nan
    return Interval(mean, mean - reach, mean + reach)


# --- rows -----------------------------------------------------------------------------------------------------------


def months_of(key: Array) -> dict[str, Array]:
    """Return the rows of each month, such as 2013-01. There are none where the key [rows] is no time."""
    if not np.issubdtype(key.dtype, np.datetime64):
        return {}
    month = key.astype("datetime64[M]")
    return {str(first): np.flatnonzero(month == first) for first in np.unique(month)}


def outcome_groups(config: Config, target: Array) -> dict[str, Array]:
    """Return by name whether a row [rows] is in a group of outcomes: yes and no, classes, or the halves of numbers."""
    if config.task == "regression":
        middle = np.median(target)
        return {f"up to {middle:g}": target <= middle, f"above {middle:g}": target > middle}
    return {name: target == number for number, name in enumerate(outcome_names(config))}


def outcome_names(config: Config) -> Sequence[str]:
    """Return what people call the classes in their order, the declared titles if these differ, or no and yes."""
    declared = config.columns[config.target].values or {}
    titles = [declared.get(name, name) for name in config.classes]
    return titles if titles and len(set(titles)) == len(titles) else config.classes or ("no", "yes")


def outcome_by_month(config: Config, rows: TrainingRows) -> dict[str, Any]:
    """Return by month the mean outcome or, of several classes, the share of each of the first ones."""
    target = rows.examples.target
    months = months_of(rows.key)
    outcomes = {"": target}
    if config.classes:
        outcomes = dict(list(outcome_groups(config, target).items())[:DRAWN])

    means = {}
    for name, outcome in outcomes.items():
        means[name] = [float(outcome[of_month].mean()) for of_month in months.values()]
    first = next(iter(means.values()))
    return {"months": list(months), "means": means, "extremes": extremes(list(months), first) if first else None}


def rows_by_month(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return the number of rows of each month, before and after the rules were checked."""
    before = profile["raw"]["months"]
    after = [profile["valid"]["months"].get(month, 0) for month in before]
    total = sum(before.values())
    counts = list(before.values())
    return {"months": list(before), "before": counts, "after": after, "total": total, "removed": total - sum(after)}


def missing_values(rows: TrainingRows, groups: Mapping[str, Array]) -> list[dict[str, Any]]:
    """Return the shares of missing values of the columns that have any: of raw and valid rows, and by outcome."""
    raw, valid = (rows.about["data"]["profile"][stage] for stage in ("raw", "valid"))
    columns = []
    for name, values in rows.examples.request.items():
        before = raw["missing"].get(name, 0) / raw["rows"]
        after = valid["missing"].get(name, 0) / valid["rows"]
        missing = values == "" if values.dtype == object else values != values  # NaN and NaT differ from themselves
        if before or after:
            by_outcome = [float(missing[group].mean()) for group in groups.values() if group.any()]
            columns.append({"name": name, "before": before, "after": after, "by_outcome": by_outcome})
    return sorted(columns, key=lambda column: -column["after"])


# --- candidates -----------------------------------------------------------------------------------------------------


def candidates(config: Config, prepared: Prepared, selection: Selection) -> dict[str, Any]:
    """Return the candidates by loss, lowest first: those on all rows, and those that stayed behind on the sample of the
    search. Each has its mean loss over the folds, and that minus the chosen one's on the same rows.
    """
    unit = blocks(prepared.rows.key)
    target = prepared.rows.examples.target
    best = selection.best
    trial = next((trial for trial in selection.trials if trial.settings == best.settings), best)

    def losses_of(result: CandidateResult, folds: list[Fold]) -> list[Array]:
        return [row_losses(target[fold.valid], result.predictions[fold.name], config.task) for fold in folds]

    def compared(results: list[CandidateResult], chosen: CandidateResult, folds: list[Fold]) -> list[dict[str, Any]]:
        units = [unit[fold.valid] for fold in folds]
        places = []
        for result in results:
            losses = losses_of(result, folds)
            gaps = [loss - other for loss, other in zip(losses, losses_of(chosen, folds), strict=True)]
            places.append({"result": result, "loss": mean_interval(losses, units), "gap": mean_interval(gaps, units)})
        return sorted(places, key=lambda place: place["loss"].value)

    fitted = [result for result in selection.results if not result.error]
    sampled = search.sample_folds(config, prepared.parts.folds, unit).folds
    return {
        "on_all_rows": compared(fitted, best, prepared.parts.folds),
        "on_sample": compared(selection.worse, trial, sampled),
        "kinds": list(dict.fromkeys(trial.name for trial in selection.trials)),
        "folds": fold_losses(fitted, best, config.loss),
        "search": search_losses(selection.trials, config.loss),
    }


def fold_losses(results: list[CandidateResult], best: CandidateResult, loss: str) -> dict[str, Any]:
    """Return the loss of each candidate on each fold, and the folds on which the chosen one does best and worst."""
    by_name = {}
    for result in results:
        by_name[result.name] = list(enumerate(figures[loss] for figures in result.folds.values()))

    numbers = [str(number) for number in range(1, len(best.folds) + 1)]
    titles = [f"{number} ({name})" for number, name in zip(numbers, best.folds, strict=True)]
    of_best = extremes(titles, [figures[loss] for figures in best.folds.values()])
    return {"numbers": numbers, "losses": by_name, "extremes": of_best}


def search_losses(trials: list[CandidateResult], loss: str) -> dict[str, Any]:
    """Return the mean loss of each trial that ended on the last fold, by kind, and the lowest so far as steps."""
    points: dict[str, list[tuple[int, float]]] = {}
    steps: list[tuple[int, float]] = []
    best = (0, np.inf, "")

    for number, trial in enumerate(trials, 1):
        mean = trial.mean(loss)
        if not np.isfinite(mean):
            continue
        points.setdefault(trial.name, []).append((number, mean))
        if mean < best[1]:
            steps += [(number, best[1]), (number, mean)] if steps else [(number, mean)]
            best = (number, mean, trial.name)

    steps.append((len(trials), best[1]))
    return {"points": points, "lowest": steps, "trial": best[0], "loss": best[1], "kind": best[2]}
