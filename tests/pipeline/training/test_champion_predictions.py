"""What the champion says of the rows that judge a new model, and what is left of it when it cannot be asked."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pipeline.config.config import Config
from pipeline.errors import RefusedError
from pipeline.registry import promotion
from pipeline.runtime import bundle_store
from pipeline.training.champion_predictions import ANSWERS, predict_with_champion, save_predictions, saved_predictions
from pipeline.training.train import run
from tests.support.toy import WEAK, Toy

LOW = [
    "gates.holdout={roc_auc: {low: 0.4, high: 0.95}, log_loss: {low: 0.3, high: 0.8}, ece: {low: 0, high: 0.4}}",
    "gates.slices={columns: [colour], min_rows: 100, metrics: {roc_auc: {low: 0.3, high: 0.95}}}",
]
KEYS = np.array([30, 10, 20], dtype=np.uint64)


def test_what_a_model_said_is_remembered_by_row_in_whatever_order(tmp_path: Path) -> None:
    save_predictions(tmp_path, "a", KEYS, np.array([0.3, 0.1, 0.2]))
    found = saved_predictions(tmp_path, "a", np.array([10, 20, 30], dtype=np.uint64))
    assert found is not None
    assert found[0].tolist() == [0, 1, 2]
    assert found[1] == pytest.approx([0.1, 0.2, 0.3])
    assert [path.name for path in (tmp_path / ANSWERS).iterdir()] == ["a.npy"]


def test_what_is_being_remembered_is_not_taken_for_something_that_was_left(tmp_path: Path) -> None:
    """Whoever tidies up holds the lock; until then nothing is begun."""
    with ThreadPoolExecutor(1) as pool:
        with bundle_store.locked(tmp_path):
            waiting = pool.submit(save_predictions, tmp_path, "a", KEYS, np.array([0.3, 0.1, 0.2]))
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            assert bundle_store.clear_unfinished(tmp_path) == 0
        waiting.result(timeout=20)
    assert saved_predictions(tmp_path, "a", KEYS) is not None


def test_rows_that_are_on_no_record_are_left_out(tmp_path: Path) -> None:
    """Too many such rows make the record worthless."""
    keys = np.arange(20, dtype=np.uint64)
    save_predictions(tmp_path, "a", keys, keys / 20)
    rows, said = saved_predictions(tmp_path, "a", keys + np.uint64(1)) or ([], [])
    assert rows.tolist() == list(range(19))
    assert said == pytest.approx(np.arange(1, 20) / 20)
    assert saved_predictions(tmp_path, "a", keys + np.uint64(3)) is None


@pytest.mark.parametrize("content", [None, b"", b"not an array", b"\x93NUMPY\x01\x00"])
def test_a_record_that_is_absent_or_cannot_be_read_is_none(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / ANSWERS).mkdir()
    if content is not None:
        (tmp_path / ANSWERS / "a.npy").write_bytes(content)
    assert saved_predictions(tmp_path, "a", KEYS) is None


def test_without_a_champion_there_is_nothing_to_beat(tmp_path: Path, tiny_config: Config) -> None:
    """A champion that is the same model gives the same predictions."""
    said, tiny = np.array([0.3, 0.1, 0.2]), tiny_config.contract
    assert predict_with_champion(tmp_path, tiny, "0123456789abcdef", {}, KEYS, said, None) is None
    bundle_store.point(tmp_path, "0123456789abcdef")
    same = predict_with_champion(tmp_path, tiny, "0123456789abcdef", {}, KEYS, said, None)
    assert same is not None
    assert same.predictions is said


def test_a_champion_that_cannot_be_loaded_is_compared_by_its_record(toy: Toy) -> None:
    """A better model takes its place, and a worse one is refused, though the champion's folder is gone."""
    models = promotion.home(toy.config())
    toy.train(WEAK)
    shutil.rmtree(models / str(bundle_store.pointer(models)))
    better = toy.train()
    assert better.news
    shutil.rmtree(str(better.bundle))
    with pytest.raises(
        RefusedError, match=r"log_loss against the champion: \+0.1.*from its recorded predictions, since it cannot"
    ):
        toy.train(WEAK)
    assert str(better.bundle).endswith(str(bundle_store.pointer(models)))


def test_without_a_record_it_is_refused_with_the_remedy(toy: Toy) -> None:
    models = promotion.home(toy.config())
    toy.train(WEAK)
    shutil.rmtree(models / str(bundle_store.pointer(models)))
    shutil.rmtree(models / ANSWERS)
    with pytest.raises(RefusedError, match=r"not measured.*are recorded: restore its code and contract.*RESTART="):
        toy.train()


RESTART = "size was measured another way until May"
FEWER = "features=[colour, legs]"  # a contract that makes a weaker model, which passes the other gates


def test_a_declared_restart_of_another_contract_leaves_the_champion_behind(toy: Toy) -> None:
    """The baseline still judges, and the reason stands in the record, the verdicts and the history."""
    first = toy.train()
    with pytest.raises(RefusedError, match=r'log_loss against the champion: \+.*make train RESTART="the reason"'):
        toy.train(FEWER, *LOW)
    outcome = run(toy.config(FEWER, *LOW), Console(quiet=True), restart=RESTART)
    assert outcome.news
    record = json.loads((Path(str(outcome.bundle)) / "record.json").read_text())
    assert record["restart"] == RESTART
    verdict = next(gate for gate in record["gates"] if gate["gate"] == "log_loss against the champion")
    assert (verdict["limit"], RESTART in verdict["why"]) == ("a declared restart", True)
    move = promotion.history(toy.config())[-1]
    assert (move.kind, move.before, move.why.startswith(RESTART)) == ("restart", Path(str(first.bundle)).name, True)


def test_a_restart_of_the_same_contract_switches_no_gate_off(toy: Toy) -> None:
    """The champion answers the same contract, so it is compared as always."""
    toy.train()
    with pytest.raises(RefusedError, match=r"(?s)log_loss against the champion: \+(?!.*RESTART)"):
        run(toy.config(WEAK), Console(quiet=True), restart=RESTART)


def test_a_restart_that_is_worse_than_the_baseline_is_refused(toy: Toy) -> None:
    toy.train()
    with pytest.raises(RefusedError, match="log_loss below the baseline's"):
        run(toy.config(FEWER, *LOW, "gates.min_gain=0.3"), Console(quiet=True), restart=RESTART)


def test_a_champion_of_another_outcome_cannot_be_compared(toy: Toy) -> None:
    toy.train()
    bad = "columns.bad={kind: boolean, known: after, meaning: Another outcome, source: good}"
    with pytest.raises(RefusedError, match=r"not measured.*it predicts another outcome, good \(binary\)"):
        toy.train(bad, "target=bad")
