"""Who is champion, since when and why: pointer, record and alias move together, one move at a time."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import mlflow
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from pipeline.__main__ import app
from pipeline.config.config import Config
from pipeline.errors import BundleError, ConfigError, RefusedError
from pipeline.registry import mlflow_store, mlflow_versions, promotion
from pipeline.registry.promotion import LEDGER, champion, history, previous, promote, reconcile
from pipeline.runtime import bundle_store
from tests.support.toy import WEAK, Toy, in_folder, statuses, trained_twice


class Two:
    """A weak champion that was replaced by a better one, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.toy = Toy(folder)
        self.config = self.toy.config()
        self.models = promotion.home(self.config)
        mlflow_store.connect("tiny", self.config.paths.tracking)
        self.first, self.second = (str(move.after) for move in history(self.config))

    def alias(self, name: str = "champion") -> str:
        found = mlflow_versions.version_with_alias("tiny", name)
        return found[1] if found else ""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_twice(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def two(trained: Path, tmp_path: Path) -> Two:
    return Two(Path(shutil.copytree(trained, tmp_path / "copy")))


def test_trainings_are_recorded_with_who_when_why_and_from_which_to_which(two: Two) -> None:
    first, second = history(two.config)
    assert [(m.kind, m.before, m.after) for m in (first, second)] == [
        ("promote", None, two.first),
        ("promote", two.first, two.second),
    ]
    assert first.when < second.when or first.when == second.when
    assert second.who
    assert "passed all 17 gates" in second.why
    assert (champion(two.config), two.alias()) == (two.second, two.second)


def test_a_rollback_goes_to_the_champion_before_and_the_alias_follows(two: Two) -> None:
    assert previous(two.config) == two.first
    promote(two.config, two.first, instead_of=two.second, why="late flights were missed", kind="rollback")
    assert (champion(two.config), two.alias()) == (two.first, two.first)
    assert history(two.config)[-1]._replace(when="", who="") == (
        "", "", "rollback", two.second, two.first, "late flights were missed",
    )  # fmt: skip
    with pytest.raises(ConfigError, match=f"there is no champion before {two.first} to go back to"):
        previous(two.config)


def test_the_previous_champion_is_not_one_that_was_rolled_back_from(two: Two) -> None:
    """After a rollback and a new champion, the champion that was rolled back from is not gone back to."""
    promote(two.config, two.first, instead_of=two.second, why="a", kind="rollback")
    promote(two.config, two.second, instead_of=two.first, why="b")
    assert previous(two.config) == two.first


def test_of_two_promotions_at_once_one_wins_and_the_other_says_so(two: Two) -> None:
    """Both were decided while the second model was champion."""
    third = str(two.toy.train("train.seed=7", "candidates.linear.C=0.5").bundle.name)
    promote(two.config, two.second, instead_of=third, why="begin again")

    def attempt(digest: str) -> str:
        try:
            return promote(two.config, digest, instead_of=two.second, why="race").after or ""
        except RefusedError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(attempt, [two.first, third]))
    (winner,) = [each for each in said if len(each) == 16]
    (loser,) = [each for each in said if len(each) != 16]
    assert f"meanwhile the champion is {winner}, by " in loser
    assert champion(two.config) == two.alias() == winner


def test_a_bundle_that_a_gate_refused_cannot_be_promoted_by_hand(two: Two) -> None:
    with pytest.raises(RefusedError, match="log_loss against the champion"):
        two.toy.train(WEAK, "train.seed=1")
    worse = two.alias("challenger")
    with pytest.raises(
        RefusedError, match=rf"{worse} is not allowed to be promoted: it was refused by log_loss against the champion"
    ):
        promote(two.config, worse, instead_of=two.second, why="I want it")
    assert champion(two.config) == two.second


def test_a_bundle_that_is_not_there_or_damaged_is_not_promoted(two: Two) -> None:
    with pytest.raises(ConfigError, match=f"has no bundle 'moon'. Found: .*{two.first}"):
        promote(two.config, "moon", instead_of=two.second, why="a")
    (two.models / two.first / "model.onnx").write_bytes(b"x")
    with pytest.raises(BundleError, match="model.onnx has been changed"):
        promote(two.config, two.first, instead_of=two.second, why="a")
    (two.models / two.first / "record.json").write_text("{}")
    with pytest.raises(BundleError, match="record of the gates cannot be read"):
        promote(two.config, two.first, instead_of=two.second, why="a")
    assert champion(two.config) == two.second


