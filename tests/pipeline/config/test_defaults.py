"""A config without candidates gets kinds of model and a search that fit the number of its rows."""

import pytest

from pipeline.config.candidates import faults
from pipeline.config.config import load
from pipeline.config.defaults import candidates_for, with_candidates
from pipeline.errors import ConfigError
from tests.support import ROOT

PENGUINS = ROOT / "configs" / "penguins.yaml"


@pytest.mark.parametrize(("rows", "leaf"), [(50, 5), (500, 5), (2_000, 20), (5_000, 50), (1_000_000, 50)])
def test_a_leaf_has_a_hundredth_of_the_rows_within_bounds(rows: int, leaf: int) -> None:
    candidates, search = candidates_for(rows)
    assert candidates.boosting is not None
    assert candidates.boosting.min_samples_leaf == leaf
    assert faults(search, candidates) == []


def test_many_rows_get_larger_trees() -> None:
    few = candidates_for(9_999)[0].boosting
    many = candidates_for(10_000)[0].boosting
    assert few is not None
    assert many is not None
    assert few.max_leaf_nodes < many.max_leaf_nodes


def test_candidates_that_are_named_stay_as_they_are() -> None:
    named = load(PENGUINS, ["candidates={linear: {C: 0.5}}"])
    assert with_candidates(named, 344) is named
    unnamed = with_candidates(load(PENGUINS), 344)
    assert list(unnamed.candidates.named()) == ["linear", "forest", "boosting"]
    assert unnamed.search.plan("boosting").trials > 1


def test_a_search_without_candidates_is_refused() -> None:
    with pytest.raises(ConfigError, match="search: is for candidates that are named"):
        load(PENGUINS, ["search.sample=0.5"])
