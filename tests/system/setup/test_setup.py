"""Set up as somebody else would: the oldest pip, a strange path, a cut-off network, a kill, a move."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from install import SIZES

from tests.support.parcels import CONFIG
from tests.support.parcels import make as make_parcels

ROOT = Path(__file__).parent.parent.parent.parent
# What came with the first release of each Python: an older one does not run on a newer Python at all.
OLDEST_PIP = {(3, 11): "22.3", (3, 12): "23.2.1", (3, 13): "24.2"}.get(sys.version_info[:2], "25.2")
# What a hosted runner sets, and a person far away.
FOREIGN = {"GITHUB_ACTIONS": "true", "CI": "true", "TZ": "Asia/Kolkata", "LC_ALL": "C", "FORCE_COLOR": "1"}
NETWORK = ("PIP_", "UV_", "SSL_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# Those that start processes, write files or read the environment.
FOREIGN_TESTS = (
    "tests/pipeline/test_main.py tests/serve/test_serve.py "
    "tests/project/test_ci.py tests/project/test_challenge.py tests/project/test_locks.py"
)


def clone(folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An empty home, no settings but those of the network, and no uv."""
    network = {name: value for name, value in os.environ.items() if name.startswith(NETWORK)}
    uv = shutil.which("uv")
    path = [p for p in os.environ["PATH"].split(os.pathsep) if not (uv and Path(p) == Path(uv).parent)]
    return {**network, "PATH": os.pathsep.join(path), "HOME": str(tmp_path_factory.mktemp("home")), **FOREIGN}


def make(folder: Path, environment: dict[str, str], *words: str) -> str:
    """What a target that succeeds prints."""
    ended = subprocess.run(
        ["make", f"PYTHON={sys.executable}", *words],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-5000:]
    return ended.stdout


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A clone in a path with blanks and an umlaut, whose environment has the oldest pip."""
    folder = clone(tmp_path_factory.mktemp("far") / "a földer of mine")
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    pip = [folder / ".venv/bin/python", "-m", "pip", "install", "--quiet", f"pip=={OLDEST_PIP}"]
    subprocess.run(pip, check=True, env=environment)
    return folder


def test_the_oldest_pip_sets_up_the_server_and_then_everything(away: Path, environment: dict[str, str]) -> None:
    make(away, environment, ".venv/.serve")
    helped = subprocess.run([away / ".venv/bin/serve", "--help"], capture_output=True, text=True, check=True)
    assert "MODEL_DIR" in helped.stdout
    make(away, environment, ".venv/.dev")
    version = subprocess.run([away / ".venv/bin/python", "-m", "pip", "--version"], capture_output=True, text=True)
    assert version.stdout.startswith(f"pip {OLDEST_PIP} ")


def test_what_it_says_of_sizes_is_so(away: Path) -> None:
    """Within a quarter: another Python has other wheels, and a release here and there is larger than the last."""
    log = (away / ".venv/install.log").read_text(errors="replace")
    units = {"kB": 1e-3, "MB": 1}
    loaded = sum(float(n) * units[unit] for n, unit in re.findall(r"Downloading \S+ \(([\d.]+) (kB|MB)\)", log))
    loaded += sum(float(n) * units[unit] for n, unit in re.findall(r"Using cached \S+ \(([\d.]+) (kB|MB)\)", log))
    local = [Path(name) for name in re.findall(r"^Processing (/\S+\.(?:whl|gz))", log, re.MULTILINE)]
    loaded += sum(path.stat().st_size / 1e6 for path in local)
    used = int(
        subprocess.run(["du", "-sm", away / ".venv"], capture_output=True, text=True, check=True).stdout.split()[0]
    )
    download, disk = SIZES["dev"]
    assert (loaded, used) == (pytest.approx(download, rel=0.25), pytest.approx(disk, rel=0.25))


def test_lint_and_tests_are_green_in_a_foreign_environment(away: Path, environment: dict[str, str]) -> None:
    make(away, environment, "lint")
    assert " passed" in make(away, environment, "test", f"ONLY={FOREIGN_TESTS}")


def test_a_moved_folder_goes_on_where_it_is(away: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """The environment is made anew, this time by uv; MLflow's record is followed; the champion serves."""
    config = CONFIG.read_text(encoding="utf-8").replace("data: {", "data: {path: ../data/parcels.csv, ")
    (away / "configs/parcels.yaml").write_text(config, encoding="utf-8")
    (away / "data").mkdir(exist_ok=True)
    make_parcels(away / "data/parcels.csv")

    make(away, environment, "train", "MODEL=parcels")
    shutil.copy(away / ".venv/bin/uv", tmp_path)
    moved = away.rename(away.with_name("moved hier"))
    with_uv = {**environment, "PATH": f"{tmp_path}{os.pathsep}{environment['PATH']}"}
    said = make(moved, with_uv, "history", "MODEL=parcels")
    assert "Making .venv anew: the folder was moved" in said
    assert (
        f"Repaired: MLflow's record looked for its files in {away}/mlruns; it finds them in {moved}/mlruns now" in said
    )
    assert '"probability"' in make(moved, with_uv, "try", "MODEL=parcels")
    assert not away.exists()


def test_a_setup_that_was_killed_is_begun_anew_by_the_next(tmp_path: Path, environment: dict[str, str]) -> None:
    """Of the next two set-ups, one begins anew and the other waits."""
    folder = clone(tmp_path / "killed")
    command = ["make", f"PYTHON={sys.executable}", ".venv-checks/.checks"]
    first = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    log, wait = folder / ".venv-checks/install.log", threading.Event()
    while not (log.exists() and b"Collecting" in log.read_bytes()):
        assert first.poll() is None
        wait.wait(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()

    both = [subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("Making .venv-checks anew: its set-up was cut short" in each for each in said) == 1
    assert sum("Waiting for another set-up of .venv-checks" in each for each in said) == 1
    subprocess.run([folder / ".venv-checks/bin/zizmor", "--version"], check=True, capture_output=True)
