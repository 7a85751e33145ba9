"""A bundle proves itself before it answers, or does not answer."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import table
from pipeline.errors import BundleError
from pipeline.runtime import bundle_store, predictor
from tests.support import ROOT
from tests.support.parcels import Parcels


@pytest.fixture
def copy(parcels: Parcels, tmp_path: Path) -> Path:
    return Path(shutil.copytree(parcels.bundle, tmp_path / parcels.bundle.name))


def resealed(folder: Path, name: str, content: bytes) -> Path:
    """The bundle with one file replaced and every hash made to fit, as someone who knows the format could."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != bundle_store.SUMS}
    files[name] = content
    manifest = json.loads(files["bundle.json"])
    manifest["files"] = {part: bundle_store.sha256(files[part]) for part in manifest["files"]}
    files["bundle.json"] = json.dumps(manifest).encode()
    return bundle_store.write(folder.parent / "resealed", files)


def test_a_copied_bundle_answers_as_the_original(parcels: Parcels, copy: Path) -> None:
    golden = predictor.load(parcels.bundle).golden
    assert (predictor.load(copy).predict(golden.columns) == golden.predictions).all()


def test_golden_rows_hold_full_rows_and_rows_with_nothing_optional(parcels: Parcels) -> None:
    """They also hold categories never seen."""
    golden = predictor.load(parcels.bundle).golden
    assert len(golden.rows) == 64
    assert "temp" in golden.rows[0]
    required = {"carrier", "depot", "city", "sent", "weight"}
    assert set(golden.rows[-1]) == required | {name for name in golden.rows[0] if name.startswith("late_")}
    assert golden.rows[-1]["carrier"] == "never seen"


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json", "golden.json", "reference.json", "record.json"])
def test_one_changed_byte_is_refused_with_the_name_of_the_file(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} has been changed"):
        predictor.load(copy)


def test_golden_rows_with_other_answers_are_refused(copy: Path) -> None:
    """They are refused even if every hash fits."""
    golden = json.loads((copy / "golden.json").read_text())
    golden["answers"][3] += 0.001
    changed = resealed(copy, "golden.json", json.dumps(golden).encode())
    with pytest.raises(BundleError, match=r"1 of 64 golden rows get another prediction .*a difference of up to 0.001"):
        predictor.load(changed)


def test_a_dataset_module_that_changes_answers_is_refused_and_named(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module has changed since the bundle was made."""
    honest = table.derive
    monkeypatch.setattr(table, "derive", lambda columns: {**honest(columns), "sent_minute_of_day": np.zeros(64)})
    monkeypatch.setattr("pipeline.runtime.predictor.module_hash", lambda name: "edited")
    with pytest.raises(BundleError, match=r"golden rows get another prediction.*datasets/table.py has changed since"):
        predictor.load(copy)


def test_a_changed_dataset_module_that_fails_is_refused_and_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "derive", lambda columns: {})
    monkeypatch.setattr("pipeline.runtime.predictor.module_hash", lambda name: "edited")
    with pytest.raises(BundleError, match=r"cannot be scored \(KeyError.*datasets/table.py has changed since"):
        predictor.load(copy)


def test_an_edit_that_changes_no_answer_refuses_nothing(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.runtime.predictor.module_hash", lambda name: "edited")
    assert predictor.load(copy).version == copy.name


def test_a_bundle_under_another_bundles_name_is_refused(copy: Path) -> None:
    moved = copy.rename(copy.parent / "0123456789abcdef")
    with pytest.raises(BundleError, match=f"holds the bundle {copy.name}, not the one of the folder's name"):
        predictor.load(moved)


def test_a_file_that_is_not_what_it_should_be_is_refused(copy: Path) -> None:
    """It is refused without a traceback."""
    with pytest.raises(BundleError, match="cannot be read as a bundle|this version cannot read its contract"):
        predictor.load(resealed(copy, "model.onnx", b"not a model"))
    with pytest.raises(BundleError, match="cannot be read as a bundle|this version cannot read its contract"):
        predictor.load(resealed(copy, "reference.json", b"[]"))


def test_another_model_under_the_old_manifest_is_refused(copy: Path) -> None:
    """It is refused even if the sums fit. Model and golden rows exchanged together agree with each other; the name they
    go by is another's.
    """
    golden = json.loads((copy / "golden.json").read_text())
    golden["answers"][0] += 1e-7
    files = {path.name: path.read_bytes() for path in copy.iterdir() if path.name != bundle_store.SUMS}
    shutil.rmtree(copy)
    changed = bundle_store.write(copy.parent, {**files, "golden.json": json.dumps(golden).encode()})
    assert changed == copy
    with pytest.raises(BundleError, match=r"bundle.json was made for another model.onnx or golden.json"):
        predictor.load(copy)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("bundle.json", '"threshold": 0.25', '"threshold": "0.25"'),
        ("bundle.json", '"threshold": 0.25', '"threshold": NaN'),
        ("bundle.json", '"threshold": 0.25', '"threshold": 2'),
        ("bundle.json", '"metrics"', '"version": "other", "metrics"'),
        ("bundle.json", '"minimum": 20.0', '"minimum": NaN'),
        ("record.json", '"dataset_module"', '"other"'),
        ("golden.json", '"answers": [', '"answers": [0.5, '),
    ],
)
def test_a_bundle_that_says_what_cannot_be_is_refused_without_a_traceback(
    copy: Path, name: str, old: str, new: str
) -> None:
    content = (copy / name).read_text()
    assert old in content
    with pytest.raises(BundleError, match="cannot be read as a bundle|this version cannot read its contract"):
        predictor.load(resealed(copy, name, content.replace(old, new).encode()))


def test_a_bundle_of_a_dataset_that_is_not_here_is_refused(copy: Path) -> None:
    manifest = (copy / "bundle.json").read_bytes().replace(b'"dataset": "table"', b'"dataset": "moonshots"')
    with pytest.raises(BundleError, match="dataset 'moonshots' is not in"):
        predictor.load(resealed(copy, "bundle.json", manifest))


def test_unseen_values_are_counted_by_column_and_missing_ones_are_not(parcels: Parcels) -> None:
    columns = {name: values[:3].copy() for name, values in predictor.load(parcels.bundle).golden.columns.items()}
    columns["carrier"] = np.array(["ZZ", "", columns["carrier"][2]], dtype=object)
    columns["city"] = np.array(["XXX", "YYY", "XXX"], dtype=object)
    assert predictor.load(parcels.bundle).unseen(columns) == {"carrier": 1, "city": 3}


def test_a_bundle_of_an_older_contract_is_refused_with_one_sentence(parcels: Parcels, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in parcels.bundle.iterdir() if path.name != bundle_store.SUMS}
    files["bundle.json"] = files["bundle.json"].replace(b'"task": "binary"', b'"task": "classification"')
    old = bundle_store.write(tmp_path, files)
    with pytest.raises(BundleError, match="this version cannot read its contract") as refused:
        predictor.load(old)
    assert "contract.task: Input should be 'binary', 'multiclass' or 'regression'). Train again" in str(refused.value)


def test_the_runtime_reports_to_nobody_and_writes_nothing_at_home(parcels: Parcels, tmp_path: Path) -> None:
    """onnxruntime would put an id of this machine into the home folder, and send it with each report."""
    code = f"from pathlib import Path; from pipeline.runtime.predictor import load; load(Path({str(parcels.store)!r}))"
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": ""}
    subprocess.run([sys.executable, "-c", code], env={**environment, **home}, check=True, cwd=ROOT)
    assert list(tmp_path.iterdir()) == []
