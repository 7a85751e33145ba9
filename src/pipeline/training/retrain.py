"""Train again on newer data.

The newest days are the holdout: neither the new model nor the champion was trained on them. The bundle of the new model
holds a second fit, on all rows. This module only changes the config: `train.py` does the training.
"""

from datetime import date

from rich.console import Console

from pipeline.config.config import Config
from pipeline.config.splits import TimeSplit
from pipeline.data.split import begin
from pipeline.errors import BundleError, ConfigError
from pipeline.registry import promotion
from pipeline.runtime import bundle_store, predictor
from pipeline.training import train
from pipeline.training.champion_predictions import learnt_until
from pipeline.training.phases import Outcome


def run(config: Config, as_of: date | None, out: Console) -> Outcome:
    """Train on the data before the day `as_of`, or on all data without one. The last days of it are the holdout.

    Raises ConfigError if the champion was trained on these days, RefusedError if a gate refuses.
    """
    changed, split = plan(config, as_of)
    if as_of:
        refuse_trained_on(changed, begin(split, as_of))
    return train.run(changed, out, everything=True)


def plan(config: Config, as_of: date | None) -> tuple[Config, TimeSplit]:
    """Return the config of a training as of a day, with the limits for its holdout, and the split of that config.

    Raises ConfigError if the config has no `retrain` section or does not split by time.
    """
    rule = config.retrain
    if not isinstance(config.split, TimeSplit):
        raise ConfigError(
            f"split.by is {config.split.by}: retrain and challenge need a split by time, since the newest days compare "
            "the new model with the champion. Use `make train`: it compares both on the holdout"
        )
    if rule is None:
        raise ConfigError("retrain: is missing; it has the days where a retrained model is compared with the champion")

    split = config.split.model_copy(
        update={"holdout": rule.compare_on, "folds": rule.folds, "fold_length": rule.fold_length, "test": "once"}
    )
    champion = config.gates.champion.model_copy(update={"max_increase": rule.max_increase})
    gates = config.gates.model_copy(update={"holdout": rule.holdout, "champion": champion, "use_interval": True})
    data = config.data.model_copy(update={"until": as_of or config.data.until})

    changed = config.model_copy(update={"data": data, "split": split, "gates": gates})
    return changed, split


def refuse_trained_on(config: Config, first: str) -> None:
    """Raise ConfigError, before any work, if the champion was trained on rows of the day `first` or later."""
    models = promotion.home(config)
    try:
        champion = predictor.load(models) if bundle_store.pointer(models) else None
    except BundleError:  # the gate uses its saved predictions
        return

    until = learnt_until(champion.record, first) if champion else None
    if champion and until:
        raise ConfigError(
            f"the days from {first} to {config.data.until} are the holdout of this retraining, but the champion "
            f"{champion.version} has "
            f"learnt from those before {until}. Choose a later day or, to begin without a champion, remove "
            f"{models / bundle_store.POINTER}"
        )
