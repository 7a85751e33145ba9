"""Of the small changes of a module, its own tests notice nine in ten. `make test SUITE=mutation` says how many.

A change that no test can notice, because it makes no difference, stands in equivalent.toml with the reason. It does not
count as noticed. A change that is neither noticed nor listed is printed and fails the run: write a test for it.
"""

import os
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import ROOT
from tests.system.mutation.mutants import NOTICED, SURVIVED, Mutant, make_and_test, own_tests

LEAST = 0.9  # of the mutants of each module
MODULES = [
    "data/masking",
    "data/split",
    "evaluation/bootstrap",
    "evaluation/curves",
    "evaluation/formulas",
    "evaluation/metrics",
    "evaluation/slices",
    "monitoring/performance",
    "runtime/bundle_store",
    "runtime/rolling_features",
    "training/champion_gates",
    "training/gates",
    "training/leak_gates",
    "training/leaks",
    "training/leave_one_out",
    "training/missing",
]
EQUIVALENT = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text(encoding="utf-8"))["equivalent"]
HEADER = (
    "| module | mutants | noticed | share | survived | of these, equivalent | minutes |\n|---|---|---|---|---|---|---|"
)


class Result(NamedTuple):
    """The mutants of a module, or of all modules, as a row of the table."""

    module: str
    mutants: int
    noticed: int
    equivalent: int
    seconds: float

    @property
    def share(self) -> float:
        return self.noticed / self.mutants

    def row(self) -> str:
        numbers = f"{self.mutants} | {self.noticed} | {100 * self.share:.1f} %"
        survivors = f"{self.mutants - self.noticed} | {self.equivalent} | {self.seconds / 60:.1f}"
        return f"| {self.module} | {numbers} | {survivors} |"


@pytest.fixture(scope="session")
def results() -> Iterator[list[Result]]:
    """The rows of the table, in reports/mutation.md at the end, and on GitHub in the job's summary."""
    rows: list[Result] = []
    print(f"\n{HEADER}", flush=True)
    yield rows

    if not rows:
        return
    total = Result("all", *(sum(numbers) for numbers in zip(*(row[1:] for row in rows), strict=True)))
    print(f"\n{total.row()}", flush=True)
    table = "\n".join([HEADER, *(row.row() for row in [*rows, total])]) + "\n"
    (ROOT / "reports").mkdir(exist_ok=True)
    (ROOT / "reports/mutation.md").write_text(table, encoding="utf-8")
    if place := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(f"## Mutants that the tests notice\n\n{table}")


@pytest.mark.parametrize("module", MODULES)
def test_nine_of_ten_changes_are_noticed_by_the_modules_own_tests(module: str, results: list[Result]) -> None:
    began = time.monotonic()
    mutants = make_and_test(module)
    listed = equivalents(module)

    survivors = [mutant for mutant in mutants if mutant.status in SURVIVED]
    equivalent = [mutant for mutant in survivors if mutant[:3] in listed]
    noticed = sum(mutant.status in NOTICED for mutant in mutants)
    result = Result(module, len(mutants), noticed, len(equivalent), time.monotonic() - began)
    results.append(result)
    print(f"\n{result.row()}", flush=True)
    unexplained = [described(mutant) for mutant in survivors if mutant not in equivalent]
    print(*unexplained, sep="\n", flush=True)

    strange = {mutant.status for mutant in mutants} - NOTICED - SURVIVED
    assert not strange, f"mutmut could not finish: {strange}"
    stale = listed - {mutant[:3] for mutant in equivalent}
    assert not stale, f"equivalent.toml has changes that are not among the survivors (any more): {stale}"
    assert not unexplained, "a test has to notice these changes, or equivalent.toml to say why they make no difference"
    assert result.share >= LEAST, f"{100 * result.share:.1f} % of the mutants are noticed"


def equivalents(module: str) -> set[tuple[str, str, str]]:
    """The listed changes of a module, in the form of a mutant: function, line, and what it becomes."""
    entries = [entry for entry in EQUIVALENT if entry["module"] == module]
    return {(entry["function"], entry["line"], becomes) for entry in entries for becomes in entry["becomes"]}


def described(mutant: Mutant) -> str:
    return f"{mutant.function}: {mutant.status}\n  - {mutant.line}\n  + {mutant.becomes}"


def test_every_equivalent_change_has_a_reason_and_a_module_of_the_table() -> None:
    for entry in EQUIVALENT:
        assert set(entry) == {"module", "function", "line", "becomes", "why"}, entry
        assert entry["module"] in MODULES, entry


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_tests_of_its_own(module: str) -> None:
    assert (ROOT / f"src/pipeline/{module}.py").exists()
    assert own_tests(module) != []
