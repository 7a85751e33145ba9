"""Weeks of a task of three classes through running servers, with a feature that is the recent share of a class."""

import json
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pipeline.config.config import Config, load
from pipeline.errors import ConfigError
from pipeline.replay import replay, report
from pipeline.runtime.predictor import load as load_bundle
from pipeline.training.train import run as train
from tests.support.rolling import REMEMBERS
from tests.support.timed import DAYS, TIMED, made
from tests.support.toy import in_folder

pytestmark = pytest.mark.usefixtures("blank_pictures")

GRADED = TIMED.replace("task: binary", "task: multiclass").replace(
    "  good: {kind: boolean, known: after, meaning: Whether it was}",
    "  good: {kind: category, known: after, meaning: How good it was, values: {bad: Bad, fair: Fair, good: Good}}\n"
    "  lately: {kind: number, known: before, nullable: true, meaning: Share of the good lately,\n"
    "    rolling: {of: good, by: [colour], days: 3, weight: 5, text: '{share} of the {colour} ones were good'}}\n"
    "  when_minute_of_day: {kind: integer, known: before, meaning: Minute, derived_from: [when]}",
)


def graded(folder: Path, *overrides: str) -> Config:
    """Sixty days of three classes: what is good on a day is so on the next too, by colour."""
    rng = np.random.default_rng(1)
    frame = made()
    wave = np.sin(np.arange(DAYS) / 3)[(frame["when"] - frame["when"].min()).dt.days]
    odds = (
        frame["size"] / 3 - 1.7 + 2 * wave * np.where(frame["colour"] == "red", 1, -1) + rng.logistic(size=len(frame))
    )
    grade = pd.cut(odds, [-np.inf, -1, 1, np.inf], labels=["bad", "fair", "good"])
    frame.assign(good=grade, later=odds).to_csv(folder / "timed.csv", index=False)
    lines = [line for line in GRADED.splitlines() if not line.startswith(("costs:", "  slices:"))]
    limits = "holdout: {roc_auc: {low: 0.55, high: 0.95}}"
    text = re.sub(r"holdout: \{roc_auc.*\}", limits, "\n".join(lines)).replace(
        "features: [colour, size, legs]", "features: [colour, size, legs, lately, when_minute_of_day]"
    )
    (folder / "timed.yaml").write_text(text)
    return load(folder / "timed.yaml", [f"data.path={folder}/timed.csv", *in_folder(folder), *overrides])


def test_a_rolling_feature_is_the_share_of_its_class(tmp_path: Path) -> None:
    """The bundle's table has what can be counted by hand, and the model of it is better than one without."""
    config = graded(tmp_path)
    train(config, Console(quiet=True))
    predictor = load_bundle(tmp_path / "models/tiny")
    assert predictor.rolling is not None
    prior = predictor.rolling.prior["lately"]
    assert 0.2 < prior < 0.4

    frame = pd.read_csv(tmp_path / "timed.csv", parse_dates=["when"])
    red = frame[(frame["when"] >= "2013-02-27") & (frame["colour"] == "red")]
    good = (red["good"] == "good").sum()
    _, cells = predictor.rolling.features["lately"]
    assert cells["red",] == (len(red), good, round((good + 5 * prior) / (len(red) + 5), 4))


def test_weeks_of_classes_are_replayed(tmp_path: Path) -> None:
    """Both models give every row a probability of each class, and the recent share of the good is refreshed daily."""
    out = Console(file=StringIO(), width=100)
    config = graded(tmp_path)
    played = replay.run(config, None, out)
    report.publish(config, played, out)
    assert played.rows.managed.shape == played.rows.frozen.shape == (36 * 80, 3)
    assert played.rows.managed.sum(axis=1) == pytest.approx(np.ones(36 * 80), abs=1e-5)
    told = json.loads((played.folder / "replay.json").read_text())
    assert [month["month"] for month in told["months"]] == ["2013-01", "2013-02", "2013-03"]
    assert "gained, 95 %" in out.file.getvalue()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("columns.lately.rolling.of=null", "lately: rolling.of has to be one of the classes bad, fair, good"),
        ("columns.lately.rolling.of=best", "lately: rolling.of has to be one of the classes bad, fair, good"),
    ],
)
def test_a_rolling_feature_of_classes_names_one(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        graded(tmp_path, override)


def test_a_rolling_feature_of_a_yes_names_no_class(tiny: Path) -> None:
    with pytest.raises(ConfigError, match="share: rolling.of has to be left out, as there are no classes"):
        load(tiny, [*REMEMBERS, "columns.share.rolling.of=good"])
