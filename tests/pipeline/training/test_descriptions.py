"""What MLflow shows people of a training, from a record made by hand."""

from typing import Any

import pytest

from pipeline.candidates.linear import Linear
from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Interval
from pipeline.training import descriptions
from pipeline.training.fold_results import CandidateResult

FOLDS = {"a": {"log_loss": 0.41, "roc_auc": 0.7}, "b": {"log_loss": 0.43, "roc_auc": 0.72}}
LINEAR = CandidateResult("linear", Linear(), FOLDS)
HOLDOUT = {"log_loss": Interval(0.4512, 0.4, 0.5), "roc_auc": Interval(0.71, 0.69, 0.73)}


def gate(name: str, **more: Any) -> dict[str, Any]:
    return {"gate": name, "value": "0.9", "limit": "0.6 to 0.8", "passed": True, "warning": False, "why": "w", **more}


def about(**more: Any) -> dict[str, Any]:
    rows = {"trained_on": 3000, "train_rows": 3000, "holdout_rows": 1000, "holdout": "the last 2 days", "until": None}
    return {**rows, "gates": [gate("roc_auc"), gate("ece")], **more}


def test_a_run_is_named_by_candidate_loss_and_outcome(tiny_config: Config) -> None:
    assert descriptions.run_name(tiny_config, LINEAR, HOLDOUT, "promoted") == "linear, log loss 0.451, promoted"


def test_without_the_holdout_a_run_has_the_loss_of_the_folds(tiny_config: Config) -> None:
    name = descriptions.run_name(tiny_config, LINEAR, {}, "gates passed")
    assert name == "linear, log loss 0.42 on the folds, holdout not opened"
    text = descriptions.training(tiny_config, LINEAR, {}, {**about(), "gates": None})
    assert "| log_loss | 0.42 |" in text
    assert text.endswith("The holdout was not opened.")


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (LINEAR, "linear, all rows, log loss 0.42"),
        (LINEAR._replace(stopped=True), "linear, all rows, stopped early"),
        (LINEAR._replace(error="MemoryError", folds={}), "linear, all rows, failed"),
    ],
)
def test_a_child_run_is_named_by_kind_rows_and_loss(result: CandidateResult, name: str) -> None:
    assert descriptions.child_name(result, "all rows", "log_loss") == name


def test_a_loss_in_thousands_is_written_out() -> None:
    assert descriptions.named_figure("mae", 120_000.4) == "mae 120,000"


def test_the_description_has_the_rows_and_the_metrics(tiny_config: Config) -> None:
    text = descriptions.training(tiny_config, LINEAR, HOLDOUT, about(until="2013-01-08"))
    assert text.startswith(
        "Is it a yes?\n\nThe chosen candidate, **linear**, was trained on 3,000 rows before 2013-01-08.\n"
    )
    assert "| metric | holdout: the last 2 days, 1,000 rows | 95 % interval |\n|---|---|---|\n" in text
    assert "| roc_auc | 0.71 | 0.69 to 0.73 |" in text
    assert text.endswith("All 2 gates passed.")


def test_a_model_that_was_trained_again_says_what_its_metrics_are_of(tiny_config: Config) -> None:
    text = descriptions.training(tiny_config, LINEAR, HOLDOUT, about(trained_on=4000))
    assert "trained on 4,000 rows. The metrics are of a model with its settings that was trained on 3,000" in text


def test_gates_that_refuse_or_warn_are_listed_with_their_reasons(tiny_config: Config) -> None:
    results = [gate("ece", warning=True, why="look"), gate("roc_auc", passed=False, why="too good"), gate("size")]
    text = descriptions.training(tiny_config, LINEAR, HOLDOUT, about(gates=results))
    assert text.endswith(
        "1 of 3 gates refused it:\n"
        "- roc_auc refused: 0.9, allowed 0.6 to 0.8; too good\n"
        "- ece warned: 0.9, allowed 0.6 to 0.8; look"
    )
