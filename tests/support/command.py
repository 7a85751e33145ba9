"""Commands: as a process of their own, and how one ended within the test's, for the fixture `command`."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

from tests.support import ROOT


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    stdout: str
    stderr: str


Command = Callable[..., Ended]


def pipeline(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        capture_output=True, text=True, cwd=ROOT, check=False, env={**os.environ, **environment},
    )  # fmt: skip
