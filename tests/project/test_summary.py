"""`make summary`: of the bundle that the last training made, or that it made none; and the comment on GitHub."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.conftest import Script
from tests.support import ROOT
from tests.support.parcels import Parcels


@pytest.fixture
def folder(parcels: Parcels, tmp_path: Path) -> Path:
    """A project with the champion of main, and the reports of a training that has ended with an error."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/summary.py", tmp_path / ".ci")
    shutil.copytree(parcels.bundle.parent, tmp_path / "models/parcels")
    (tmp_path / "reports/parcels.failed").mkdir(parents=True)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/parcels.yaml").touch()
    return tmp_path


def summary(folder: Path, *words: str) -> str:
    command = [sys.executable, str(folder / ".ci/summary.py"), "parcels", *words]
    ended = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    text = (folder / "reports/summary.md").read_text(encoding="utf-8")
    assert ended.stdout.rstrip("\n") == text.partition("\n")[2].rstrip("\n")
    return text


def trained(folder: Path, reports: str, bundle: str, before: str | None) -> None:
    (folder / "reports" / reports).mkdir(exist_ok=True)
    made = {"bundle": bundle, "champion_before": before}
    (folder / "reports" / reports / "training.json").write_text(json.dumps(made))


def test_a_training_that_died_has_no_model_and_not_that_of_main(folder: Path) -> None:
    text = summary(folder)
    assert text.splitlines()[0] == "<!-- the model's summary: no model -->"
    assert "## `parcels`: no model" in text
    assert "pass" not in text


def test_a_training_that_was_killed_or_never_began_has_none(folder: Path, parcels: Parcels) -> None:
    """The reports of the training before it are still there."""
    (folder / "reports/parcels.failed").rmdir()
    assert "## `parcels`: no model" in summary(folder)
    trained(folder, "parcels", parcels.bundle.name, None)
    assert "no model" not in summary(folder)
    (folder / "reports/.unfinished-parcels-abc").mkdir()
    assert "## `parcels`: no model" in summary(folder)


def test_a_model_without_a_config_is_an_error(folder: Path) -> None:
    (folder / "configs/parcels.yaml").unlink()
    command = [sys.executable, str(folder / ".ci/summary.py"), "parcels"]
    ended = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "error: configs/parcels.yaml: there is no such model\n")


def test_a_training_writes_down_which_bundle_it_made(folder: Path, parcels: Parcels) -> None:
    """Its report is beside those of MLflow's run, and the summary is of this bundle."""
    reports = Path(parcels.config.paths.reports) / "parcels"
    made = json.loads((reports / "training.json").read_bytes())
    assert made == {"bundle": parcels.bundle.name, "champion_before": None}
    (folder / "reports/parcels.failed").rmdir()
    shutil.copytree(reports, folder / "reports/parcels")
    text = summary(folder)
    assert text.startswith("<!-- the model's summary: another model -->\n## `parcels` `")
    assert f"`{parcels.bundle.name}`" in text


def test_the_same_model_as_before_is_marked(folder: Path, parcels: Parcels) -> None:
    trained(folder, "parcels.failed", parcels.bundle.name, parcels.bundle.name)
    assert summary(folder).startswith("<!-- the model's summary: the same model -->\n")


def test_warnings_stand_in_it(folder: Path, parcels: Parcels) -> None:
    record = folder / "models/parcels" / parcels.bundle.name / "record.json"
    content = json.loads(record.read_bytes()) | {"warnings": ["Warning: no row of the holdout is gold"]}
    record.write_text(json.dumps(content))
    assert "\n**Warning**: no row of the holdout is gold\n" in summary(folder, parcels.bundle.name)


@pytest.mark.parametrize(
    ("news", "before", "calls"),
    [
        ("another model", "", ["POST"]),
        ("another model", "12", ["PATCH"]),
        ("the same model", "", []),
        ("the same model", "12", ["PATCH"]),
        ("no model", "", ["POST"]),
    ],
)
def test_a_pull_request_has_one_comment_where_there_is_news(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, news: str, before: str, calls: list[str]
) -> None:
    """It is found by its first line, whoever has written since."""
    (tmp_path / "reports/summary.md").write_text(f"<!-- the model's summary: {news} -->\n")
    monkeypatch.setenv("PULL_REQUEST", "7")
    ended = script("comment", f'case "$*" in *--paginate*) echo {before} ;; esac')
    assert ended.returncode == 0, ended.stderr
    asked = (tmp_path / "said").read_text().splitlines()
    assert [line.split("--method ")[1].split()[0] for line in asked[1:]] == calls
