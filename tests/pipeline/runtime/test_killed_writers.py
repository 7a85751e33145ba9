"""Writers of bundles that are killed: what they leave is whole, and the next writer tidies up."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pipeline.runtime import bundle_store

FILES = {"bundle.json": b"{}", "model.onnx": b"model"}


WRITE_FOREVER = """
import sys
from pathlib import Path
from pipeline.runtime import bundle_store as store
target, n = Path(sys.argv[1]), 0
print("ready", flush=True)
while True:
    n += 1
    files = {"bundle.json": str(n).encode(), **{f"part{m}": bytes(2000) for m in range(20)}}
    store.point(target, store.write(target, files).name)
"""


def test_a_kill_of_a_writer_at_any_moment_leaves_a_whole_champion(tmp_path: Path) -> None:
    """The next writer tidies up."""
    for attempt in range(12):
        writer = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        deadline = time.monotonic() + 0.01 * attempt  # the moment differs from attempt to attempt
        while time.monotonic() < deadline or not (tmp_path / "champion").exists():
            pass
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        named = [path for path in tmp_path.iterdir() if bundle_store.DIGEST.fullmatch(path.name)]
        assert [bundle_store.damage(folder) for folder in named] == [None] * len(named)
        assert bundle_store.damage(bundle_store.resolve(tmp_path)) is None
    bundle_store.write(tmp_path, FILES)
    assert not list(tmp_path.glob(".unfinished-*"))


def test_a_writer_killed_while_it_replaces_a_bundle_loses_no_bundle(tmp_path: Path) -> None:
    """It puts one bundle in the place of another, and is killed at each of its renames in turn."""
    folder = bundle_store.write(tmp_path, FILES)
    code = """
import os, signal, sys
from pathlib import Path
from pipeline.runtime import bundle_store as store
left = int(sys.argv[2])
def count(event, arguments):
    global left
    if event != "os.rename" or not str(arguments[0]).startswith(sys.argv[1]):
        return
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
store.write(Path(sys.argv[1]), {"bundle.json": b"{}", "model.onnx": b"model", "record.json": b"new"})
"""
    for renames, killed in ((0, True), (1, True), (2, False)):
        ended = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(renames)], check=False)
        assert (ended.returncode == -signal.SIGKILL) is killed
        assert folder.exists() is (renames != 1)
        bundle_store.clear_unfinished(tmp_path)
        assert bundle_store.damage(folder) is None
    assert (folder / "record.json").read_bytes() == b"new"
