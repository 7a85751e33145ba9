"""The limits that a first training proposes can be pasted, and its own model passes them."""

import yaml

from pipeline.config.gates import Gates
from pipeline.evaluation.bootstrap import Interval
from pipeline.training.limits import proposed_limits


def test_proposed_limits_are_the_interval_and_half_of_it_on_each_side() -> None:
    figures = {"log_loss": Interval(0.5, 0.4, 0.6), "roc_auc": Interval(0.7, 0.64, 0.76)}
    gates = Gates.model_validate(yaml.safe_load("\n".join(proposed_limits("binary", figures)))["gates"])
    assert {name: (bound.low, bound.high) for name, bound in gates.holdout.items()} == {
        "log_loss": (0.3, 0.7),
        "roc_auc": (0.58, 0.82),
    }


def test_proposed_limits_stay_where_a_metric_can_be() -> None:
    figures = {"log_loss": Interval(0.03, 0.01, 0.05), "roc_auc": Interval(0.99, 0.97, 1.0)}
    assert proposed_limits("binary", figures)[2:] == [
        "    log_loss: {low: 0, high: 0.07}",
        "    roc_auc: {low: 0.955, high: 1}",
    ]


def test_large_numbers_are_numbers_in_yaml() -> None:
    lines = proposed_limits("regression", {"mae": Interval(99_000.0, 98_000.0, 100_000.0)})
    assert lines[2:] == ["    mae: {low: 97000, high: 101000}"]


def test_a_metric_without_an_interval_gets_no_limit() -> None:
    assert proposed_limits("regression", {"mae": Interval(2.0, 2.0, 2.0)}) == []
    assert proposed_limits("regression", {"mae": Interval(2.0, float("nan"), 2.5)}) == []
