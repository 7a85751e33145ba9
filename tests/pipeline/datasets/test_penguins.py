"""The example to read first is one screen, and no row of its table needs an excuse."""

from pathlib import Path

from pipeline.config.config import load
from pipeline.data.read import read
from tests.support import ROOT

CONFIG = ROOT / "configs" / "penguins.yaml"


def test_the_example_to_read_first_fits_one_screen() -> None:
    assert len(CONFIG.read_text(encoding="utf-8").splitlines()) <= 30


def test_no_penguin_is_left_out(tmp_path: Path) -> None:
    rows = read(load(CONFIG), tmp_path)
    counts = {name: rows.about["rows"][name] for name in ("loaded", "without_outcome", "rejected", "valid")}
    assert counts == {"loaded": 344, "without_outcome": 0, "rejected": 0, "valid": 344}
