"""The script that sets everything up: what it refuses, and in which words. What it installs is seen by tests/system/setup."""

import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

SCRIPT, MACHINE = ROOT / "requirements/install.py", ROOT / "requirements/machine.py"


def test_an_older_python_is_refused_by_name(tmp_path: Path) -> None:
    pretend = f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); sys.version_info = (3, 9, 1); sys.argv = ['', 'serve']; exec(open({str(SCRIPT)!r}).read())"
    code = f"__file__ = {str(SCRIPT)!r}; {pretend}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 1
    assert "is Python 3.9, and 3.11 or newer is needed. Name another one: make PYTHON=python3.12" in ended.stderr


def test_the_script_is_plain_enough_for_an_old_python_to_read() -> None:
    text = "".join(path.read_text() for path in SCRIPT.parent.glob("*.py"))
    assert not re.search(r"\bf\"|match |:=|\) ->|: str", text)


def test_without_the_venv_module_it_says_what_to_install(tmp_path: Path) -> None:
    """A Python whose venv module fails, in a copy of the project without an environment."""
    project = tmp_path / "project"
    (project / "requirements").mkdir(parents=True)
    for script in SCRIPT.parent.glob("*.py"):
        shutil.copy(script, project / "requirements")
    for lock in ("build", "serve"):
        (project / f"requirements/{lock}.txt").touch()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "venv.py").write_text("raise SystemExit(1)")
    ended = subprocess.run(
        [sys.executable, str(project / "requirements/install.py"), "serve"],
        capture_output=True, text=True, check=False, env={"PATH": os.defpath, "PYTHONPATH": str(broken)},
    )  # fmt: skip
    assert ended.returncode == 1
    assert "apt install python3-venv" in ended.stderr
    assert not (project / ".venv").exists()


@pytest.mark.parametrize(
    ("python", "system", "machine", "release", "said"),
    [
        ((3, 11, 0), "Linux", "x86_64", ("glibc", "2.28"), None),
        ((3, 14, 2), "Linux", "aarch64", ("glibc", "2.41"), None),
        ((3, 13, 0), "Darwin", "arm64", "14.0", None),
        ((3, 10, 9), "Linux", "x86_64", ("glibc", "2.36"), "is Python 3.10, and 3.11 or newer is needed"),
        ((3, 15, 0), "Linux", "x86_64", ("glibc", "2.36"), "is Python 3.15, .*3.14 is the newest"),
        ((3, 13, 0), "Windows", "AMD64", "", "use WSL"),
        ((3, 13, 0), "Darwin", "x86_64", "14.0", "no package for Intel Macs"),
        ((3, 13, 0), "Darwin", "arm64", "13.6.1", "this is macOS 13.6.1, and onnxruntime needs 14"),
        ((3, 13, 0), "Linux", "ppc64le", ("glibc", "2.36"), "Linux on ppc64le"),
        ((3, 13, 0), "Linux", "x86_64", ("", ""), "no glibc"),
        ((3, 13, 0), "Linux", "x86_64", ("glibc", "2.27"), "glibc 2.27, and the packages need 2.28"),
    ],
)
def test_a_machine_that_cannot_run_it_is_told_why_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, python: Any, system: str, machine: str, release: Any, said: str | None
) -> None:
    unsupported = runpy.run_path(str(MACHINE))["unsupported"]
    monkeypatch.setattr(sys, "version_info", python)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "mac_ver", lambda: (release, ("", "", ""), machine))
    monkeypatch.setattr(platform, "libc_ver", lambda: release)
    found = unsupported("/home/me/project")
    assert (found is None) == (said is None)
    assert said is None or re.search(said, found)


def test_every_set_that_make_installs_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    sizes = runpy.run_path(str(SCRIPT), run_name="read")["SIZES"]
    named = set(re.findall(r"\.venv(?:-\w+)?/\.(\w+)", (ROOT / "Makefile").read_text())) - {"at"}
    assert named == set(sizes)


def test_a_path_in_which_no_environment_works_is_refused(tmp_path: Path) -> None:
    project = tmp_path / "cost $5"
    (project / "requirements").mkdir(parents=True)
    for script in SCRIPT.parent.glob("*.py"):
        shutil.copy(script, project / "requirements")
    command = [sys.executable, str(project / "requirements/install.py"), "serve"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "no environment can be made in a path that has" in ended.stderr
    assert not (project / ".venv").exists()
