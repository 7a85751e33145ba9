"""Compare a champion with scikit-learn's HistGradientBoosting, on the same folds and on the same holdout.

Both are trained on the training rows of a fold and predict its validation rows. The champion was chosen on these folds,
which is an advantage; nothing was chosen on the holdout.
"""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from pipeline.config.candidates import Candidates
from pipeline.config.config import Config
from pipeline.config.config import load as load_config
from pipeline.config.defaults import with_candidates
from pipeline.data import masking
from pipeline.data.read import TrainingRows, read
from pipeline.data.split import Fold, split
from pipeline.evaluation.bootstrap import Bootstrap, Interval, blocks, paired
from pipeline.evaluation.metrics import metrics
from pipeline.runtime.arrays import Tensors, take_rows
from pipeline.runtime.predictor import as_answers, load
from pipeline.training import estimators, search

RESAMPLES = 1000
SAME = 1e-5  # of a fold's loss, which the record has with six decimals


class Comparison(NamedTuple):
    """The champion's loss minus a HistGradientBoosting's, with a 95 % interval, and both losses."""

    champion: float
    other: float
    difference: Interval

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval lies on the side where the champion has the larger loss."""
        return self.difference.low > 0


class Quality(NamedTuple):
    """The champion of a table beside HistGradientBoosting with its defaults, on the folds and on the holdout.

    `same_loss` compares a regression on the folds with HistGradientBoosting that minimises the absolute error too.
    """

    task: str
    candidate: str
    folds: Comparison
    holdout: Comparison
    same_loss: Comparison | None


def compare(work: Path, name: str) -> Quality:
    """Compare the champion that a training in the folder `work` has left there."""
    champion = load(work / "models" / name)
    record = champion.record
    config = load_config(work / "configs" / f"{name}.yaml")
    with tempfile.TemporaryDirectory() as folder:
        rows = read(config, Path(folder))
    config = with_candidates(config, len(rows.key))
    parts = split(rows.key, config.split)
    last = [Fold("holdout", parts.search, parts.holdout)]

    chosen = champion_predictions(config, rows, parts.folds, record)
    on_folds = against(config, rows, parts.folds, chosen, boosting_predictions(rows, parts.folds))
    served = champion.predict(take_rows(rows.examples.request, parts.holdout))
    on_holdout = against(config, rows, last, served, boosting_predictions(rows, last))

    same_loss = None
    if config.task == "regression":
        others = boosting_predictions(rows, parts.folds, loss="absolute_error")
        same_loss = against(config, rows, parts.folds, chosen, others)
    return Quality(config.task, record["candidate"], on_folds, on_holdout, same_loss)


def champion_predictions(
    config: Config, rows: TrainingRows, folds: list[Fold], record: dict[str, Any]
) -> NDArray[np.float64]:
    """Train the champion's kind and settings on each fold, as its training did, and predict the validation rows.

    Raises ValueError where a fold's loss is not the one in the record: then this compares another model.
    """
    kind = record["candidate"]
    settings = Candidates.model_validate({kind: record["settings"]}).named()[kind]
    copies = masking.make_copies(config, rows)
    _, data, target = masking.with_copies(rows.examples, copies)
    with_copies = masking.folds_with_copies(folds, copies, len(rows.key))

    result = search.evaluate_candidates(config, data, target, with_copies, [(kind, settings)], lambda _: None)[0]
    for fold, figures in record["candidates"][kind].items():
        error = abs(result.folds[fold][config.loss] - figures[config.loss])
        if error > SAME:
            raise ValueError(f"{config.name}: {kind} on {fold} has another loss than in the record, by {error:.2g}")
    return np.concatenate([result.predictions[fold.name] for fold in folds])


def boosting_predictions(rows: TrainingRows, folds: list[Fold], **settings: Any) -> NDArray[np.float64]:
    """The predictions of HistGradientBoosting for the validation rows of all folds, one fold after the other."""
    frame = as_frame(rows.examples.data)
    target = rows.examples.target
    is_number = target.dtype == np.float64
    kind = HistGradientBoostingRegressor if is_number else HistGradientBoostingClassifier

    predictions = []
    for fold in folds:
        model = kind(categorical_features="from_dtype", random_state=0, **settings)
        model.fit(frame.iloc[fold.train], target[fold.train])
        valid = frame.iloc[fold.valid]
        predictions.append(as_answers(model.predict(valid) if is_number else model.predict_proba(valid)))
    return np.concatenate(predictions)


def as_frame(data: Tensors) -> pd.DataFrame:
    """The model's inputs with categories as pandas has them, and missing values as they are."""
    frame = estimators.to_frame(data)
    for position in range(data.strings.shape[1]):
        values = frame[position]
        frame[position] = values.where(values != "").astype("category")
    return frame


def against(
    config: Config, rows: TrainingRows, folds: list[Fold], ours: NDArray[np.float64], others: NDArray[np.float64]
) -> Comparison:
    """Compare two predictions for the validation rows of all folds. A row and its copies are resampled together."""
    at = np.concatenate([fold.valid for fold in folds])
    outcome = rows.examples.target[at]
    plan = Bootstrap(config.scoring, RESAMPLES, 0)
    difference = paired(outcome, ours, others, blocks(rows.key[at]), plan, 0.95)[config.loss]

    champion = metrics(outcome, ours, config.scoring)[config.loss]
    other = metrics(outcome, others, config.scoring)[config.loss]
    return Comparison(champion, other, difference)
