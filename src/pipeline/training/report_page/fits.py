"""Fits that only the page needs: what more rows are worth, and what a random split would have promised.

They have the chosen settings and the last fold of the search's sample. The holdout has no part in them.
"""

from typing import Any

import numpy as np

from pipeline.config.config import Config
from pipeline.data.split import Fold, sample
from pipeline.evaluation.bootstrap import blocks
from pipeline.evaluation.metrics import metrics, row_losses
from pipeline.training import parallel, search
from pipeline.training.fold_results import CandidateResult, fit_on_fold
from pipeline.training.phases import Prepared
from pipeline.training.report_page.values import mean_interval

SHARES = (0.125, 0.25, 0.5, 1.0)  # of the training days, groups or rows
SCORED = 5000  # training rows whose loss is computed too


def fit_for_page(config: Config, prepared: Prepared, best: CandidateResult) -> dict[str, Any]:
    """Fit parts of the fold's training rows and, of a split by time, as many rows that are drawn from all its days.

    Half of the validation rows score every fit. The random draw has rows of the other half, from the same days. A part
    that lacks a class, or on which the fit fails, is left out.
    """
    seed = config.train.seed
    rng = np.random.default_rng(seed)
    target = prepared.rows.examples.target
    unit = blocks(prepared.rows.key)
    fold = search.sample_folds(config, prepared.parts.folds, unit).folds[-1]

    valid, rest = np.array_split(rng.permutation(fold.valid), 2)
    shares = [fold.train[sample(unit[fold.train], share, seed)] for share in SHARES]
    parts = {str(len(rows)): rows for rows in shares}  # of few days, two shares are the same rows
    if config.split.by == "time":
        parts["random"] = rng.permutation(np.concatenate([fold.train, rest]))[: len(fold.train)]
    if config.task != "regression":
        classes = len(np.unique(target[fold.train]))
        parts = {name: rows for name, rows in parts.items() if len(np.unique(target[rows])) == classes}

    scored = [Fold(name, rows, np.append(valid, rng.permutation(rows)[:SCORED])) for name, rows in parts.items()]
    data = parallel.shareable(prepared.rows.examples.data)
    tasks = [(best.settings, data, target, part, config) for part in scored]

    points: dict[str, Any] = {}
    for part, predictions in zip(scored, parallel.run(config, fit_on_fold, tasks), strict=True):
        if not isinstance(predictions, str):
            of_valid, of_train = np.split(row_losses(target[part.valid], predictions, config.task), [len(valid)])
            points[part.name] = {
                "rows": len(part.train),
                "train": float(of_train.mean()),
                "valid": mean_interval([of_valid], [unit[valid]]),
                "figures": metrics(target[valid], predictions[: len(valid)], config.scoring),
                "losses": of_valid,
            }

    random = points.pop("random", None)
    in_time = points.get(str(len(fold.train)))
    gap = None
    if random and in_time:
        gap = mean_interval([random["losses"] - in_time["losses"]], [unit[valid]])
    curve = list(points.values())
    last_step = curve[-1]["valid"].value - curve[-2]["valid"].value if len(curve) > 1 else None
    facts = {"fold": fold.name, "scored": len(valid)}
    return {**facts, "curve": curve, "last_step": last_step, "time_ordered": in_time, "random": random, "gap": gap}
