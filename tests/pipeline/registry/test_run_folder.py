"""The folder of a training: in place when it is whole, in nobody's way while it lives, removed when it is dead."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.registry.run_folder import abandoned, remove, working_folder

Start = Callable[[str], "subprocess.Popen[str]"]
WORK_FOREVER = """
import sys
from pathlib import Path
from pipeline.registry.run_folder import working_folder
with working_folder(Path(sys.argv[1]), sys.argv[2]) as work:
    print(work.parent, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a process that works in a folder for a model, and says which, until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def one(name: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", WORK_FOREVER, str(tmp_path), name]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield one
    for each in started:
        each.communicate(timeout=20)


def says(process: "subprocess.Popen[str]") -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().strip())


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=20)


def test_a_failed_training_leaves_the_old_report_and_its_own_beside_it(tmp_path: Path) -> None:
    with working_folder(tmp_path, "a") as first:
        (first / "old").touch()
    with pytest.raises(RuntimeError), working_folder(tmp_path, "a") as second:
        (second / "new").touch()
        raise RuntimeError
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        ".lock",
        "a",
        "a.failed",
        "a.failed/new",
        "a/old",
    ]
    with working_folder(tmp_path, "a") as third:
        (third / "newest").touch()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [".lock", "a", "a/newest"]


def test_the_folder_of_a_killed_training_is_found(start: Start, tmp_path: Path) -> None:
    """The folder of a live training is not."""
    live, dead = start("flights"), start("flights")
    place, left = says(live), says(dead)
    assert abandoned(tmp_path, "flights") == []
    kill(dead)
    assert abandoned(tmp_path, "flights") == [left]
    remove(left, "flights")
    assert abandoned(tmp_path, "flights") == []
    assert list(tmp_path.glob(".unfinished-*")) == [place]
    live.communicate(timeout=20)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "flights"]


def test_a_folder_that_is_being_made_is_not_taken_for_one_of_the_dead(
    tmp_path: Path,
) -> None:
    """Three hundred trainings begin and end while another command looks for the dead all the time."""
    code = "import sys\nfrom pathlib import Path\nfrom pipeline.registry.run_folder import working_folder\n"
    code += "for n in range(300):\n    with working_folder(Path(sys.argv[1]), 'a'):\n        pass"
    maker = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    while maker.poll() is None:
        assert abandoned(tmp_path, "a") == []
    assert maker.returncode == 0


def test_what_another_model_left_is_that_models_business(tmp_path: Path) -> None:
    mine, other = tmp_path / ".unfinished-flights-abcdefgh", tmp_path / ".unfinished-flights_minutes-abcdefgh"
    mine.mkdir()
    other.mkdir()
    assert abandoned(tmp_path, "flights") == [mine]
    assert abandoned(tmp_path, "flights_minutes") == [other]
    assert abandoned(tmp_path, "minutes") == []


def test_without_reports_there_is_nothing_to_tidy_up(tmp_path: Path) -> None:
    """Nothing is made there either."""
    assert abandoned(tmp_path / "reports", "flights") == []
    assert not (tmp_path / "reports").exists()


def test_a_whole_report_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """The old report had made room for it before the training was killed."""
    left = tmp_path / ".unfinished-a-abcdefgh"
    (left / "old-a" / "old").mkdir(parents=True)
    (left / "a" / "new").mkdir(parents=True)
    remove(left, "a")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [".lock", "a", "a/new"]


def test_half_a_report_is_removed_and_the_old_one_stays(tmp_path: Path) -> None:
    left = tmp_path / ".unfinished-a-abcdefgh"
    (left / "a" / "half").mkdir(parents=True)
    (tmp_path / "a" / "old").mkdir(parents=True)
    remove(left, "a")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [".lock", "a", "a/old"]
