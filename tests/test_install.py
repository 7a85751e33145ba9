"""The script that sets everything up: what it refuses, in which words, and what it tries again."""

import hashlib
import io
import os
import platform
import re
import runpy
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
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
    unsupported = runpy.run_path(str(SCRIPT), run_name="read")["unsupported"]
    monkeypatch.setattr(sys, "version_info", python)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "mac_ver", lambda: (release, ("", "", ""), machine))
    monkeypatch.setattr(platform, "libc_ver", lambda: release)
    found = unsupported()
    assert (found is None) == (said is None)
    assert said is None or re.search(said, found)


def test_every_set_that_make_installs_has_a_size() -> None:
    sizes = runpy.run_path(str(SCRIPT), run_name="read")["SIZES"]
    named = set(re.findall(r"\.venv(?:-\w+)?/\.(\w+)", (ROOT / "Makefile").read_text())) - {"at"}
    assert named == set(sizes)


def wheel() -> bytes:
    """The smallest package that pip installs."""
    about = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
    parts = {
        "tiny.py": "",
        "tiny-1.0.dist-info/METADATA": about,
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        listed = "".join(f"{name},,\n" for name in [*parts, "tiny-1.0.dist-info/RECORD"])
        archive.writestr("tiny-1.0.dist-info/RECORD", listed)
    return packed.getvalue()


@contextmanager
def index(broken: int) -> Iterator[str]:
    """A package index of one package, which cuts the connection of the first requests."""
    package, left = wheel(), [broken]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if left[0]:
                left[0] -= 1
                self.connection.close()
                return
            page = f'<a href="tiny-1.0-py3-none-any.whl#sha256={hashlib.sha256(package).hexdigest()}">tiny</a>'.encode()
            content, kind = (package, "application/zip") if self.path.endswith(".whl") else (page, "text/html")
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *given: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def test_a_network_that_failed_is_tried_again_and_anything_else_is_not(tmp_path: Path) -> None:
    locks = tmp_path / "requirements"
    locks.mkdir()
    (locks / "install.py").write_text(SCRIPT.read_text())
    (tmp_path / "pyproject.toml").touch()
    lock, digest = locks / "checks.txt", hashlib.sha256(wheel()).hexdigest()

    def installed(address: str) -> "subprocess.CompletedProcess[str]":
        quiet = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1", "NO_PROXY": "*"}
        environment = {"PATH": os.defpath, "HOME": str(tmp_path), "PIP_INDEX_URL": address, **quiet}
        command = [sys.executable, str(locks / "install.py"), "checks"]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    with index(broken=1) as address:
        lock.write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
        ended = installed(address)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "the network failed; trying again in 2 s" in ended.stdout
        assert re.search(r"Setting up .*/\.venv-checks \(once\): about \d+ MB to download", ended.stdout)
        assert (tmp_path / ".venv-checks/.checks").exists()
        assert installed(address).stdout == ""

        lock.write_text(f"tiny==2.0 --hash=sha256:{digest}\n")
        ended = installed(address)
        assert ended.returncode == 1
        assert "trying again" not in ended.stdout
        assert "No matching distribution found for tiny==2.0" in ended.stderr
        assert "the packages could not be installed; the lines above say why" in ended.stderr
