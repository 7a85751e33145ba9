"""What single features are worth on the folds: the loss without a feature minus the loss with it.

A gain that is too good to be true has a source. This module compares fits on the search's sample of the folds, and
never uses the holdout.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.candidates.kind import Kind
from pipeline.config.config import Config
from pipeline.data.split import Fold
from pipeline.evaluation.metrics import metrics, standard_error
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.contract import Contract
from pipeline.training import estimators, parallel, search
from pipeline.training.fold_results import CandidateResult

Array = NDArray[np.generic]
STRONGEST = 3  # features that are always left out
NEW = 6  # features that the champion does not have: at most so many, the strongest


class FeatureGain(NamedTuple):
    """How much lower the mean loss over the folds is with a feature, and the standard error of that mean.

    `is_new` tells that there is a champion and that it does not have the feature. `share` is the part of the model's
    whole gain over a constant prediction.
    """

    name: str
    gain: float
    error: float
    share: float
    is_new: bool


def features_to_leave_out(importance: Mapping[str, float], champion: Collection[str]) -> dict[str, bool]:
    """Return the strongest features and the strongest of those that the champion does not have, and which are new.

    `champion` has the champion's features. It is empty if there is no champion, or if its features are not known: then
    none is new.
    """
    ranked = sorted(importance, key=lambda name: -importance[name])
    new = [name for name in ranked if champion and name not in champion]
    return {name: name in new for name in [*ranked[:STRONGEST], *new[:NEW]]}


def feature_gains(
    config: Config, data: Tensors, target: Array, folds: list[Fold], trial: CandidateResult, names: Mapping[str, bool]
) -> list[FeatureGain]:
    """Fit the trial's settings without each of the named features on each fold, and compare with the trial.

    The names tell which features are new. `data` and `target` [rows] and the folds are those of the trial.
    """
    tasks = []
    for name in names:
        tasks += [(config, trial.settings, data, target, fold, name) for fold in folds]
    losses = np.array(list(parallel.run(config, loss_without, tasks))).reshape(len(names), len(folds))

    with_all = np.array([trial.folds[fold.name][config.loss] for fold in folds])
    constant = search.baseline(target, folds, config.scoring)[config.loss]
    whole = constant - with_all.mean()
    gains = []
    for name, differences in zip(names, losses - with_all, strict=True):
        gain = float(differences.mean())
        share = gain / whole if whole > 0 else 0.0
        gains.append(FeatureGain(name, gain, standard_error(differences), share, names[name]))
    return gains


def loss_without(config: Config, settings: Kind, data: Tensors, target: Array, fold: Fold, name: str) -> float:
    """Fit the candidate on a fold without a feature. Return its loss on the validation rows."""
    train = with_constant(data.take(fold.train), config.contract, name)
    valid = with_constant(data.take(fold.valid), config.contract, name)
    fitted = estimators.fit(settings, train, target[fold.train], config.train)
    predictions = estimators.predict(fitted, valid)
    return metrics(target[fold.valid], predictions, config.scoring, [config.loss])[config.loss]


def with_constant(data: Tensors, contract: Contract, name: str) -> Tensors:
    """Return the rows with one value in all rows of a feature: it tells nothing, and every kind of model takes it."""
    strings, numbers = data.strings, data.numbers
    if name in contract.strings:
        strings = strings.astype(object)
        strings[:, contract.strings.index(name)] = "none"
    else:
        numbers = numbers.copy()
        numbers[:, contract.numbers.index(name)] = 0
    return Tensors(strings, numbers)
