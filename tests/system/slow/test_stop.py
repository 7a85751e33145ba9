"""A server that is told to stop while it starts stops, wherever in its start the signal finds it."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support import ROOT
from tests.support.parcels import Parcels

# The signal comes inside a finalizer, where an exception that its handler raised would be lost.
STOPPED = """
import importlib, signal

class Signal:
    def __del__(self):
        signal.raise_signal(signal.{signal})

def first(*given, **more):
    Signal()
    return honest(*given, **more)

owner = importlib.import_module("{module}")
for part in "{owner}".split("."):
    owner = getattr(owner, part) if part else owner
honest = owner.{name}
owner.{name} = first

from serve.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("number", "module", "owner", "name", "code"),
    [
        ("SIGTERM", "pipeline.runtime.predictor", "", "load", 0),
        ("SIGTERM", "serve.__main__", "", "greeting", 0),
        ("SIGTERM", "uvicorn", "Server", "run", 0),
        ("SIGTERM", "uvicorn", "Server", "startup", 0),
        ("SIGINT", "pipeline.runtime.predictor", "", "load", 130),
        ("SIGINT", "uvicorn", "Server", "run", 0),
    ],
)
def test_a_server_told_to_stop_while_it_starts_stops(
    parcels: Parcels, number: str, module: str, owner: str, name: str, code: int
) -> None:
    program = STOPPED.format(module=module, owner=owner, name=name, signal=number)
    environment = {**os.environ, "MODEL_DIR": str(parcels.store), "PORT": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        timeout=20,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (ended.returncode, ended.stderr) == (code, "")


def test_a_running_server_ends_without_a_traceback_on_either_signal(parcels: Parcels) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(
            [sys.executable, "-m", "serve"], env={**os.environ, "MODEL_DIR": str(parcels.store), "PORT": "0"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert process.stdout is not None
        assert any(line.startswith("curl ") for line in process.stdout)
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
        assert (process.returncode, said) == (0, "")
