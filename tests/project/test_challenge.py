"""What `train.yml` runs: the challenge itself, and its scripts with a `gh` that says what GitHub would."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.toy import TINY

MODEL = "flights"
BY_TIME = TINY.replace("name: tiny", f"name: {MODEL}")
RETRAIN = "retrain: {compare_on: 1 day, fold_length: 1 day, holdout: {roc_auc: {low: 0.6, high: 0.9}}}\n"
BY_ROW = BY_TIME.replace(
    "{by: time, time: when, holdout: 2 days, folds: 2, fold_length: 1 day}", "{by: row, holdout: 0.2}"
)


class Repository:
    """A folder with our scripts, in which trainings end as they are told to: with a champion that knows so much."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.code = folder, 0
        spec = importlib.util.spec_from_file_location("challenge", ROOT / ".ci/challenge.py")
        assert spec is not None
        assert spec.loader is not None
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        monkeypatch.setattr(self.module, "ROOT", folder)
        monkeypatch.setattr(self.module, "retrain", self.retrain)
        monkeypatch.setattr(self.module, "FIRST", {MODEL: date(2013, 5, 1)})
        monkeypatch.delenv("AS_OF", raising=False)
        (folder / "reports").mkdir()
        self.declare(BY_TIME + RETRAIN)
        self.asked: list[str] = []

    def declare(self, config: str) -> None:
        (self.folder / "configs").mkdir(exist_ok=True)
        (self.folder / f"configs/{MODEL}.yaml").write_text(config)

    def champion(self, until: str) -> None:
        bundle = self.folder / "models/flights" / until
        bundle.mkdir(parents=True)
        (bundle / "record.json").write_text(json.dumps({"until": until}))
        (bundle.parent / "champion").write_text(f"{until}\n")

    def retrain(self, model: str, as_of: str) -> int:
        self.asked.append(as_of)
        if not self.code:
            self.champion(as_of)
        return self.code

    def challenge(self) -> dict[str, Any]:
        self.module.main("flights")
        return dict(json.loads((self.folder / "reports/challenge.json").read_text()))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    return Repository(tmp_path, monkeypatch)


def test_a_released_champion_is_challenged_by_the_month_after_its_data(repository: Repository) -> None:
    """It is the month after what the champion knows."""
    repository.champion("2013-11-01")
    found = repository.challenge()
    assert repository.asked == ["2013-12-01"]
    assert found == {"model": "flights", "as_of": "2013-12-01", "better": True, "version": "2013-12-01"}


def test_without_one_it_is_made_a_month_earlier(repository: Repository) -> None:
    repository.challenge()
    assert repository.asked == ["2013-04-01", "2013-05-01"]


def test_one_that_knows_the_days_that_would_judge_is_set_aside(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.champion("2013-11-01")
    monkeypatch.setenv("AS_OF", "2013-07-01")
    assert repository.challenge()["better"]
    assert repository.asked == ["2013-06-01", "2013-07-01"]


def test_a_model_that_was_refused_is_nothing_better(repository: Repository) -> None:
    """Any other failure of the training is a failure."""
    repository.champion("2013-11-01")
    repository.code = 4
    assert repository.challenge() == {
        "model": "flights", "as_of": "2013-12-01", "better": False, "version": "2013-11-01"
    }  # fmt: skip
    repository.code = 3
    with pytest.raises(SystemExit) as ended:
        repository.challenge()
    assert ended.value.code == 3


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BY_ROW, "split.by is row: retrain and challenge need a split by time, .* Use `make train`"),
        (BY_TIME, "retrain: is missing"),
    ],
)
def test_a_model_without_days_to_go_on_by_is_not_challenged(
    repository: Repository, capsys: pytest.CaptureFixture[str], config: str, message: str
) -> None:
    """It ends before any work, and the champion stays."""
    repository.champion("2013-11-01")
    repository.declare(config)
    with pytest.raises(SystemExit) as ended:
        repository.challenge()
    assert ended.value.code == 2
    assert re.search(f"^error: configs/{MODEL}.yaml: {message}", capsys.readouterr().err)
    assert repository.asked == []
    assert (repository.folder / f"models/{MODEL}/champion").exists()


Script = Callable[..., Any]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs one of our scripts in an empty folder; `gh` is a shell script that is given."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "deploy").mkdir()
    (tmp_path / "reports").mkdir()
    for name in ("git", "gh"):
        (tmp_path / "bin" / name).write_text("#!/usr/bin/env bash\n")
        (tmp_path / "bin" / name).chmod(0o755)

    def run(name: str, gh: str, model: str = MODEL) -> Any:
        (tmp_path / "bin/gh").write_text(f'#!/usr/bin/env bash\necho "gh $*" >>said\n{gh}\n')
        for copied in (name, "model"):
            shutil.copy(ROOT / ".ci" / copied, tmp_path / copied)
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            "MODEL": model,
            "GITHUB_REPOSITORY": "me/mine",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_RUN_ID": "17",
        }
        return subprocess.run([f"./{name}"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(("config", "days"), [(BY_TIME + RETRAIN, "true"), (BY_ROW, "false")])
def test_every_month_a_model_without_days_is_left_alone(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, days: str
) -> None:
    """With a notice, which GitHub shows on the run's page."""
    for name, line in (("bin/make", ""), (".venv/bin/python", f'exec "{sys.executable}" "$@"')):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "configs").mkdir()
    (tmp_path / f"configs/{MODEL}.yaml").write_text(config)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    ended = script("has-days", "exit 1")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "output").read_text() == f"days={days}\n"
    assert ("::notice::" in ended.stdout) == (days == "false")


