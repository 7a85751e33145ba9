"""The explanations, against Shapley's own formula worked out term by term."""

from itertools import permutations
from typing import Any, NamedTuple, cast

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.runtime import shapley as module
from pipeline.runtime.arrays import to_columns
from pipeline.runtime.contract import Contract
from pipeline.runtime.predictor import Predictor, load
from pipeline.runtime.shapley import by_permutations, explain
from tests.support.parcels import Parcels


class Stand(NamedTuple):
    """A formula in the place of a model."""

    contract: Contract
    background: Any
    predict: Any


def formula(columns: Any) -> Any:
    """Bent, and with a product, so that the order of the fields matters."""
    red = (columns["colour"] == "red").astype(float)
    size = np.nan_to_num(columns["size"], nan=-1.0)
    return 0.1 * red * size + np.sqrt(columns["legs"]) - 0.2 * red


ROWS = [
    {"colour": "blue", "shape": "round", "size": 2.0, "legs": 4, "when": "2013-01-01T05:00"},
    {"colour": "red", "shape": "square", "size": None, "legs": 0, "when": "2013-01-01T06:00"},
    {"colour": "blue", "shape": "round", "size": 7.0, "legs": 1, "when": "2013-01-01T07:00"},
]
ASKED = {"colour": "red", "shape": "round", "size": 9.0, "legs": 8, "when": "2013-01-01T08:00"}


@pytest.fixture
def stand(tiny_config: Config) -> Predictor:
    contract = tiny_config.contract
    return cast("Predictor", Stand(contract, to_columns(ROWS, contract), formula))


def by_definition(contract: Contract) -> dict[str, float]:
    """The mean over all orders and background rows of what a field changes when its turn comes."""
    found = dict.fromkeys(contract.request, 0.0)
    orders = list(permutations(contract.request))
    for order in orders:
        for start in ROWS:
            row: dict[str, Any] = dict(start)
            for name in order:
                before = formula(to_columns([row], contract)).item()
                row[name] = ASKED[name]
                found[name] += formula(to_columns([row], contract)).item() - before
    return {name: total / len(orders) / len(ROWS) for name, total in found.items()}


def test_with_few_fields_they_are_what_the_definition_says(stand: Predictor) -> None:
    found = explain(stand, to_columns([ASKED], stand.contract))
    assert found.exact
    assert found.contributions == pytest.approx(by_definition(stand.contract), abs=1e-12)
    assert (found.contributions["shape"], found.contributions["when"]) == pytest.approx((0, 0), abs=1e-12)


def test_with_many_they_come_close_and_add_up(stand: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT", 0)
    stand = stand._replace(background={name: np.repeat(v, 16) for name, v in stand.background.items()})
    found = explain(stand, to_columns([ASKED], stand.contract))
    assert not found.exact
    assert sum(found.contributions.values()) == pytest.approx(found.answer - found.base, abs=1e-12)
    assert found.contributions == pytest.approx(by_definition(stand.contract), abs=0.02)


def test_a_parcels_reasons_add_up_and_are_the_same_each_time(parcels: Parcels) -> None:
    predictor = load(parcels.bundle)
    for row in predictor.golden.rows[::16]:
        columns = to_columns([row], predictor.contract)
        found = explain(predictor, columns)
        assert list(found.contributions) == list(predictor.contract.request)  # and not what is derived from them
        assert found.answer == pytest.approx(predictor.predict(columns).item(), abs=1e-6)
        assert sum(found.contributions.values()) == pytest.approx(found.answer - found.base, abs=1e-9)
        assert explain(predictor, columns) == found


def test_the_standard_error_is_how_far_other_samples_are_off(parcels: Parcels, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty samples of background rows and orders: they spread as widely as each of them says."""
    predictor = load(parcels.bundle)
    names = list(predictor.contract.request)
    columns = to_columns(predictor.golden.rows[5:6], predictor.contract)
    rng, means, errors = np.random.default_rng(3), [], []
    for seed in range(60):
        drawn = rng.integers(0, 200, module.ROWS)
        some = {name: values[drawn] for name, values in predictor.background.items()}
        monkeypatch.setattr(module, "SEED", seed)
        module.permutation_places.cache_clear()
        shares = by_permutations(predictor.predict, columns, some, names)[2]
        means.append(shares.mean(axis=0))
        errors.append(shares.std(axis=0, ddof=1) / np.sqrt(module.ROWS))
    module.permutation_places.cache_clear()
    said, true = np.mean(errors, axis=0), np.std(means, axis=0, ddof=1)
    large = true > 5e-4
    assert large.sum() >= 5
    assert (true[large] / said[large]).mean() == pytest.approx(1, abs=0.15)


def test_many_fields_take_a_few_calls_and_not_one_that_fills_the_memory(
    stand: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counting(columns: Any) -> Any:
        asked.append(len(columns["size"]))
        return formula(columns)

    monkeypatch.setattr(module, "EXACT", 0)
    monkeypatch.setattr(module, "AT_ONCE", 12)
    counted = stand._replace(predict=counting)
    whole = explain(stand, to_columns([ASKED], stand.contract))
    assert explain(counted, to_columns([ASKED], stand.contract)) == whole
    assert max(asked) <= 12
