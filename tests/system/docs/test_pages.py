"""The commands of README and docs/, page by page as they stand there, in a clone with a small model. It needs Docker.

A block that another suite runs, or nobody, says so in a comment before it: tests/support/commands.py has the rules.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.support import ROOT
from tests.support.commands import PAGES, Block, blocks, not_printed

SERVERS = re.compile(r"(\w+=\S+ )*(make serve|docker run)\b")
OURS = ("MAKEFLAGS", "MODEL_DIR", "MODEL", "IMAGE", "SUITE", "LOG_URL", "PORT")
FIRST = "make train MODEL=penguins"  # what a page without a model of its own stands on


class Shell:
    """Runs commands in the clone as a person would who has a second terminal for the server."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.port = free_port()
        self.server: subprocess.Popen[bytes] | None = None

    def run(self, command: str) -> str:
        """What a command prints that succeeds; a server is left running."""
        command = command.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}").replace("-p 8080:", f"-p {self.port}:")
        if SERVERS.match(command):
            return self.serve(command)
        ended = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, f"{command}\n{ended.stdout[-5000:]}"
        return ended.stdout

    def serve(self, command: str) -> str:
        self.stop()
        environment = {**self.environment, "PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        log = self.folder / "server.log"
        with log.open("wb") as output:
            self.server = subprocess.Popen(
                ["bash", "-c", f"exec {command}" if command.startswith("docker") else command],
                cwd=self.folder, env=environment, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        while not self.is_ready():
            assert self.server.poll() is None, f"{command}\n{log.read_text(errors='replace')[-5000:]}"
            Event().wait(0.1)
        return log.read_text(errors="replace")

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        if self.server is not None:
            os.killpg(self.server.pid, signal.SIGTERM)
            self.server.wait()
            self.server = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ours(name: str) -> list[Block]:
    return [block for block in blocks(name) if block.commands and not block.mark]


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is committed, with the Dockerfile of here: a machine that reaches no registry has changed the base image."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    shutil.copy(ROOT / "Dockerfile", folder)
    return folder


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A small model where a command names none, and the uv of here, which links packages that are there already."""
    tools = tmp_path_factory.mktemp("tools")
    (tools / "uv").symlink_to(ROOT / ".venv/bin/uv")
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return {**kept, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "MODEL": "penguins"}


@pytest.fixture
def shell(clone: Path, environment: dict[str, str]) -> Iterator[Shell]:
    opened = Shell(clone, environment)
    yield opened
    opened.stop()


@pytest.mark.parametrize("name", [name for name in PAGES if ours(name)])
def test_the_commands_of_a_page_do_what_it_shows(shell: Shell, name: str) -> None:
    """In their order. What is shown below a command was printed, but for numbers."""
    if not (shell.folder / "models/penguins/champion").exists():
        shell.run(FIRST)
    for block in ours(name):
        for command, printed in block.commands:
            output = shell.run(command)
            assert not_printed(printed, output) == [], f"{block.place}: {command} printed\n{output[-5000:]}"
