"""Files of a store that are broken, endless or of another form: a command ends with exit code 3 and one sentence."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import BundleError
from pipeline.monitoring import monitor
from pipeline.registry import promotion
from pipeline.runtime import bundle_store
from tests.support.toy import Toy

DEEP = b"[" * 100_000 + b"]" * 100_000
MOVE = b'{"when": "", "who": "", "kind": "promote", "before": null, "after": 5, "why": ""}\n'


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(DEEP), "RecursionError"),
        (lambda path: path.write_bytes(b'{"gates": [1]}'), "TypeError"),
        (lambda path: path.symlink_to("/dev/zero"), "is a symbolic link"),
        (os.mkfifo, "is a pipe"),
    ],
)
def test_a_record_that_is_none_stops_a_promotion(tmp_path: Path, make: Callable[[Path], object], reason: str) -> None:
    folder = bundle_store.write(tmp_path, {"bundle.json": b"{}"})
    make(folder / "record.json")
    with pytest.raises(BundleError, match=f"its record of the gates cannot be read: .*{reason}"):
        promotion.failed_gates(tmp_path, folder.name)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(DEEP + b"\n" + MOVE), r"history.jsonl:1: is not a move"),
        (lambda path: path.write_bytes(MOVE * 2), r"history.jsonl:1: is not a move: every value"),
        (lambda path: path.write_bytes(b"\xff\n"), "cannot be read as a history"),
        (lambda path: path.symlink_to("/dev/zero"), "cannot be read as a history: is a device"),
        (Path.mkdir, "cannot be read as a history: is a folder"),
    ],
)
def test_a_history_that_is_none_is_named(toy: Toy, make: Callable[[Path], object], reason: str) -> None:
    models = promotion.home(toy.config())
    models.mkdir(parents=True)
    make(models / promotion.LEDGER)
    with pytest.raises(BundleError, match=reason):
        promotion.history(toy.config())


@pytest.mark.parametrize("content", [DEEP, b"[]", b'{"outcomes": 1}', b'{"outcomes": {"figures": {"a": 1}}}'])
def test_a_reference_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "reference.json").write_bytes(content)
    with pytest.raises(BundleError, match="reference"):
        monitor.read_reference(tmp_path)
