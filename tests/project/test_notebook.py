"""The notebook as git has it: text alone, that another machine runs to the same result."""

import json
import re
from typing import Any

import pytest

from tests.project.conftest import module_of
from tests.support import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TAGS = {"time"}  # of cells that are about rows with a time
TAGS |= {path.stem for path in (ROOT / "src/pipeline/datasets").glob("*.py")}  # or about one dataset


def cells(text: str) -> list[dict[str, Any]]:
    return json.loads(text)["cells"]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def notebook(request: pytest.FixtureRequest) -> str:
    return request.param.read_text(encoding="utf-8")


def test_outputs_and_metadata_of_editors_are_not_in_git(notebook: str) -> None:
    """`make format` takes them out."""
    assert notebook == module_of("notebooks/strip.py").stripped(notebook)


def test_stripping_leaves_the_sources_and_the_tags() -> None:
    """And nothing of what an editor adds, such as the kernel's name on one machine."""
    source = {"cell_type": "code", "id": "days", "source": ["1 + 1"]}
    printed = {"output_type": "stream", "name": "stdout", "text": ["2"]}
    run = {**source, "execution_count": 7, "outputs": [printed], "metadata": {"tags": ["time"], "scrolled": True}}
    metadata = {"kernelspec": {"name": "mine"}, "language_info": {"name": "python", "version": "3.11.7"}}
    text = json.dumps({"cells": [run], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
    content = json.loads(module_of("notebooks/strip.py").stripped(text))
    assert content["cells"] == [{**source, "execution_count": None, "outputs": [], "metadata": {"tags": ["time"]}}]
    assert content["metadata"] == {"language_info": {"name": "python"}}


def test_every_cell_has_a_name_and_known_tags(notebook: str) -> None:
    """Pictures have the names of their cells, and a cell with an unknown tag would be left out of every run."""
    names = [cell["id"] for cell in cells(notebook)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)] == []
    assert {tag for cell in cells(notebook) for tag in cell["metadata"].get("tags", [])} <= TAGS


def test_the_text_has_no_number_that_a_run_would_make(notebook: str) -> None:
    """Numbers of the data stand in outputs. What is left in the text: 0 and 1 as ends of a scale, and 0.5 between them."""
    text = "\n".join("".join(cell["source"]) for cell in cells(notebook) if cell["cell_type"] == "markdown")
    assert set(re.findall(r"\d[\d.,]*\d|\d", text)) <= {"0", "0.5", "1"}
