"""README's numbers are those of the flights, and each comes from a run that README shows."""

import re

import pytest

from tests.support import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["train", "serve", "test", "figures", "worth", "replay"])
def test_the_marked_parts_of_readme_hold_the_output_of_a_run(name: str) -> None:
    part = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)
    assert part is not None
    assert len(part[1].split()) > 10


def part(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)
    assert found
    return found[1]


def test_the_numbers_of_readme_are_those_of_its_runs_and_of_the_benchmarks() -> None:
    benchmarks = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    for name, row in {"ROC AUC": "roc_auc", "log loss": "log_loss"}.items():
        said = re.search(rf"{name} ([\d.]+ \([\d.]+ to [\d.]+\))", part("figures"))
        run = re.search(rf"^{row} +([\d.]+) +([\d.]+) to ([\d.]+)$", part("train"), re.MULTILINE)
        assert said
        assert run
        numbers = [float(number) for number in re.findall(r"[\d.]+", said[1])]
        assert numbers == pytest.approx([float(number) for number in run.groups()], abs=6e-4)  # rounded twice
        assert said[1] in benchmarks
    assert part("worth").partition("days: ")[2].rstrip(".\n") in benchmarks
    digests = {name: set(re.findall(r"\b[0-9a-f]{16}\b", part(name))) for name in ("figures", "train", "serve")}
    assert len(digests["figures"]) == 1
    assert digests["train"] == digests["serve"] == digests["figures"]
    sizes = re.findall(r"(\d+) MB over `python:3.13-slim`", README)
    assert sizes == re.findall(r"\| 200 MB, 0.8 s \| (\d+) MB", benchmarks)
