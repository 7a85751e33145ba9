"""What the benchmarks read off other programs' output."""

import sys

import pytest

from tests.support import ROOT

sys.path.insert(0, str(ROOT / "bench"))

from limits import is_missed
from serving import slowest


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
