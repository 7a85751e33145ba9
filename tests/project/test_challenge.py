"""What `train.yml` runs: the challenge itself, and its scripts with a `gh` that says what GitHub would."""

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.project.conftest import MODEL, Script, module_of
from tests.support.toy import TINY, Toy

BY_TIME = TINY.replace("name: tiny", f"name: {MODEL}")
RETRAIN = "retrain: {compare_on: 1 day, fold_length: 1 day, holdout: {roc_auc: {low: 0.6, high: 0.9}}}\n"
BY_ROW = BY_TIME.replace(
    "{by: time, time: when, holdout: 2 days, folds: 2, fold_length: 1 day}", "{by: row, holdout: 0.2}"
)


class Repository:
    """A folder with our scripts, in which trainings end as they are told to: with a champion that knows so much."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.code = folder, 0
        self.module = module_of(".ci/challenge.py")
        monkeypatch.setattr(self.module, "ROOT", folder)
        monkeypatch.setattr(self.module, "pipeline", self.pipeline)
        monkeypatch.setattr(self.module, "data_end", lambda _: "2014-01-01")
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

    def pipeline(self, model: str, command: str, *options: str) -> int:
        self.asked.append(options[-1] if options else command)
        if not self.code:
            self.champion(self.asked[-1])
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
    assert found == {
        "model": "flights", "as_of": "2013-12-01", "news": "a better model", "version": "2013-12-01"
    }  # fmt: skip


def test_without_one_it_is_made_a_month_earlier(repository: Repository) -> None:
    repository.challenge()
    assert repository.asked == ["2013-04-01", "2013-05-01"]


def test_one_that_knows_the_days_that_would_judge_is_set_aside(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.champion("2013-11-01")
    monkeypatch.setenv("AS_OF", "2013-07-01")
    assert repository.challenge()["news"] == "a better model"
    assert repository.asked == ["2013-06-01", "2013-07-01"]


def test_a_model_that_was_refused_is_nothing_better(repository: Repository) -> None:
    """Any other failure of the training is a failure."""
    repository.champion("2013-11-01")
    repository.code = 4
    assert repository.challenge() == {
        "model": "flights", "as_of": "2013-12-01", "news": "nothing better", "version": "2013-11-01"
    }  # fmt: skip
    repository.code = 3
    with pytest.raises(SystemExit) as ended:
        repository.challenge()
    assert ended.value.code == 3


def test_past_the_end_of_the_data_nothing_is_trained(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The title says up to which day there is data, so that it is said once."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(repository.folder / "output"))
    repository.champion("2014-01-01")
    found = repository.challenge()
    assert found["news"] == "no data newer than 2013-12-31"
    assert repository.asked == []
    assert (repository.folder / "output").read_text() == "trained=false\n"


def test_where_data_ends_is_read_from_the_data(toy: Toy) -> None:
    module = module_of(".ci/challenge.py")
    assert module.data_end(toy.config()) == "2013-01-09"


def test_rows_without_a_time_are_trained_on_their_own_split(repository: Repository) -> None:
    """And compared with the released champion; where there is none, nothing is."""
    repository.declare(BY_ROW)
    assert repository.challenge()["news"] == "there is no released model to compare with"
    assert repository.asked == []
    repository.champion("2013-11-01")
    assert repository.challenge()["news"] == "a better model"
    assert repository.asked == ["train"]


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


@pytest.fixture
def challenged(tmp_path: Path) -> Callable[[str], None]:
    """Writes what a challenge of July has come to, and its summary."""

    def write(news: str) -> None:
        found = {"model": "flights", "as_of": "2013-07-01", "news": news, "version": "aaaa"}
        (tmp_path / "reports/challenge.json").write_text(json.dumps(found))
        (tmp_path / "reports/summary.md").write_text("the evidence\n")

    return write


def test_a_better_model_becomes_a_pull_request(
    script: Script, tmp_path: Path, challenged: Callable[[str], None]
) -> None:
    challenged("a better model")
    ended = script("propose", "")
    assert ended.returncode == 0, ended.stderr
    assert "gh pr create" in (tmp_path / "said").read_text()
    assert json.loads((tmp_path / "deploy/champion.json").read_text()) == {
        "model": "flights", "version": "aaaa", "as_of": "2013-07-01", "run": 17, "repository": "me/mine"
    }  # fmt: skip
    proposal = (tmp_path / "reports/proposal.md").read_text()
    assert "the evidence" in proposal
    assert "It was made by https://github.example/me/mine/actions/runs/17" in proposal


ANSWERS = 'case "$*" in "api "*) echo {issues} ;; "issue list "*) echo "{titles}" ;; esac'


@pytest.mark.parametrize(
    ("news", "issues", "titles", "creates"),
    [
        ("nothing better", "true", "", "Training as of 2013-07-01: nothing better"),
        ("no data newer than 2013-12-31", "true", "Training", "Training: no data newer than 2013-12-31"),
        ("no data newer than 2013-12-31", "true", "Training: no data newer than 2013-12-31", ""),
        ("nothing better", "false", "", ""),
    ],
)
def test_anything_else_becomes_an_issue_once_where_there_are_issues(
    script: Script, tmp_path: Path, challenged: Callable[[str], None], news: str, issues: str, titles: str, creates: str
) -> None:
    challenged(news)
    ended = script("propose", ANSWERS.format(issues=issues, titles=titles))
    assert ended.returncode == 0, ended.stderr
    created = re.findall(r"gh issue create .*--title (.*) --body-file", (tmp_path / "said").read_text())
    assert created == ([creates] if creates else [])
    assert not (tmp_path / "deploy/champion.json").exists()


def test_where_actions_may_open_no_pull_request_the_setting_is_named(
    script: Script, challenged: Callable[[str], None]
) -> None:
    challenged("a better model")
    ended = script("propose", '[ "$1 $2" != "pr create" ]')
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
