"""Whole trainings that are refused, or go out, for the right reason."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pipeline.candidates.linear import Linear
from pipeline.config.config import load
from pipeline.errors import RefusedError
from pipeline.registry import mlflow_versions, promotion
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import Tensors
from pipeline.training import estimators
from pipeline.training.evidence import GateResult
from pipeline.training.export import onnx
from pipeline.training.train import run
from tests.support.parcels import CONFIG, Parcels, settings
from tests.support.toy import WEAK, Toy


def test_every_verdict_stands_in_the_bundles_record(parcels: Parcels) -> None:
    told = [GateResult(**each) for each in json.loads((parcels.bundle / "record.json").read_text())["gates"]]
    assert {"roc_auc on the holdout", "log_loss against the champion", "roc_auc of a single feature"} <= {
        v.gate for v in told
    }
    assert all(verdict.passed and verdict.why for verdict in told)


def test_a_leaked_delay_is_refused_and_the_champion_goes_on(parcels: Parcels, tmp_path: Path) -> None:
    champion = Path(shutil.copytree(parcels.store, tmp_path / "models/parcels")) / parcels.bundle.name
    features = [*parcels.config.features, "hours_late"]
    with pytest.raises(RefusedError, match=r"roc_auc of a single feature: hours_late 1") as refusal:
        leaked = ["columns.hours_late.known=before", f"features={json.dumps(features)}", "candidates.linear=null"]
        run(load(CONFIG, [*settings(tmp_path), *leaked]), Console(quiet=True))
    assert "roc_auc on the holdout: 1" in str(refusal.value)
    assert bundle_store.resolve(tmp_path / "models/parcels") == champion


def test_shuffled_labels_are_refused(toy: Toy) -> None:
    rows = pd.read_csv(toy.folder / "toy.csv")
    rows["good"] = np.random.default_rng(0).permutation(rows["good"])
    rows.to_csv(toy.folder / "toy.csv", index=False)
    with pytest.raises(RefusedError, match="log_loss below the baseline's: by"):
        toy.train()
    assert bundle_store.champion(toy.folder / "models/tiny") is None


def test_a_worse_model_is_refused_and_a_better_one_goes_out(toy: Toy) -> None:
    first = toy.train(WEAK)
    second = toy.train()
    assert (first.news, second.news) == (True, True)
    assert bundle_store.resolve(toy.folder / "models/tiny") == second.bundle != first.bundle
    with pytest.raises(RefusedError, match=r"log_loss against the champion: \+0.1"):
        toy.train(WEAK)
    assert bundle_store.resolve(toy.folder / "models/tiny") == second.bundle


def test_the_same_model_again_is_nothing_new(toy: Toy) -> None:
    """It leaves the champion as it is."""
    first = toy.train()
    assert first.bundle is not None
    made = (first.bundle / "record.json").stat().st_ino
    again = toy.train()
    assert (again.bundle, again.news) == (first.bundle, False)
    assert (first.bundle / "record.json").stat().st_ino == made
    assert len(promotion.history(toy.config())) == 1


def test_a_broken_slice_is_refused(toy: Toy) -> None:
    """Of blue rows the outcome is a coin's: good on average, useless for them."""
    rows = pd.read_csv(toy.folder / "toy.csv")
    blue = rows["colour"] == "blue"
    rows.loc[blue, "good"] = np.random.default_rng(0).random(blue.sum()) < 0.5
    rows.to_csv(toy.folder / "toy.csv", index=False)
    with pytest.raises(RefusedError, match=r"roc_auc by colour: lowest blue 0\.[45]") as refusal:
        toy.train()
    assert "on the holdout" not in str(refusal.value)


def test_an_export_that_answers_otherwise_is_refused(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The candidates pass their probe; what is exported in the end is another model."""
    honest, config = onnx.to_onnx, toy.config()

    def exported(fitted: Any, data: Tensors, name: str) -> bytes:
        other = estimators.fit(Linear(C=0.01), data, np.arange(len(data.numbers)) % 2 == 0, config.train)
        return honest(other if name == "tiny" else fitted, data, name)

    monkeypatch.setattr(onnx, "to_onnx", exported)
    with pytest.raises(RefusedError, match="export error against scikit-learn: "):
        toy.train()
    assert mlflow_versions.version_with_alias("tiny", "challenger") is not None
    assert mlflow_versions.version_with_alias("tiny", "champion") is None
