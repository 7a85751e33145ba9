"""The script that sets everything up: it refuses an older Python by name, and says what is missing."""

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

SCRIPT = ROOT / "requirements" / "install.py"


def test_an_older_python_is_refused_by_name(tmp_path: Path) -> None:
    pretend = f"import sys; sys.version_info = (3, 9, 1); sys.argv = ['', 'serve']; exec(open({str(SCRIPT)!r}).read())"
    code = f"__file__ = {str(SCRIPT)!r}; {pretend}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 1
    assert "is Python 3.9, and 3.11 or newer is needed. Name another one: make PYTHON=python3.12" in ended.stderr


def test_the_script_is_plain_enough_for_an_old_python_to_read() -> None:
    text = SCRIPT.read_text()
    assert not re.search(r"\bf\"|match |:=|\) ->|: str", text)


def test_without_the_venv_module_it_says_what_to_install(tmp_path: Path) -> None:
    """A Python whose venv module fails, in a copy of the project without an environment."""
    project = tmp_path / "project"
    (project / "requirements").mkdir(parents=True)
    (project / "requirements/install.py").write_text(SCRIPT.read_text())
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


def test_an_environment_without_pip_is_made_anew_where_there_is_no_uv(tmp_path: Path) -> None:
    """What a set-up that was killed leaves, or one that uv made: pip could not go on with it."""
    project = tmp_path / "project"
    (project / "requirements").mkdir(parents=True)
    (project / "requirements/install.py").write_text(SCRIPT.read_text())
    (project / "requirements/build.txt").write_text("no-such-package==1.0 --hash=sha256:00\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True)
    command = [sys.executable, str(project / "requirements/install.py"), "serve"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.defpath})
    assert "the packages could not be installed" in ended.stderr
    assert (project / ".venv/bin/pip").exists()
