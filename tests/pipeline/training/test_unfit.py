"""What no search can use is refused before it."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.candidates.forest import Forest
from pipeline.config.candidates import Candidates
from pipeline.config.config import Config
from pipeline.errors import DataError, RefusedError
from pipeline.runtime.arrays import Tensors
from pipeline.training import estimators
from pipeline.training.unfit import refuse_unfit
from tests.support.examples import FOLDS, ROWS, examples, two_kinds


@pytest.fixture
def config(tiny: Path) -> Config:
    return two_kinds(tiny)


def test_a_fold_that_has_one_outcome_only_is_refused(config: Config) -> None:
    data, target = examples()
    with pytest.raises(DataError, match="good: all 200 outcomes in the training rows of fold first are the same"):
        refuse_unfit(data, np.where(ROWS < 200, True, target), FOLDS, config)
    with pytest.raises(DataError, match="good: all 100 outcomes in the validation rows of fold second are the same"):
        refuse_unfit(data, np.where(ROWS >= 300, False, target), FOLDS, config)


def test_a_feature_without_a_value_in_a_fold_is_refused_by_name(config: Config) -> None:
    data, target = examples()
    late = data.numbers.copy()
    late[:200, 1] = np.nan
    with pytest.raises(DataError, match="legs: no value at all in the training rows of fold first"):
        refuse_unfit(Tensors(data.strings, late), target, FOLDS, config)


def test_a_candidate_without_an_exact_export_is_refused_before_the_search(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, target = examples()
    honest = estimators.ordinal
    monkeypatch.setattr(estimators, "ordinal", lambda known, numbers, *, impute: honest(known, numbers, impute=False))
    trees = config.model_copy(update={"candidates": Candidates(forest=Forest(min_samples_leaf=2, n_estimators=20))})
    with pytest.raises(RefusedError, match="differs from scikit-learn"):
        refuse_unfit(data, target, FOLDS, trees)