def test_a_script_works_on_the_makefiles_own_model_where_none_is_named(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Makefile").write_text("PYTHON ?= python3\nMODEL ?= churn\n")
    gh = "mkdir -p models/churn; echo aaaa >models/churn/champion; tar --create --gzip models; rm -r models"
    ended = script("released-champion", f'if [ "$2" = list ]; then echo v1; else {gh}; fi', model="")
    assert ended.stdout == "the champion of v1: aaaa\n", ended.stderr


MAKES = "mkdir -p models/flights; echo aaaa >models/flights/champion"


def test_no_release_is_said_and_a_failure_to_ask_is_not_taken_for_none(script: Script) -> None:
    assert "there is no release yet" in script("released-champion", "exit 0").stdout
    assert script("released-champion", "exit 1").returncode == 1


def test_the_models_of_the_latest_release_are_unpacked(script: Script, tmp_path: Path) -> None:
    gh = f'if [ "$2" = list ]; then echo v1; else {MAKES}; tar --create --gzip models; rm -r models; fi'
    ended = script("released-champion", gh)
    assert ended.stdout == "the champion of v1: aaaa\n", ended.stderr
    assert "--pattern models.tar.gz" in (tmp_path / "said").read_text()


def test_until_somebody_has_chosen_what_ci_made_goes_out(script: Script, tmp_path: Path) -> None:
    assert "the one that CI made goes out" in script("chosen-champion", "exit 1").stdout
    assert not (tmp_path / "said").exists()


@pytest.mark.parametrize(
    ("gh", "code", "words"),
    [
        (MAKES, 0, "the chosen model: aaaa"),
        (MAKES.replace("aaaa", "bbbb"), 1, "run 17 made bbbb, and deploy/champion.json names aaaa"),
        ("exit 1", 1, "are gone (artifacts expire)"),
    ],
)
def test_the_chosen_model_takes_the_place_of_all_others(
    script: Script, tmp_path: Path, gh: str, code: int, words: str
) -> None:
    (tmp_path / "deploy/champion.json").write_text('{"version": "aaaa", "run": 17}')
    (tmp_path / "models/flights/cccc").mkdir(parents=True)
    ended = script("chosen-champion", gh)
    assert (ended.returncode, words in ended.stdout + ended.stderr) == (code, True), ended
    assert not (tmp_path / "models/flights/cccc").exists()


@pytest.mark.parametrize(("better", "opened"), [(True, "gh pr create"), (False, "gh issue create")])
def test_a_better_model_becomes_a_pull_request_and_anything_else_an_issue(
    script: Script, tmp_path: Path, better: bool, opened: str
) -> None:
    found = {"model": "flights", "as_of": "2013-07-01", "better": better, "version": "aaaa"}
    (tmp_path / "reports/challenge.json").write_text(json.dumps(found))
    (tmp_path / "reports/summary.md").write_text("the evidence\n")
    ended = script("propose", "")
    assert ended.returncode == 0, ended.stderr
    asked = (tmp_path / "said").read_text()
    assert opened in asked
    assert ("gh issue" in asked) != better
    chosen = tmp_path / "deploy/champion.json"
    if better:
        assert json.loads(chosen.read_text()) == {
            "model": "flights", "version": "aaaa", "as_of": "2013-07-01", "run": 17
        }  # fmt: skip
        proposal = (tmp_path / "reports/proposal.md").read_text()
        assert "the evidence" in proposal
        assert "It was made by https://github.example/me/mine/actions/runs/17" in proposal
    else:
        assert not chosen.exists()


def test_where_actions_may_open_no_pull_request_the_setting_is_named(script: Script, tmp_path: Path) -> None:
    (tmp_path / "reports/challenge.json").write_text('{"model": "f", "as_of": "d", "better": true, "version": "aaaa"}')
    (tmp_path / "reports/summary.md").write_text("")
    ended = script("propose", '[ "$1" != pr ]')
    assert ended.returncode == 1
    assert "Allow GitHub Actions to create pull requests" in ended.stderr


@pytest.mark.parametrize(
    ("declared", "restart"),
    [
        (None, None),
        ({"from": "aaaa", "reason": "delays count from the gate now"}, "delays count from the gate now"),
        ({"from": "bbbb", "reason": "that was another champion"}, ""),
    ],
)
def test_a_restart_is_declared_by_a_line_that_names_the_champion(
    script: Script, tmp_path: Path, declared: dict[str, str] | None, restart: str | None
) -> None:
    (tmp_path / "bin/make").write_text('#!/usr/bin/env bash\necho "${RESTART-unset}" >restart\n')
    (tmp_path / "bin/make").chmod(0o755)
    (tmp_path / "models/flights").mkdir(parents=True)
    (tmp_path / "models/flights/champion").write_text("aaaa\n")
    if declared:
        (tmp_path / "deploy/champion.json").write_text(json.dumps({"restart": declared}))
    assert script("train", "").returncode == 0
    assert (tmp_path / "restart").read_text().strip() == ("unset" if restart is None else restart)
    assert "the one that CI made goes out" in script("chosen-champion", "exit 1").stdout
