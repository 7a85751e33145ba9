import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.runtime import dataset
from pipeline.runtime.dataset import find, module_hash, refuse_absent


def test_a_dataset_is_found_by_the_name_of_its_file() -> None:
    assert find("table").__name__ == "pipeline.datasets.table"
    assert len(module_hash("table")) == 64


def test_an_unknown_dataset_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"dataset 'moon' is not in src/pipeline/datasets. Found: .*table"):
        find("moon")


def test_a_dataset_that_fails_to_import_something_else_says_what(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing library inside a dataset's module is not a missing dataset."""

    def lacking(name: str) -> None:
        raise ModuleNotFoundError("No module named 'geopandas'", name="geopandas")

    monkeypatch.setattr(dataset.importlib, "import_module", lacking)
    with pytest.raises(ModuleNotFoundError, match="geopandas"):
        find("table")


def test_names_are_compared_by_their_letters_alone() -> None:
    with pytest.raises(DataError, match="MONTHS: is it 'months'"):
        refuse_absent({"MONTHS": "MONTHS"}, ["months"], "t.csv")
