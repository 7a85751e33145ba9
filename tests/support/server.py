"""Real servers, in processes of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import ROOT

if TYPE_CHECKING:
    import httpx2


@contextmanager
def serving(
    model_dir: Path, cwd: Path = ROOT, open_files: tuple[int, int] | None = None, **settings: str
) -> "Iterator[httpx2.Client]":
    """A client of a real server in a process of its own, on a port that the system chose."""
    with serving_process(model_dir, cwd, open_files, **settings) as (client, _):
        yield client


@contextmanager
def serving_process(
    model_dir: Path, cwd: Path = ROOT, open_files: tuple[int, int] | None = None, **settings: str
) -> "Iterator[tuple[httpx2.Client, subprocess.Popen[str]]]":
    """The client of `serving`, and the server's process.

    `open_files` are the server's soft and hard limit of open files, where they are to be others than the tests' own.
    """
    import httpx2

    command = [sys.executable, "-m", "serve"]
    if open_files:
        soft, hard = open_files
        command = ["sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh", *command]

    environment = {**os.environ, "MODEL_DIR": str(model_dir), "PORT": "0", "HOST": "127.0.0.1", **settings}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=cwd)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        address = next(word for word in lines[1].split() if word.startswith("http://"))
        with httpx2.Client(base_url=address, timeout=10) as client:
            yield client, process
    finally:
        process.terminate()
        process.wait(timeout=20)


def started(model_dir: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`serve` where it is expected not to start."""
    given = {**os.environ, "MODEL_DIR": str(model_dir), "PORT": "0", **environment}
    return subprocess.run(
        [sys.executable, "-m", "serve"], env=given, capture_output=True, text=True, timeout=30, cwd=ROOT, check=False
    )


def wait_for(client: Any, line: str) -> None:
    deadline = time.monotonic() + 20
    while line not in client.get("/metrics").text:
        assert time.monotonic() < deadline, line


def other_bundle(bundle: Path, place: Path) -> Path:
    """The same model under another threshold, and so another digest."""
    from pipeline.runtime import bundle_store

    files = {path.name: path.read_bytes() for path in bundle.iterdir() if path.name != bundle_store.SUMS}
    manifest = json.loads(files["bundle.json"])
    manifest["threshold"] = 0.5
    files["bundle.json"] = json.dumps(manifest).encode()
    return bundle_store.write(place, files)
