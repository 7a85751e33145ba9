"""Flights through the whole chain, with the sample and the small candidates of configs/smoke.yaml."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.config import load
from pipeline.config.durations import Duration
from pipeline.config.splits import TimeSplit
from pipeline.data import clean
from pipeline.datasets import flights
from pipeline.runtime import arrays
from pipeline.runtime.arrays import columns_to_json, tensors, to_columns
from pipeline.runtime.bundle_store import resolve
from pipeline.runtime.dataset import DataFile
from pipeline.runtime.predictor import Predictor
from pipeline.runtime.predictor import load as load_predictor
from pipeline.runtime.request_model import request_model
from tests.support import ROOT
from tests.support.toy import in_folder

SMOKE = ROOT / "configs/smoke.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that one training wrote into."""
    folder = tmp_path_factory.mktemp("flights")
    words = [word for override in in_folder(folder) for word in ("--set", override)]
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", "train", str(SMOKE), *words],
        env={**os.environ}, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture
def predictor(trained: Path) -> Predictor:
    return load_predictor(resolve(trained / "models/smoke"))


def test_the_default_config_resolves_to_forward_chaining() -> None:
    """Its threshold is one quarter."""
    config = load(ROOT / "configs/flights.yaml")
    assert isinstance(config.split, TimeSplit)
    assert config.split.holdout == Duration(2, "months")
    assert config.costs.threshold == 0.25


def test_the_smoke_config_asks_the_same_of_a_sample() -> None:
    whole, smoke = load(ROOT / "configs/flights.yaml"), load(SMOKE)
    assert (smoke.name, smoke.columns, smoke.features) == ("smoke", whole.columns, whole.features)
    assert smoke.data.sample == 0.1


def test_every_flight_is_read_and_none_breaks_a_rule(trained: Path) -> None:
    told = json.loads((trained / "reports/smoke/data_report.json").read_text())
    assert told["data"]["counts"]["flights: cancelled, dropped"] == 8255
    assert told["rows"] == {"loaded": 327346, "rejected": 0, "valid": 327346, "without_outcome": 0, "same_key": 178}


def test_the_page_compares_predictions_and_outcomes_month_by_month(trained: Path) -> None:
    page = (trained / "reports/smoke/report.html").read_text()
    caption = page.partition("<h3>Calibration by month</h3>")[2].partition("</figure>")[0]
    assert re.search(r"The largest gap is in 2013-\d\d: [\d.]+\u00a0% predicted, [\d.]+\u00a0% observed", caption)
    assert "<h3>Rows by month</h3>" in page


def test_a_flight_has_the_same_features_from_the_files_and_sent_as_json() -> None:
    config = load(SMOKE)
    frame = clean.clean(flights.load(DataFile(), config.columns).frame.iloc[::40_000], config.contract).frame
    known = clean.frame_to_columns(frame, config.contract)
    trained = {name: known.get(name, np.linspace(0, 1, len(frame)) / 3) for name in config.request}

    model = request_model(config.contract)
    sent = json.loads(json.dumps(arrays.to_rows(columns_to_json(trained, config.request))))
    served = to_columns([model.model_validate(row).model_dump() for row in sent], config.contract)

    ours, theirs = (tensors(flights.derive(columns), config.contract) for columns in (trained, served))
    assert ours.strings.tolist() == theirs.strings.tolist()
    assert ours.numbers.tobytes() == theirs.numbers.tobytes()


def test_the_files_of_the_package_name_airlines_and_airports(predictor: Predictor) -> None:
    named = predictor.choices
    assert (named["carrier"]["B6"], named["dest"]["BOS"]) == ("JetBlue Airways", "General Edward Lawrence Logan Intl")


@pytest.mark.parametrize("weather", [{"visib": 0.5, "visib_min_3h": 0.25}, {"wind_speed": 35.0, "wind_gust": 50.0}])
def test_bad_weather_raises_the_risk_on_average(predictor: Predictor, weather: dict[str, float]) -> None:
    asked = {name: values[:48] for name, values in predictor.golden.columns.items()}
    stormy = asked | {name: np.full(48, value) for name, value in weather.items()}
    assert predictor.predict(stormy).mean() > predictor.predict(asked).mean()


def test_the_date_alone_does_not_matter(predictor: Predictor) -> None:
    asked = {name: values[:48] for name, values in predictor.golden.columns.items()}
    four_weeks = np.timedelta64(28, "D")
    moved = asked | {"scheduled_departure": asked["scheduled_departure"] + four_weeks}
    assert (predictor.predict(moved) == predictor.predict(asked)).all()