def test_a_crash_between_pointer_and_alias_is_mended_at_the_next_command(two: Two) -> None:
    """That command reports it."""
    bundle_store.point(two.models, two.first)
    said = reconcile(two.config)
    assert said[0].endswith(f"champion is at {two.first}, the record was at {two.second}")
    assert said[1] == f"MLflow's alias champion was set to version 1, which is {two.first}; it was at 2"
    assert history(two.config)[-1].kind == "found"
    assert two.alias() == two.first
    assert reconcile(two.config) == []


def test_a_champion_that_mlflow_has_forgotten_is_registered_again(two: Two, tmp_path: Path) -> None:
    empty = two.toy.config(f"paths.tracking=sqlite:///{tmp_path}/other.db")
    mlflow_store.connect("tiny", empty.paths.tracking)
    assert reconcile(empty) == [f"MLflow's alias champion was set to version 1, which is {two.second}"]
    assert mlflow.MlflowClient().get_model_version_by_alias("tiny", "champion").tags["digest"] == two.second
    row = pd.DataFrame([{"colour": "red", "size": 9.0, "legs": 2}])
    answers = mlflow.pyfunc.load_model("models:/tiny@champion").predict(row)
    assert answers["label"].tolist() == [1]
    assert statuses(empty) == Counter()  # no run of its own, which a kill could leave open


def test_a_pointer_that_was_removed_takes_the_alias_with_it(two: Two) -> None:
    (two.models / bundle_store.POINTER).unlink()
    assert reconcile(two.config)[-1] == "MLflow's alias champion was removed, since there is no champion"
    assert two.alias() == ""
    with pytest.raises(ConfigError, match="there is no champion before the first to go back to"):
        previous(two.config)


def test_a_line_of_history_that_a_crash_cut_short_is_dropped(two: Two) -> None:
    """A line that was changed is an error that names the line."""
    ledger = two.models / LEDGER
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + b'{"when": "20')
    assert len(history(two.config)) == 2
    promote(two.config, two.first, instead_of=two.second, why="a")
    assert ledger.read_bytes().startswith(whole + b'{"when": "2')
    assert [json.loads(line)["after"] for line in ledger.read_text().splitlines()] == [
        two.first, two.second, two.first,
    ]  # fmt: skip
    ledger.write_bytes(b"{}\n" + whole)
    with pytest.raises(BundleError, match=r"history.jsonl:1: is not a move"):
        history(two.config)


# --- what a kill leaves ---------------------------------------------------------------------------------------------


TRAIN_FOREVER = """
import sys
from pathlib import Path
import mlflow
from pipeline.registry import mlflow_store, run_folder
mlflow_store.connect("tiny", sys.argv[1])
with run_folder.working_folder(Path(sys.argv[2]), "tiny") as work, mlflow_store.run(work.parent.name):
    with mlflow.start_run(nested=True):
        print(work.parent, flush=True)
        sys.stdin.read()
"""


@contextmanager
def training(config: Config) -> Iterator[Path]:
    """The folder of a process in the middle of a training, with a run and one below it; killed at the end."""
    Path(config.paths.reports).mkdir(exist_ok=True)
    command = [sys.executable, "-c", TRAIN_FOREVER, config.paths.tracking, config.paths.reports]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate(timeout=20)


class Killed(NamedTuple):
    """Two models, and the folder of a training that was killed."""

    two: Two
    left: Path


@pytest.fixture(scope="module")
def killed_once(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("killed") / "copy"))
    with training(Two(folder).config):
        return folder


@pytest.fixture
def killed(killed_once: Path, tmp_path: Path) -> Killed:
    two = Two(Path(shutil.copytree(killed_once, tmp_path / "copy")))
    (left,) = Path(two.config.paths.reports).glob(".unfinished*")
    return Killed(two, left)


