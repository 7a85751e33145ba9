"""Set-up against an index of our own: a network that fails, an environment that is moved, broken or somebody else's."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parent.parent.parent.parent


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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one set, which needs one package."""
    (tmp_path / "requirements").mkdir()
    for script in (ROOT / "requirements").glob("*.py"):
        shutil.copy(script, tmp_path / "requirements")
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def installed(project: Path, address: str, version: str = "1.0") -> "subprocess.CompletedProcess[str]":
    digest = hashlib.sha256(wheel()).hexdigest()
    (project / "requirements/checks.txt").write_text(f"tiny=={version} --hash=sha256:{digest}\n")
    quiet = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1", "NO_PROXY": "*"}
    return subprocess.run(
        [sys.executable, str(project / "requirements/install.py"), "checks"],
        env={"PATH": os.defpath, "HOME": str(project), "PIP_INDEX_URL": address, **quiet},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_network_that_failed_is_tried_again_and_anything_else_is_not(project: Path) -> None:
    """An environment that was whole before stays so when something is added in vain."""
    with index(broken=1) as address:
        ended = installed(project, address)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "the network failed; trying again in 2 s" in ended.stdout
        assert re.search(r"Setting up .*/\.venv-checks: 1 packages, about \d+ MB to download", ended.stdout)
        assert (project / ".venv-checks/.checks").exists()

        ended = installed(project, address, "2.0")
        assert ended.returncode == 1
        assert "trying again" not in ended.stdout
        assert "No matching distribution found for tiny==2.0" in ended.stderr
        assert "the packages could not be installed; the lines above say why" in ended.stderr

        assert "Adding requirements/checks.txt to .venv-checks" in installed(project, address).stdout
        moved = project.rename(project.with_name("moved"))
        assert "Making .venv-checks anew: the folder was moved" in installed(moved, address).stdout


def test_an_environment_that_somebody_made_is_gone_on_with(project: Path) -> None:
    """One without pip is made anew: it is what a set-up that was killed leaves, or one that uv made."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv-checks"], check=True)
    (project / ".venv-checks/mine").touch()
    with index(broken=0) as address:
        assert "Making .venv-checks anew: it has no pip" in installed(project, address).stdout
        assert not (project / ".venv-checks/mine").exists()
        (project / ".venv-checks/.at").unlink()
        (project / ".venv-checks/mine").touch()
        assert "Adding requirements/checks.txt" in installed(project, address).stdout
        assert (project / ".venv-checks/mine").exists()

        (project / ".venv-checks").rename(project / "elsewhere")
        (project / ".venv-checks").symlink_to("elsewhere")
        (project / "elsewhere/bin/python").unlink()
        (project / "elsewhere/.checks").unlink()
        assert "Making .venv-checks anew: its Python is gone" in installed(project, address).stdout
        assert (project / "elsewhere/mine").exists()
