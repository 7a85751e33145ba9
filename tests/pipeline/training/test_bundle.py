import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.runtime.arrays import columns_to_json, json_bytes
from pipeline.training.bundle import commit, with_gaps
from tests.support.parcels import Parcels


def test_a_bundle_holds_these_files_and_no_absolute_path_of_the_machine(parcels: Parcels) -> None:
    files = {path.name: path.read_bytes() for path in parcels.bundle.iterdir()}
    assert set(files) == {
        "examples.json", "bundle.json", "record.json", "model.onnx", "golden.json", "background.json", "reference.json", "rolling_features.json", "SHA256SUMS", "MODEL_CARD.md", "DATA_CARD.md", "report.html"
    }  # fmt: skip
    for name, content in files.items():
        assert str(Path.home()).encode() not in content or str(Path.home()) == "/", name
        assert str(parcels.folder).encode() not in content, name


def test_the_manifest_holds_what_decides_predictions(parcels: Parcels) -> None:
    """What does not decide them is beside the manifest."""
    manifest, record = (json.loads((parcels.bundle / name).read_text()) for name in ("bundle.json", "record.json"))
    assert set(manifest) == {"contract", "threshold", "prior", "metrics", "files"}
    assert set(manifest["files"]) == {"model.onnx", "golden.json", "rolling_features.json"}
    assert {"created", "run_id", "commit", "dataset_module", "machine", "libraries", "config", "data"} <= set(record)


def test_the_reference_describes_every_request_column_and_feature(parcels: Parcels) -> None:
    reference = json.loads((parcels.bundle / "reference.json").read_text())
    assert set(reference["columns"]) == {*parcels.config.request, *parcels.config.features}
    assert set(reference["columns"]["depot"]["values"]) == {"EST", "NTH", "STH"}
    assert 0 < reference["columns"]["distance"]["missing"] < 0.03
    assert len(reference["columns"]["temp"]["quantiles"]) == len(reference["quantiles"])
    assert reference["target"]["mean"] == pytest.approx(reference["predictions"]["mean"], abs=0.02)


def test_background_rows_are_request_rows(parcels: Parcels) -> None:
    background = json.loads((parcels.bundle / "background.json").read_text())["columns"]
    assert list(background) == list(parcels.config.request)
    assert {len(values) for values in background.values()} == {200}


def test_plain_values_are_json_and_missing_is_null(tiny_config: Config) -> None:
    columns = {
        "colour": np.array(["red", ""], dtype=object),
        "shape": np.array(["round", "square"], dtype=object),
        "size": np.array([1.5, np.nan]),
        "legs": np.array([4.0, 2.0]),
        "when": np.array(["2013-12-02T17:30:00", "NaT"], dtype="datetime64[s]"),
    }
    assert json.loads(json_bytes(columns_to_json(columns, tiny_config.request))) == {
        "colour": ["red", None],
        "shape": ["round", "square"],
        "size": [1.5, None],
        "legs": [4, 2],
        "when": ["2013-12-02T17:30:00", None],
    }


def test_gaps_are_made_in_the_last_quarter_only(tiny_config: Config) -> None:
    columns = {
        "colour": np.array(["red"] * 4, dtype=object),
        "shape": np.array(["round"] * 4, dtype=object),
        "size": np.ones(4),
        "legs": np.ones(4),
        "when": np.array(["2013-07-01"] * 4, dtype="datetime64[s]"),
    }
    gaps = with_gaps(columns, tiny_config.contract)
    assert gaps["colour"].tolist() == ["red", "red", "red", "never seen"]
    assert gaps["shape"].tolist() == ["round"] * 4
    assert np.isnan(gaps["size"]).tolist() == [False, False, False, True]
    assert columns["size"].tolist() == [1, 1, 1, 1]


def test_the_commit_is_recorded_and_outside_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() is None
    subprocess.run(["git", "init", "-q"], check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    assert len(str(commit())) == 40
    monkeypatch.setenv("PATH", "")
    assert commit() is None
