"""The explanations, against the shap library's: it asks the same server and knows nothing of how ours are made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import shap
from conftest import serving
from sklearn.datasets import load_diabetes

CANDIDATES = {"linear": {}, "boosting": {"min_samples_leaf": 10, "max_iter": 30}}
GATES: dict[str, Any] = {
    "min_gain": 1,
    "champion": {"max_increase": 1},
    "slices": {"columns": [], "metrics": {}},
    "max_single_feature": 1,
}


@pytest.fixture(scope="session")
def diabetes(table: Callable[..., Path]) -> Path:
    return table(
        "diabetes", load_diabetes(as_frame=True, scaled=False).frame, question="How far will it have gone?",
        task="regression", target={"kind": "number", "known": "after", "unit": "points", "meaning": "Progression"},
        split={"by": "row", "holdout": 0.25, "folds": 3}, candidates={"boosting": CANDIDATES["boosting"]},
        gates={**GATES, "holdout": {"mae": {"low": 20, "high": 70}}},
    )  # fmt: skip


def test_with_few_fields_they_are_shaps_exact_values(diabetes: Path) -> None:
    """Ten fields, a boosting that bends and joins them, the bundle's own background rows."""
    import json

    bundle = diabetes / (diabetes / "champion").read_text().strip()
    kept = json.loads((bundle / "background.json").read_text())["columns"]
    names = list(kept)
    background = np.array(list(kept.values()), dtype=float).T
    background = background[np.linspace(0, len(background) - 1, 50).astype(int)]
    with serving(diabetes) as address, httpx2.Client(base_url=f"http://{address}", timeout=60) as client:

        def model(rows: Any) -> Any:
            said = []
            for part in np.array_split(rows, -(-len(rows) // 5000)):
                body = {"rows": [dict(zip(names, row, strict=True)) for row in part.tolist()]}
                answer = client.post("/predict/batch", json=body).raise_for_status().json()
                said += [each["value"] for each in answer["predictions"]]
            return np.array(said)

        row = background[7] * 1.02
        ours = client.post("/explain", json=dict(zip(names, row.tolist(), strict=True))).raise_for_status().json()
        theirs = shap.ExactExplainer(model, shap.maskers.Independent(background, max_samples=50))(row[None])
    found = {each["field"]: each["contribution"] for each in ours["contributions"]}
    assert ours["exact"]
    assert ours["base"] == pytest.approx(float(theirs.base_values[0]), abs=1e-3)
    assert [found[name] for name in names] == pytest.approx(theirs.values[0].tolist(), abs=1e-3)
