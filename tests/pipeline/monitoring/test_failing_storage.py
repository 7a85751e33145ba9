"""A full disk, a dead database, a broken log: a documented exit code and one sentence, and nothing half-written.

A limit on the size of files stands in for a full disk: the system refuses the same writes.
"""

import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runtime import bundle_store, prediction_log
from tests.support import ROOT
from tests.support.command import Command
from tests.support.parcels import CONFIG, Parcels, settings
from tests.support.toy import Toy

COMMANDS = ("monitor", "refresh", "skew")


ROOM = 700_000  # bytes of a file; a new database of MLflow has fewer, and so has what coverage writes at the end


def full_disk() -> None:
    """No file can grow beyond ROOM from now on."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def words(parcels: Parcels, tmp_path: Path) -> list[str]:
    """The arguments of a command on a copy of the parcels' store."""
    shutil.copytree(parcels.store, tmp_path / "models/parcels")
    key = "data.key=[carrier, depot, city, sent, weight]"
    return [f"--set={override}" for override in [*settings(parcels.folder), f"paths.models={tmp_path}/models",
                                                 f"paths.reports={tmp_path}/reports", key]]  # fmt: skip


WRITE = """
import sys
from pathlib import Path
from pipeline.errors import PipelineError
from pipeline.runtime import bundle_store as store
try:
    store.write(Path(sys.argv[1]), {"bundle.json": b"new", "model.onnx": bytes(1_000_000)})
except PipelineError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_bundle_that_has_no_room_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    folder = bundle_store.write(tmp_path, {"bundle.json": b"{}", "model.onnx": b"model"})
    bundle_store.point(tmp_path, folder.name)
    before = files(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path)], preexec_fn=full_disk, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, "")
    assert ended.stdout.startswith(f"{tmp_path}: no bundle can be written there: File too large. Nothing was changed")
    assert files(tmp_path) == before


def test_a_training_without_room_ends_with_one_sentence(toy: Toy) -> None:
    """MLflow's database has no room at the end of the training."""
    toy.config()
    sets = [f"--set={override}" for override in [*toy.overrides, f"paths.models={toy.folder}/models",
            f"paths.reports={toy.folder}/reports", f"paths.tracking=sqlite:///{toy.folder}/mlflow.db"]]  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", "train", f"{toy.folder}/toy.yaml", *sets],
        preexec_fn=full_disk,
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "mlflow.db cannot be used: (sqlite3.OperationalError) disk I/O error" in errors[0]
    assert bundle_store.pointer(toy.folder / "models/tiny") is None
    assert not list(toy.folder.glob("*/.unfinished-*"))


@pytest.mark.parametrize("name", [*COMMANDS, "log prune"])
def test_a_log_that_is_no_database_is_named(command: Command, words: list[str], tmp_path: Path, name: str) -> None:
    (tmp_path / "log.db").write_bytes(b"no database" * 1000)
    before = files(tmp_path / "models")
    days = ["--days=3"] if name == "log prune" else []
    ended = command(*name.split(), str(CONFIG), *words, *days, f"--log-url=sqlite:///{tmp_path}/log.db")
    assert ended.code == 3
    assert f"{tmp_path}/log.db: is no prediction log, or a broken one: file is not a database" in ended.stderr
    assert files(tmp_path / "models") == before


@pytest.mark.parametrize("name", COMMANDS)
def test_a_log_with_broken_pages_is_named(command: Command, words: list[str], tmp_path: Path, name: str) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    fill(url)
    content = bytearray((tmp_path / "log.db").read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    (tmp_path / "log.db").write_bytes(content)
    ended = command(name, str(CONFIG), *words, f"--log-url={url}")
    assert ended.code == 3
    assert "is no prediction log, or a broken one: database disk image is malformed" in ended.stderr


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("inputs", ["{half", "[" * 100_000, "5", '{"weight": "heavy", "sent": "never"}'])
def test_a_row_that_cannot_be_read_is_named(
    command: Command, words: list[str], tmp_path: Path, name: str, inputs: str
) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    fill(url, inputs=inputs)
    ended = command(name, str(CONFIG), *words, "--set=monitor.min_rows=20", f"--log-url={url}")
    assert ended.code == 3, ended.stderr
    assert ended.stderr.startswith("error: prediction log: ")
    assert not (tmp_path / "models/parcels/rolling_features.json").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_time_that_is_none_is_named(command: Command, words: list[str], tmp_path: Path, name: str) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    fill(url)
    with sqlite3.connect(tmp_path / "log.db") as connection:
        connection.execute("UPDATE predictions SET at = '2013-12-31 25:61'")
    ended = command(name, str(CONFIG), *words, f"--log-url={url}")
    assert (ended.code, ended.stderr.count("\n")) == (3, 1)
    assert "has a row that cannot be read" in ended.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_database_that_is_not_there_is_named_without_its_password(
    command: Command, words: list[str], name: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        ended = command(name, str(CONFIG), *words, f"--log-url=postgresql://me:secret@127.0.0.1:{port}/log")
    assert ended.code == 2
    assert "the prediction log cannot be used" in ended.stderr
    assert "secret" not in ended.stderr
    assert ended.stderr.count("\n") == 1


def fill(url: str, inputs: str = "{}") -> None:
    """A hundred labelled predictions."""
    engine = prediction_log.connect(url)
    now = prediction_log.now()
    row = {"time": now, "at": now, "model": "parcels", "version": "v", "inputs": inputs, "answer": 0.5}
    prediction_log.write(engine, [{**row, "request_id": "a", "row": number} for number in range(100)])
    prediction_log.store_labels(engine, [("a", number, 1.0) for number in range(100)], now)
    engine.dispose()
