"""The same data, config and seed give the same bundle, to the byte."""

from pathlib import Path

from tests.support.smoke import Smoke, trained


def test_two_trainings_give_the_same_bundle_whatever_the_hash_seed_and_the_threads(
    smoke: Smoke, tmp_path: Path
) -> None:
    trained("configs/smoke.yaml", tmp_path, "train.workers=2", PYTHONHASHSEED="7", OMP_NUM_THREADS="1")
    assert (tmp_path / "models/smoke/champion").read_text().strip() == smoke.bundle.name