def test_the_next_command_removes_what_a_killed_training_left(killed: Killed) -> None:
    """A live training is left alone."""
    two, left = killed
    before = statuses(two.config)
    with training(two.config) as place:
        assert command(two.toy, "history").stderr == (
            f"Repaired: {left} of a training that was killed was removed, and 2 open runs of it in MLflow marked as KILLED\n"
        )
        assert (place.exists(), left.exists()) == (True, False)
        assert statuses(two.config) == before + Counter(KILLED=2)
        assert reconcile(two.config) == []


def test_a_killed_training_with_a_run_in_another_store_is_tidied_up_after(killed: Killed, tmp_path: Path) -> None:
    two, left = killed
    elsewhere = two.toy.config(f"paths.tracking=sqlite:///{tmp_path}/other.db")
    mlflow_store.connect("tiny", elsewhere.paths.tracking)
    assert reconcile(elsewhere)[1:] == [f"{left} of a training that was killed was removed"]
    assert not left.exists()
    assert statuses(two.config)["RUNNING"] == 2


def test_a_folder_stays_where_the_record_of_runs_cannot_be_reached(killed: Killed) -> None:
    """The folder of the killed training stays for the next command."""
    two, left = killed
    with pytest.raises(ConfigError, match="cannot be used"):
        promotion.clean_up_killed_runs(two.toy.config(f"paths.tracking=sqlite:///{two.toy.folder}/toy.csv/mlflow.db"))
    assert left.exists()
    mlflow_store.connect("tiny", two.config.paths.tracking)
    assert len(promotion.clean_up_killed_runs(two.config)) == 1


def test_what_was_half_written_goes_with_the_next_command_which_says_so(two: Two) -> None:
    before = sorted(two.models.rglob("*"))
    for folder in (two.models, two.models / "answers"):
        (folder / ".unfinished-abcdefgh").touch()
    assert reconcile(two.config) == [f"unfinished files of an interrupted command were removed from {two.models} (2)"]
    assert sorted(two.models.rglob("*")) == before
    assert reconcile(two.config) == []


# --- the same by command --------------------------------------------------------------------------------------------


def command(toy: Toy, *words: str) -> Result:
    """One verb on the toy's folder, as typed without a terminal."""
    given = [word for place in in_folder(toy.folder) for word in ("--set", place)]
    return CliRunner().invoke(app, [words[0], str(toy.folder / "toy.yaml"), *given, *words[1:]])


def test_commands_roll_a_champion_back_and_promote_it_again(two: Two) -> None:
    """The command `history` lists both moves."""
    back = command(two.toy, "rollback", "--why", "it misses storms")
    assert (back.exit_code, back.stderr) == (0, "")
    assert back.stdout.startswith(f"The champion of tiny is {two.first} now instead of {two.second}. ")
    assert f"`make promote VERSION={two.second}`" in back.stdout
    forth = command(two.toy, "promote", "--why", "no, it does not")
    assert forth.stdout.startswith(f"The champion of tiny is {two.second} now instead of {two.first}. ")
    assert "`make rollback` goes back" in forth.stdout
    told = command(two.toy, "history").stdout.splitlines()
    assert len(told) == 4
    assert told[-1].endswith("no, it does not")
    again = command(two.toy, "promote", "--why", "again")
    assert again.stdout == f"Nothing to do: {two.second} is the champion of tiny already.\n"


def test_a_command_says_what_it_mended(two: Two) -> None:
    bundle_store.point(two.models, two.first)
    assert command(two.toy, "history").stderr.startswith("Repaired: ")


def test_without_a_reason_and_without_anyone_to_ask_nothing_moves(two: Two) -> None:
    with pytest.raises(ConfigError, match="the history needs a reason"):
        raise command(two.toy, "rollback").exception or AssertionError
    assert champion(two.config) == two.second


def test_before_the_first_training_there_is_nothing_to_promote(toy: Toy) -> None:
    with pytest.raises(ConfigError, match="there is no model yet. Run `make train`"):
        raise command(toy, "history").exception or AssertionError


def test_without_a_challenger_a_bundle_has_to_be_named(two: Two, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="MLflow knows no challenger of other. Name a bundle"):
        promotion.challenger(two.toy.config("name=other"))
