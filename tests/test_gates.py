"""Each gate on evidence made by hand, and whole trainings that are refused, or go out, for the right reason."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Smoke, in_folder
from rich.console import Console

from pipeline import evaluate, store
from pipeline.config import Config, load
from pipeline.datasets import flights
from pipeline.errors import RefusedError
from pipeline.gates import Evidence, Verdict, paired, verdicts
from pipeline.schema import Examples, Tensors
from pipeline.train import run

ROWS = 2000


class Instant:
    """A model that answers at once."""

    def __call__(self, data: Tensors) -> np.ndarray:
        return np.zeros(len(data.numbers))


def evidence(**changes: Any) -> Evidence:
    """A calibrated model on two thousand rows over forty days; colour says nothing, size a little."""
    rng = np.random.default_rng(0)
    said = rng.beta(2, 5, ROWS)
    target = rng.random(ROWS) < said
    colour = rng.choice(["red", "blue"], ROWS).astype(object)
    shape = np.full(ROWS, "round", dtype=object)
    numbers = np.column_stack([said + rng.random(ROWS), np.full(ROWS, 4), np.full(ROWS, 17)]).astype(np.float32)
    rows = Examples({"colour": colour, "shape": shape}, Tensors(np.column_stack([colour, shape]), numbers), target)
    made: dict[str, Any] = {
        "seen": rows, "kept": rows, "blocks": np.arange(ROWS) // 50, "said": said, "champion": None,
        "session": Instant(), "size": 1_000_000,
    } | changes  # fmt: skip
    figures = evaluate.with_intervals(
        made["kept"].target, made["said"], made["blocks"], threshold=0.25, resamples=50, seed=0
    )
    return Evidence(**{"holdout": figures, **made})


def refused(config: Config, given: Evidence) -> list[str]:
    return [verdict.gate for verdict in verdicts(config, given) if not verdict.passed]


def test_a_good_first_model_passes_every_gate(tiny_config: Config) -> None:
    assert refused(tiny_config, evidence()) == []


def test_a_model_without_skill_is_refused_by_floor_and_base_rate(tiny_config: Config) -> None:
    random = np.random.default_rng(1).permutation(evidence().said)
    assert {"holdout roc_auc", "log loss below the base rate's"} <= set(refused(tiny_config, evidence(said=random)))


def test_a_model_that_is_too_good_is_refused(tiny_config: Config) -> None:
    certain = np.where(evidence().kept.target, 0.99, 0.01)
    assert {"holdout roc_auc", "holdout log_loss"} <= set(refused(tiny_config, evidence(said=certain)))


def test_a_model_that_is_off_by_a_tenth_is_refused_for_its_calibration(tiny_config: Config) -> None:
    assert "holdout ece" in refused(tiny_config, evidence(said=np.clip(evidence().said + 0.1, 0, 1)))


@pytest.mark.parametrize(
    ("worse", "let_out"),
    [(0.05, False), (0.0, True), (-0.05, True)],
)
def test_a_model_is_held_against_the_champion_on_the_same_rows(
    tiny_config: Config, worse: float, let_out: bool
) -> None:
    """The champion is the calibrated model, moved away from or towards what happened."""
    good = evidence()
    towards = np.where(good.kept.target, 1.0, 0.0)
    champion = good.said + worse * (towards - good.said) if worse > 0 else good.said - worse * (0.5 - good.said)
    found = next(v for v in verdicts(tiny_config, evidence(champion=champion)) if "champion" in v.gate)
    assert found.passed is let_out, found


def test_the_paired_interval_is_that_of_the_difference_over_blocks(tiny_config: Config) -> None:
    """Worse by the same on every row: the difference has no spread, however much the losses themselves have."""
    given = evidence()
    target = given.kept.target.astype(float)
    loss = evaluate.losses(target, given.said) - 0.01
    champion = np.where(target == 1, np.exp(-loss), 1 - np.exp(-loss))
    low, mean, high = paired(given, champion, tiny_config)
    assert (low, mean, high) == pytest.approx((0.01, 0.01, 0.01), abs=1e-4)


def test_a_slice_without_skill_is_refused_and_a_small_one_is_not_judged(tiny_config: Config) -> None:
    given = evidence()
    said = given.said.copy()
    red = given.kept.request["colour"] == "red"
    said[red] = np.random.default_rng(1).permutation(said[red])
    assert "roc_auc of colour red" in refused(tiny_config, evidence(said=said))
    asked = tiny_config.gates.slices.model_copy(update={"rows": ROWS})
    large = tiny_config.model_copy(update={"gates": tiny_config.gates.model_copy(update={"slices": asked})})
    assert "roc_auc of colour red" not in refused(large, evidence(said=said))


@pytest.mark.parametrize("how", ["copy", "missing"])
def test_a_feature_that_tells_the_outcome_alone_is_refused_by_name(tiny_config: Config, how: str) -> None:
    given = evidence()
    numbers = given.seen.data.numbers.copy()
    numbers[:, 1] = given.seen.target if how == "copy" else np.where(given.seen.target, np.nan, 4)
    leaked = given.seen._replace(data=Tensors(given.seen.data.strings, numbers))
    (found,) = [v for v in verdicts(tiny_config, evidence(seen=leaked)) if not v.passed]
    assert found.gate == "best single feature's ROC AUC"
    assert found.value == "1.000 (legs)"


def test_a_slow_or_large_model_is_refused(tiny_config: Config) -> None:
    tight = tiny_config.model_copy(
        update={"gates": tiny_config.gates.model_copy(update={"microseconds": 1e-6, "megabytes": 0.5})}
    )
    assert refused(tight, evidence()) == ["one row in the model", "size of the bundle"]


# --- whole trainings ------------------------------------------------------------------------------------------------


def train(folder: Path, *overrides: str) -> None:
    run(
        load(ROOT / "configs" / "smoke.yaml", [*in_folder(folder), "candidates.linear=null", *overrides]),
        Console(quiet=True),
    )


def test_every_verdict_stands_in_the_bundles_record(smoke: Smoke) -> None:
    told = [Verdict(**each) for each in json.loads((smoke.bundle / "record.json").read_text())["gates"]]
    assert {"holdout roc_auc", "log loss against the champion", "best single feature's ROC AUC"} <= {
        v.gate for v in told
    }
    assert all(verdict.passed for verdict in told)


def test_a_leaked_delay_is_refused_and_the_champion_goes_on(tmp_path: Path) -> None:
    train(tmp_path, "search.kinds.boosting.trials=1")
    champion = store.resolve(tmp_path / "models/smoke")
    features = [*load(ROOT / "configs" / "smoke.yaml").features, "dep_delay"]
    with pytest.raises(RefusedError, match=r"best single feature's ROC AUC: 0.9\d+ \(dep_delay\)") as refusal:
        train(tmp_path, "columns.dep_delay.known=before", f"features={json.dumps(features)}")
    assert "holdout roc_auc: 0.9" in str(refusal.value)
    assert store.resolve(tmp_path / "models/smoke") == champion


def test_shuffled_labels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = flights.load

    def shuffled(*given: Any) -> Any:
        loaded = honest(*given)
        loaded.frame["late"] = np.random.default_rng(0).permutation(loaded.frame["late"])
        return loaded

    monkeypatch.setattr(flights, "load", shuffled)
    with pytest.raises(RefusedError, match="base rate"):
        train(tmp_path)
    assert store.champion(tmp_path / "models/smoke") is None


def test_a_worse_model_is_refused_and_a_better_one_goes_out(tmp_path: Path) -> None:
    weak = ["candidates.boosting.max_iter=6", "gates.holdout.log_loss.high=0.6", "search.kinds.boosting=null"]
    train(tmp_path, *weak)
    first = store.resolve(tmp_path / "models/smoke")
    train(tmp_path, "search.kinds.boosting=null", "candidates.boosting.learning_rate=0.1")
    second = store.resolve(tmp_path / "models/smoke")
    assert second != first
    with pytest.raises(RefusedError, match=r"log loss against the champion: \+0.0"):
        train(tmp_path, *weak, "candidates.boosting.max_iter=5")
    assert store.resolve(tmp_path / "models/smoke") == second


def test_a_broken_slice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="roc_auc of origin EWR"):
        train(tmp_path, "gates.slices.roc_auc=0.95", "search.kinds.boosting=null")


def test_a_champion_that_cannot_be_asked_stops_the_comparison_and_says_how_to_go_on(tmp_path: Path) -> None:
    damaged = store.write(tmp_path / "models/smoke", {"bundle.json": b"{}"})
    store.promote(tmp_path / "models/smoke", damaged.name)
    with pytest.raises(RefusedError, match=r"cannot be asked about the holdout.*remove .*models/smoke/champion"):
        train(tmp_path, "search.kinds.boosting=null")
