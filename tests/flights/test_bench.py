"""What the benchmarks read off other programs' output."""

import subprocess
import sys

import pytest

from tests.support import ROOT

sys.path.insert(0, str(ROOT / "bench"))

from histgradient import Comparison, Quality
from limits import is_missed
from onboarded import STEPS, Onboarded
from own_data import Result, limit_lines, losses, table_line
from public_tables import TIMED
from serving import slowest

from pipeline.evaluation.bootstrap import Interval


@pytest.mark.parametrize(
    ("printed", "milliseconds"),
    [("     99%  812.00us\n", 0.812), ("     99%   23.11ms\n", 23.11), ("     99%    1.04s \n", 1040), ("none", None)],
)
def test_the_slowest_hundredth_is_read_in_every_unit_that_wrk_prints(printed: str, milliseconds: float | None) -> None:
    """After whole seconds wrk prints a blank, so that columns stay in line."""
    found = slowest(f"     90%  500.00us\n{printed}  1000 requests in 4.00s\n")
    assert found == (None if milliseconds is None else pytest.approx(milliseconds))


@pytest.mark.parametrize(
    ("limit", "measured", "missed"),
    [
        ("10 s", "12.4 s", True),
        ("170 s, 2.5 GB", "160.1 s, 2,603 MiB", True),
        ("170 s, 2.5 GB", "160.1 s, 2,103 MiB", False),
        ("60 µs", "0.059 ms (p99 96 µs)", False),
        ("AUC ≥ 0.732, log loss ≤ 0.466", "AUC 0.7341, log loss 0.4661", True),
        ("AUC ≥ 0.732, log loss ≤ 0.466", "AUC 0.7341, log loss 0.466", False),
        ("0, 35 MB", "2 of 40,000 dropped; 17 MiB", True),
        ("0, 35 MB", "0 of 40,000 dropped; 17 MiB", False),
        ("reported", "anything", False),
    ],
)
def test_a_limit_that_is_missed_is_marked(limit: str, measured: str, missed: bool) -> None:
    assert is_missed(limit, measured) == missed


def test_a_measurement_without_the_quantity_of_its_limit_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no seconds"):
        is_missed("10 s", "3 GB")


def compared(low: float, high: float) -> Comparison:
    return Comparison(0.31, 0.3, Interval(0.01, low, high))


def onboarded(held: int, failure: str = "", seconds: float = 34.2) -> Result:
    """A table whose first steps held, as many as `held`, with a champion that is level."""
    level = compared(-0.01, 0.03)
    quality = Quality("regression", "boosting", level, level, None) if held > 1 else None
    return Result(TIMED, 10_000, 10, Onboarded(list(STEPS[:held]), failure, seconds, [2e-8]), quality)


def test_a_champion_is_worse_only_where_the_whole_interval_is_above_zero() -> None:
    assert losses(compared(-0.001, 0.02)) == ["0.3100", "0.3000", "+0.0100 (-0.0010 to +0.0200)"]
    assert losses(compared(0.001, 0.02))[-1] == "+0.0100 (+0.0010 to +0.0200) **missed**"


def test_a_table_that_took_all_steps_in_time_misses_nothing() -> None:
    whole = onboarded(len(STEPS))
    assert table_line(whole).endswith("| 34 | all |")
    assert "missed" not in "".join(limit_lines([whole]))


def test_a_table_that_a_step_stopped_is_marked_with_the_reason() -> None:
    stopped = onboarded(1, "train: ends with 4: refused", float("nan"))
    assert table_line(stopped).endswith("| – | new; train: ends with 4: refused **missed** |")
    limits = [line for line in limit_lines([stopped]) if "missed" in line]
    assert limits == [
        "| tables that a step stopped | 0 | 1 of 1: diamonds_10000 **missed** |",
        "| 10,000 rows of diamonds, from CSV to the first prediction over HTTP | 60 s | – **missed** |",
    ]


@pytest.mark.parametrize(
    ("words", "script"), [([], "measure"), (["SUITE=leaks"], "leaks"), (["SUITE=own"], "own_data")]
)
def test_each_suite_of_the_benchmark_is_a_script(words: list[str], script: str) -> None:
    printed = subprocess.run(["make", "-n", "bench", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"bench/{script}.py" in printed.stdout
    assert (ROOT / f"bench/{script}.py").exists()
