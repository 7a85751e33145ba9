"""The value of the rolling features: the champion's settings with them and without them, on the same days."""

import json
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent


def worth(work: Path) -> str:
    """Paired differences in log loss and ROC AUC with 95 % intervals over days, on the folds and on the holdout."""
    from pipeline.config.candidates import Candidates
    from pipeline.config.config import load
    from pipeline.data import split
    from pipeline.data.read import read
    from pipeline.evaluation.bootstrap import Bootstrap, blocks, paired
    from pipeline.training import estimators

    path = ROOT / "configs/flights.yaml"
    config = load(path)
    without = [name for name in config.features if not config.columns[name].rolling]
    folder = work / "models/flights"
    record = json.loads((folder / (folder / "champion").read_text().strip() / "record.json").read_bytes())
    settings = Candidates.model_validate({record["candidate"]: record["settings"]}).named()[record["candidate"]]

    predictions: dict[str, list[np.ndarray]] = {}
    variants = {"with": config, "without": load(path, [f"features=[{', '.join(without)}]"])}
    for name, variant in variants.items():
        with tempfile.TemporaryDirectory() as reports:
            rows = read(variant, Path(reports))
        parts = split.split(rows.key, variant.split)
        windows = [*((fold.train, fold.valid) for fold in parts.folds), (parts.search, parts.holdout)]
        for train, valid in windows:
            data, target = rows.examples.data, rows.examples.target
            fitted = estimators.fit(settings, data.take(train), target[train], variant.train, threads=2)
            predictions.setdefault(name, []).append(estimators.predict(fitted, data.take(valid)))

    evaluated = [valid for _, valid in windows]
    plan = Bootstrap(config.scoring, config.train.resamples, config.train.seed)

    def difference(chosen: slice) -> str:
        at = np.concatenate(evaluated[chosen])
        new = np.concatenate(predictions["with"][chosen])
        old = np.concatenate(predictions["without"][chosen])
        intervals = paired(rows.examples.target[at], new, old, blocks(rows.key[at]), plan, 0.95)
        auc, loss = intervals["roc_auc"], intervals["log_loss"]
        return (
            f"AUC {auc.value:+.3f} ({auc.low:+.3f} to {auc.high:+.3f}), log loss {loss.value:+.4f} ({loss.low:+.4f} to "
            f"{loss.high:+.4f})"
        )

    return f"folds: {difference(slice(0, -1))}; November–December: {difference(slice(-1, None))}"
