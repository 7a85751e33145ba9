from pathlib import Path

import numpy as np

from pipeline.candidates import Linear
from pipeline.report import draw
from pipeline.search import Standing

PICTURES = {"folds.png", "roc.png", "calibration.png", "precision_recall.png", "confusion.png", "summary.png"}


def test_every_picture_is_drawn_also_where_nothing_reaches_the_threshold(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(200) / 2
    standings = [Standing("linear", Linear(), {"a": {"roc_auc": 0.7}, "b": {"roc_auc": 0.6}})]
    for threshold in (0.25, 0.9):
        folder = tmp_path / str(threshold)
        folder.mkdir()
        draw(folder, rng.random(200) < probability, probability, threshold, standings)
        assert {path.name for path in folder.iterdir()} == PICTURES
        assert min(path.stat().st_size for path in folder.iterdir()) > 3000
