"""Rolling features of a trained bundle: the same in training, in batches and in a server, which takes newer tables on."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data import clean
from pipeline.datasets import table as dataset
from pipeline.errors import BundleError
from pipeline.runtime import rolling_features
from pipeline.runtime.predictor import load as load_predictor
from pipeline.runtime.predictor import prove
from tests.support.server import serving, wait_for


def test_batch_api_and_training_rows_are_equal_to_the_bit(parcels: Any) -> None:
    """The rows of the day that the bundle's table is of, as training would see them and as callers ask."""
    predictor = load_predictor(parcels.bundle)
    contract, table = predictor.contract, predictor.rolling
    assert table is not None
    raw = dataset.load(parcels.config.data, parcels.config.columns).frame
    late = raw[raw["sent"] >= "2013-12-20"]
    columns = clean.frame_to_columns(clean.clean(late, parcels.config.contract).frame, parcels.config.contract)
    tallies = rolling_features.count_outcomes(columns, columns["late"], contract, columns["arrived"])
    day = rolling_features.day_number("2013-12-31")
    prior = predictor.manifest.prior
    rows = np.flatnonzero(columns["sent"] >= np.datetime64("2013-12-31"))
    trained = {
        name: values[rows]
        for name, values in rolling_features.training_features(columns, tallies, contract, prior).items()
    }
    predictor._oldest = 0
    predictor.set_rolling_features(rolling_features.dump_counts(tallies, contract, day))
    asked = {name: np.full(len(rows), np.nan) if name in trained else columns[name][rows] for name in contract.request}
    batch = predictor.with_rolling_features(asked)
    for name, values in trained.items():
        assert (batch[name] == values).all()
        one = predictor.with_rolling_features({key: column[:1] for key, column in asked.items()})
        assert one[name][0] == values[0]
    assert (predictor.predict(asked) == predictor.predict({**asked, **trained})).all()


def test_golden_rows_hold_their_rolling_features(parcels: Any) -> None:
    """For that reason another table of rolling features breaks no proof."""
    predictor = load_predictor(parcels.bundle)
    for name in predictor.contract.rolling:
        assert not np.isnan(predictor.golden.columns[name]).any()
    before = predictor.predict(predictor.golden.columns)
    empty = rolling_features.dump_counts({name: {} for name in predictor.contract.rolling}, predictor.contract, 10**5)
    predictor.set_rolling_features(empty)
    assert (predictor.predict(predictor.golden.columns) == before).all()
    prove(predictor, parcels.bundle)


def test_an_older_table_than_the_bundles_own_is_refused(parcels: Any) -> None:
    predictor = load_predictor(parcels.bundle)
    old = rolling_features.dump_counts({name: {} for name in predictor.contract.rolling}, predictor.contract, 10**4)
    with pytest.raises(ValueError, match="of 1997-05-19, older than the bundle's own"):
        predictor.set_rolling_features(old)


def test_a_bundle_whose_memory_was_changed_does_not_load(parcels: Any, tmp_path: Path) -> None:
    copy = tmp_path / parcels.bundle.name
    shutil.copytree(parcels.bundle, copy)
    (copy / rolling_features.FILE).write_bytes((copy / rolling_features.FILE).read_bytes().replace(b"NTH", b"STH", 1))
    with pytest.raises(BundleError, match="rolling_features.json has been changed"):
        load_predictor(copy)


REQUIRED = {
    "carrier": "B6", "depot": "NTH", "city": "ROM", "sent": "2014-01-02T17:30", "weight": 75
}  # fmt: skip


def test_a_refreshed_table_is_taken_on_while_serving_and_told_in_words(parcels: Any, tmp_path: Path) -> None:
    shutil.copytree(parcels.store, tmp_path / "parcels")
    contract = load_predictor(parcels.bundle).contract
    with serving(tmp_path / "parcels", RELOAD_SECONDS="0.05") as client:
        before = client.post("/predict", json=REQUIRED).json()["probability"]
        assert "rolling_features_age_seconds 86400.0" in client.get("/metrics").text
        day = rolling_features.day_number("2014-01-02")
        yesterday = {day - 1: {(day, ("NTH", "B6")): (100, 31.0)}}
        counts = {name: yesterday if name == "late_1d_depot_carrier" else {} for name in contract.rolling}
        (tmp_path / "parcels/new").write_bytes(rolling_features.dump_counts(counts, contract, day))
        (tmp_path / "parcels/new").replace(tmp_path / "parcels" / rolling_features.FILE)
        wait_for(client, 'rolling_features_reloads_total{outcome="taken"} 1.0')
        explained = client.post("/explain", json=REQUIRED).json()
        told = {each["field"]: each.get("text") for each in explained["contributions"]}
        assert told["late_1d_depot_carrier"] == (
            "the day before, 31 % of B6 parcels from NTH were late (100 known on 2014-01-02)"
        )
        assert "the average" in str(told["late_7d_route"])
        assert explained["probability"] == client.post("/predict", json=REQUIRED).json()["probability"] != before
        assert "rolling_features_age_seconds 0.0" in client.get("/metrics").text
        (tmp_path / "parcels" / rolling_features.FILE).write_text("half a fi")
        wait_for(client, 'rolling_features_reloads_total{outcome="refused"} 1.0')
        assert client.post("/predict", json=REQUIRED).json()["probability"] == explained["probability"]
        assert "missing_values" not in "".join(
            line for line in client.get("/metrics").text.splitlines() if "late_1d" in line
        )
