"""Training again on newer data. The newest days, which neither model has learned from, compare the new model with the
champion. The bundle of the new model holds a second fit, which learns from these days too.
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
from pipeline.training.train import Outcome


def run(config: Config, as_of: date | None, out: Console) -> Outcome:
    """The same training as of a day, judged by the days before it.

    Raises ConfigError where the champion has seen those days, RefusedError where a gate refuses.
    """
    changed, split = plan(config, as_of)
    if as_of:
        refuse_seen(changed, begin(split, as_of))
    return train.run(changed, out, everything=True)


def plan(config: Config, as_of: date | None) -> tuple[Config, TimeSplit]:
    """The config of a training as of a day, with the limits of the window that judges it; and its split."""
    rule = config.retrain
    if rule is None or not isinstance(config.split, TimeSplit):
        raise ConfigError("retrain: is missing here; it says which newest days judge a model that is trained again")
    split = config.split.model_copy(
        update={"holdout": rule.judge, "folds": rule.folds, "fold_length": rule.fold_length, "test": "once"}
    )
    champion = config.gates.champion.model_copy(update={"worse": rule.worse})
    gates = config.gates.model_copy(update={"holdout": rule.holdout, "champion": champion, "use_interval": True})
    data = config.data.model_copy(update={"until": as_of or config.data.until})
    return config.model_copy(update={"data": data, "split": split, "gates": gates}), split


def refuse_seen(config: Config, first: str) -> None:
    """Raise ConfigError, before any work, if the champion has learned from the day `first` or later."""
    models = promotion.home(config)
    try:
        champion = predictor.load(models) if bundle_store.pointer(models) else None
    except BundleError:  # the gate looks for what it has said before
        return
    if champion and (late := learnt_until(champion.record, first)):
        raise ConfigError(
            f"the days from {first} to {config.data.until} are to judge, and the champion {champion.version} has "
            f"learnt from those before {late}. Choose a later day or, to begin without a champion, remove "
            f"{models / bundle_store.POINTER}"
        )
