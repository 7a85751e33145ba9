"""What the benchmarks read off other programs' output."""

import sys

import pytest

from tests.support import ROOT

sys.path.insert(0, str(ROOT / "bench"))

from serving import slowest


@pytest.mark.parametrize(
    ("printed", "milliseconds"),
    [("     99%  812.00us\n", 0.812), ("     99%   23.11ms\n", 23.11), ("     99%    1.04s \n", 1040), ("none", None)],
)
def test_the_slowest_hundredth_is_read_in_every_unit_that_wrk_prints(printed: str, milliseconds: float | None) -> None:
    """After whole seconds wrk prints a blank, so that columns stay in line."""
    found = slowest(f"     90%  500.00us\n{printed}  1000 requests in 4.00s\n")
    assert found == (None if milliseconds is None else pytest.approx(milliseconds))
