"""The model that goes out: only one of this repository's own train.yml on main, whole, and past every gate."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runtime import bundle_store
from tests.project.conftest import Script
from tests.support import ROOT
from tests.support.parcels import Parcels

OURS = ".github/workflows/train.yml main me/mine success"
MAKES = "mkdir -p $dir/flights/aaaa"
PACKS = "cd $(mktemp -d); mkdir -p models/flights/aaaa; tar --create --gzip models"
# What GitHub says by the arguments of a call; `dir` is what follows --dir.
GH = """
while [ $# -gt 0 ]; do case $1 in --dir) dir=$2 ;; esac; all="$all $1"; shift; done
case $all in
  *actions/runs/17/artifacts*) {artifacts} ;;
  *actions/runs/17*) {run} ;;
  *"run download"*) {download} ;;
  *"release list"*) {releases} ;;
  *"release download"*) {release} ;;
  *) exit 97 ;;
esac
"""
SAYS = {
    "run": f"echo {OURS}",
    "artifacts": "echo false",
    "download": MAKES,
    "releases": "exit 97",
    "release": "exit 97",
}
GONE = "echo 'gh: Not Found (HTTP 404)' >&2; exit 1"
EXPIRED = {"artifacts": "echo true", "releases": "echo v2 v1", "release": PACKS}


@pytest.fixture
def chosen(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Runs the script where models of CI are, and a model of run 17 was chosen; `proven` is the check's exit code."""
    (tmp_path / "models/flights/cccc").mkdir(parents=True)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for path, line in (("bin/make", ""), (".venv/bin/python", 'echo "$*" >>checked; exit $PROVEN')):
        (tmp_path / path).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (tmp_path / path).chmod(0o755)

    def run(repository: str = "me/mine", version: str = "aaaa", proven: int = 0, **said: str) -> object:
        choice = {"version": version, "run": 17, "repository": repository}
        (tmp_path / "deploy/champion.json").write_text(json.dumps(choice))
        monkeypatch.setenv("PROVEN", str(proven))
        return script("chosen-champion", GH.format(**{**SAYS, **said}))

    return run


def models(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "models/flights").iterdir())


def test_until_somebody_has_chosen_what_ci_made_goes_out(script: Script, tmp_path: Path) -> None:
    assert "the one that CI made goes out" in script("chosen-champion", "exit 1").stdout
    assert not (tmp_path / "said").exists()


def test_the_chosen_model_takes_the_place_of_all_others(chosen: Script, tmp_path: Path) -> None:
    """After it has been checked."""
    ended = chosen()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("the chosen model: aaaa\n")
    assert models(tmp_path) == ["aaaa"]
    assert "proven.py" in (tmp_path / "checked").read_text()


@pytest.mark.parametrize(
    "facts",
    [
        ".github/workflows/train.yml main somebody/mine success",
        ".github/workflows/ci.yml main me/mine success",
        ".github/workflows/train.yml mine me/mine success",
        ".github/workflows/train.yml main me/mine failure",
    ],
)
def test_a_run_that_is_not_ours_is_refused(chosen: Script, tmp_path: Path, facts: str) -> None:
    ended = chosen(run=f"echo {facts}")
    assert ended.returncode == 1
    assert f"names run 17, which is: {facts}" in ended.stderr
    assert models(tmp_path) == ["cccc"]


def test_a_choice_that_names_a_path_is_refused(chosen: Script, tmp_path: Path) -> None:
    ended = chosen(version="../../elsewhere")
    assert (ended.returncode, "found 17 and ../../elsewhere" in ended.stderr) == (1, True)
    assert not (tmp_path / "said").exists()


def test_a_model_that_does_not_prove_itself_is_refused(chosen: Script, tmp_path: Path) -> None:
    assert chosen(proven=1).returncode == 1
    assert models(tmp_path) == ["cccc"]


@pytest.mark.parametrize("said", [EXPIRED, {**EXPIRED, "run": GONE}])
def test_a_model_that_has_expired_is_taken_from_a_release(chosen: Script, tmp_path: Path, said: dict[str, str]) -> None:
    ended = chosen(**said)
    assert ended.returncode == 0, ended.stderr
    assert models(tmp_path) == ["aaaa"]
    assert "proven.py" in (tmp_path / "checked").read_text()


def test_where_it_is_gone_the_model_of_ci_goes_out_with_a_warning(chosen: Script, tmp_path: Path) -> None:
    ended = chosen(artifacts="true", releases="true")
    assert ended.returncode == 0
    assert "::warning::the model aaaa, which deploy/champion.json names, is gone" in ended.stdout
    assert models(tmp_path) == ["cccc"]


@pytest.mark.parametrize("said", [{"run": "echo 'HTTP 502' >&2; exit 1"}, {"download": "exit 1"}])
def test_a_failure_to_ask_is_not_taken_for_an_end_of_the_model(chosen: Script, said: dict[str, str]) -> None:
    assert chosen(**said).returncode == 1


def test_a_fork_that_inherits_the_choice_goes_on_with_its_own_model(chosen: Script, tmp_path: Path) -> None:
    ended = chosen("upstream/theirs")
    assert ended.returncode == 0
    assert "::notice::deploy/champion.json names a model of upstream/theirs" in ended.stdout
    assert models(tmp_path) == ["cccc"]
    assert not (tmp_path / "said").exists()


# --- what is checked --------------------------------------------------------------------------------------------------


@pytest.fixture
def store(parcels: Parcels, tmp_path: Path) -> Path:
    shutil.copytree(parcels.bundle.parent, tmp_path / "store")
    return tmp_path / "store"


def proven(store: Path, digest: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / ".ci/proven.py"), str(store), digest]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_champion_of_all_gates_is_proven(store: Path, parcels: Parcels) -> None:
    ended = proven(store, parcels.bundle.name)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_another_digest_is_not(store: Path, parcels: Parcels) -> None:
    ended = proven(store, "0123456789abcdef")
    assert ended.returncode == 1
    assert f"the champion there is {parcels.bundle.name}, and 0123456789abcdef was chosen" in ended.stderr


def test_a_bundle_under_another_name_is_not(store: Path, parcels: Parcels) -> None:
    (store / parcels.bundle.name).rename(store / "0123456789abcdef")
    (store / bundle_store.POINTER).write_text("0123456789abcdef\n")
    assert "not the one of the folder's name" in proven(store, "0123456789abcdef").stderr


def test_a_changed_model_is_not(store: Path, parcels: Parcels) -> None:
    with (store / parcels.bundle.name / "model.onnx").open("ab") as model:
        model.write(b"x")
    assert "is not what training wrote" in proven(store, parcels.bundle.name).stderr


def test_a_model_that_a_gate_refused_is_not(store: Path, parcels: Parcels) -> None:
    """Whoever can write the record can write the hashes of its files too, but not the digest, which others know."""
    bundle = store / parcels.bundle.name
    record = json.loads((bundle / "record.json").read_bytes())
    record["gates"][0]["passed"] = False
    content = json.dumps(record).encode()
    sums = (bundle / "SHA256SUMS").read_text()
    sums = sums.replace(bundle_store.sha256((bundle / "record.json").read_bytes()), bundle_store.sha256(content))
    (bundle / "SHA256SUMS").write_text(sums)
    (bundle / "record.json").write_bytes(content)
    assert f"did not pass 1 of its {len(record['gates'])} gates" in proven(store, bundle.name).stderr
