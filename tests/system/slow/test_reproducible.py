"""The same data, config and seed give the same bundle, to the byte."""

from pathlib import Path

from tests.support.parcels import Parcels, trained


def test_two_trainings_give_the_same_bundle(parcels: Parcels, tmp_path: Path) -> None:
    """They do so whatever the hash seed and the number of threads."""
    trained(tmp_path, "train.workers=2", PYTHONHASHSEED="7", OMP_NUM_THREADS="1")
    assert (tmp_path / "models/parcels/champion").read_text().strip() == parcels.bundle.name
