"""A config of one's own that extends an example: what it takes, what it replaces, and what it is told."""

from pathlib import Path

import pytest

from pipeline.config.config import Config, load
from pipeline.errors import ConfigError

OWN = """
extends: tiny.yaml
name: churn
columns: !replace
  plan: {kind: category, known: before, meaning: Plan of it}
  left: {kind: boolean, known: after, meaning: Whether they left}
target: left
features: [plan]
"""


def own(tiny: Path, text: str) -> Config:
    (tiny.parent / "own.yaml").write_text(text)
    return load(tiny.parent / "own.yaml")


@pytest.mark.parametrize("base", ["tiny.yaml", "./tiny.yaml", "../{folder}/tiny.yaml"])
def test_a_name_and_a_seed_of_ones_own_are_enough(tiny: Path, base: str) -> None:
    config = own(tiny, f"extends: {base.replace('{folder}', tiny.parent.name)}\nname: mine\ntrain: {{seed: 3}}\n")
    assert (config.name, config.train.seed, config.columns) == ("mine", 3, load(tiny).columns)


def test_columns_of_ones_own_are_added_or_replace_the_others(tiny: Path) -> None:
    split = "split: !replace {by: row, holdout: 0.2}\ngates: null\n"
    assert list(own(tiny, OWN + split).columns) == ["plan", "left"]
    assert "colour" in own(tiny, (OWN + split).replace("!replace", "", 1)).columns


def test_what_the_example_says_of_other_columns_is_named_by_file(tiny: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        own(tiny, OWN + "split: {by: row, holdout: 0.2}\n")

    lines = str(refused.value).replace(f"{tiny.parent}/", "").splitlines()
    assert [line.rpartition(". Did")[0] or line for line in lines] == [
        "tiny.yaml:17: split.time: is not a key here",
        "tiny.yaml:17: split.fold_length: is not a key here",
        "tiny.yaml:24: gates.slices.columns: colour is not a category that a caller sends",
        "own.yaml extends tiny.yaml: write such a key here too, or null to remove it; a section tagged !replace, as in "
        "`split: !replace {…}`, takes nothing from there",
    ]


def test_a_key_that_replacing_removed_is_missing_in_ones_own_file(tiny: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^\S*/own.yaml:3: split.holdout: is missing: share of the rows, such as 0.2$"
    ):
        own(tiny, "extends: tiny.yaml\nname: mine\nsplit: !replace {by: row}\n")


def test_a_fault_of_ones_own_file_says_nothing_of_the_example(tiny: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        own(tiny, "extends: tiny.yaml\nname: mine\ntrain: {sed: 3}\n")
    assert len(str(refused.value).splitlines()) == 1


def test_a_path_from_another_folder_is_answered_with_the_files_there(tiny: Path) -> None:
    with pytest.raises(ConfigError, match=r"own.yaml: extends .*/configs/tiny.yaml, .*Found beside it: .*/tiny.yaml"):
        own(tiny, "extends: configs/tiny.yaml\nname: mine\n")
