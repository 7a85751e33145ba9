"""Training again: evaluated on days that neither model knows, and then taught them too."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from pipeline.errors import ConfigError, DataError, RefusedError
from pipeline.registry import promotion
from pipeline.runtime import bundle_store, predictor
from pipeline.training import retrain
from pipeline.training.phases import Outcome
from tests.support.toy import WEAK, Toy

RULE = (
    "retrain={compare_on: 1 day, fold_length: 1 day, max_increase: 0.002, "
    "holdout: {roc_auc: {low: 0.6, high: 0.95}, skill: {low: 0, high: 0.5}}}"
)


def again(toy: Toy, as_of: str | None, *overrides: str) -> Outcome:
    day = date.fromisoformat(as_of) if as_of else None
    return retrain.run(toy.config(RULE, *overrides), day, Console(quiet=True))


def record(outcome: Outcome) -> dict[str, Any]:
    assert outcome.bundle is not None
    return dict(json.loads((outcome.bundle / "record.json").read_bytes()))


def gate(outcome: Outcome) -> dict[str, str]:
    return next(each for each in record(outcome)["gates"] if each["gate"].endswith("champion"))


def test_the_newest_days_judge_and_then_the_model_learns_from_them_too(toy: Toy) -> None:
    found = record(again(toy, "2013-01-07"))
    assert found["holdout"] == "06 Jan 2013 to 06 Jan 2013"
    assert (found["train_rows"], found["holdout_rows"], found["trained_on"]) == (2500, 500, 3000)
    assert found["until"] == "2013-01-07"
    learnt, elsewhere = predictor.load(promotion.home(toy.config())), f"paths.models={toy.folder}/elsewhere"
    only_evaluated = toy.train("data.until=2013-01-07", "split.holdout=1 day", "split.folds=1", elsewhere)
    assert only_evaluated.bundle is not None
    assert learnt.manifest.metrics == predictor.load(only_evaluated.bundle).manifest.metrics
    assert learnt.version != only_evaluated.bundle.name


def test_what_happens_from_that_day_on_changes_nothing(toy: Toy) -> None:
    before = again(toy, "2013-01-06").bundle
    frame = pd.read_csv(toy.folder / "toy.csv")
    late = frame["when"] >= "2013-01-06"
    frame.loc[late, "good"] = ~frame.loc[late, "good"]
    frame.to_csv(toy.folder / "toy.csv", index=False)
    (promotion.home(toy.config()) / bundle_store.POINTER).unlink()
    after = again(toy, "2013-01-06").bundle
    assert before is not None
    assert after == before


def test_the_champion_is_asked_on_the_very_same_days(toy: Toy) -> None:
    first = again(toy, "2013-01-06", WEAK)
    second = again(toy, "2013-01-08")
    assert first.bundle is not None
    assert gate(second)["why"].startswith(f"{first.bundle.name} was evaluated again, on 500 rows")
    assert promotion.champion(toy.config()) == second.bundle.name if second.bundle else False


def test_a_worse_one_is_refused_and_stays_the_challenger(toy: Toy) -> None:
    first = again(toy, "2013-01-06")
    with pytest.raises(RefusedError, match="log_loss against the champion"):
        again(toy, "2013-01-08", WEAK)
    assert first.bundle is not None
    assert promotion.champion(toy.config()) == first.bundle.name


def test_days_that_the_champion_knows_cannot_judge(toy: Toy) -> None:
    """The error comes before any work."""
    first = again(toy, "2013-01-06")
    runs = sorted((toy.folder / "reports").iterdir())
    assert first.bundle is not None
    words = f"the days from 2013-01-05 to 2013-01-06 are the holdout of this retraining, but the champion {first.bundle.name} has learnt from those before 2013-01-06"
    with pytest.raises(ConfigError, match=words):
        again(toy, "2013-01-06", WEAK)
    assert sorted((toy.folder / "reports").iterdir()) == runs


def test_of_rows_that_it_has_learnt_from_since_counts_what_it_said_before(toy: Toy) -> None:
    again(toy, None)
    second = again(toy, None, "candidates.linear.C=0.01")
    assert "was evaluated on these rows before it was trained on them, on 500 rows" in gate(second)["why"]


def test_an_ordinary_training_is_refused_if_the_champion_knows_its_holdout(toy: Toy) -> None:
    """An ordinary training cannot be compared with a champion that knows its holdout."""
    again(toy, None)
    with pytest.raises(
        RefusedError,
        match=r"trained on rows before 2013-01-09, and these begin on 2013-01-07: `make retrain` compares",
    ):
        toy.train()


def test_a_damaged_champion_does_not_end_it_before_the_gate_has_looked(toy: Toy) -> None:
    first = again(toy, "2013-01-06").bundle
    assert first is not None
    (first / "model.onnx").write_bytes(b"")
    with pytest.raises(RefusedError, match="none of its predictions for these rows are recorded"):
        again(toy, "2013-01-08")
    assert bundle_store.pointer(promotion.home(toy.config())) == first.name


def test_before_the_data_begins_there_is_nothing_to_learn_from(toy: Toy) -> None:
    """The error names the day on which the data begins."""
    with pytest.raises(DataError, match="no rows lie before 2012-01-01: they begin on 2013-01-01"):
        again(toy, "2012-01-01")


def test_without_a_rule_there_is_nothing_to_judge_by(toy: Toy) -> None:
    with pytest.raises(ConfigError, match="retrain: is missing"):
        retrain.run(toy.config(), None, Console(quiet=True))


def test_without_a_time_there_is_a_plain_training_instead(toy: Toy) -> None:
    with pytest.raises(ConfigError, match=r"split.by is row: retrain .* a split by time, .*Use `make train`"):
        retrain.run(toy.config("split={by: row, holdout: 0.2}"), None, Console(quiet=True))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("split={by: row, holdout: 0.2}", "retrain: is for a split by time"),
        ("retrain.holdout.r2={low: 0, high: 1}", "retrain: holdout: r2 is no metric of a binary task"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(toy: Toy, override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        toy.config(RULE, override)


def test_the_page_says_that_it_learnt_from_the_judges_too(toy: Toy) -> None:
    from serve.model import LoadedModel
    from serve.page.text import model_quality
    from serve.telemetry.metrics import Metrics

    again(toy, None)
    served = LoadedModel(predictor.load(Path(promotion.home(toy.config()))), Metrics([0.5]), 10)
    assert model_quality(served)[0] == (
        "The model was trained on 3,500 cases and was tested on 500 others (08 Jan 2013 to 08 Jan 2013). Then it was "
        "trained again, with those too."
    )
