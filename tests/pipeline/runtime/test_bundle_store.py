"""Bundles on disk: whole or not there, and one pointer."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.errors import BundleError
from pipeline.runtime import bundle_store

FILES = {"bundle.json": b"{}", "model.onnx": b"model"}


def test_a_bundle_is_named_by_the_hash_of_its_manifest(tmp_path: Path) -> None:
    folder = bundle_store.write(tmp_path, FILES)
    assert folder.name == bundle_store.sha256(b"{}")[:16]
    assert bundle_store.damage(folder) is None
    assert {file.name for file in folder.iterdir()} == {"bundle.json", "model.onnx", "SHA256SUMS"}


def test_the_sums_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    folder = bundle_store.write(tmp_path, FILES)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)


def test_a_champion_that_is_written_again_is_left_as_it_is(tmp_path: Path) -> None:
    """Any other bundle that is written again gets the newer record."""
    folders = [bundle_store.write(tmp_path, {**FILES, "record.json": content}) for content in (b"first", b"second")]
    assert folders[0] == folders[1]
    assert (folders[0] / "record.json").read_bytes() == b"second"
    bundle_store.point(tmp_path, folders[0].name)
    bundle_store.write(tmp_path, {**FILES, "record.json": b"third"})
    assert (folders[0] / "record.json").read_bytes() == b"second"


def test_a_damaged_bundle_is_written_anew(tmp_path: Path) -> None:
    folder = bundle_store.write(tmp_path, FILES)
    (folder / "model.onnx").write_bytes(b"other")
    assert bundle_store.damage(bundle_store.write(tmp_path, FILES)) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".lock", folder.name])


@pytest.mark.parametrize("name", [*FILES, "SHA256SUMS"])
def test_one_changed_byte_in_any_file_is_found(tmp_path: Path, name: str) -> None:
    folder = bundle_store.write(tmp_path, FILES)
    content = (folder / name).read_bytes()
    for at in range(len(content)):
        (folder / name).write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert bundle_store.damage(folder) is not None
    (folder / name).write_bytes(content)
    assert bundle_store.damage(folder) is None


@pytest.mark.parametrize("name", [*FILES, "SHA256SUMS"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = bundle_store.write(tmp_path, FILES)
    (folder / name).unlink()
    assert bundle_store.damage(folder) == f"{name} is missing"


def test_sums_that_point_outside_the_bundle_are_refused(tmp_path: Path) -> None:
    """Sums that leave the manifest out are refused too."""
    folder = bundle_store.write(tmp_path, FILES)
    sums = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(sums + f"{'0' * 64}  ../../secret\n")
    assert "is no file of a bundle" in str(bundle_store.damage(folder))
    (folder / "SHA256SUMS").write_text(sums.splitlines()[1] + "\n")
    assert "does not list bundle.json" in str(bundle_store.damage(folder))


def test_a_file_that_is_not_listed_is_no_part_of_a_bundle(tmp_path: Path) -> None:
    folder = bundle_store.write(tmp_path, FILES)
    (folder / "extra.json").touch()
    assert "SHA256SUMS does not list extra.json" in str(bundle_store.damage(folder))


def test_a_place_that_is_no_folder_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="cannot be read as a store of bundles: Not a directory"):
        bundle_store.resolve(tmp_path / "file")


def test_promotion_moves_the_pointer_and_nothing_else(tmp_path: Path) -> None:
    old, new = (bundle_store.write(tmp_path, {**FILES, "bundle.json": content}) for content in (b"old", b"new"))
    bundle_store.point(tmp_path, old.name)
    assert bundle_store.resolve(tmp_path) == old
    bundle_store.point(tmp_path, new.name)
    assert bundle_store.resolve(tmp_path) == new
    assert (tmp_path / "champion").read_text() == f"{new.name}\n"


def test_a_path_may_be_a_store_or_a_bundle_itself(tmp_path: Path) -> None:
    folder = bundle_store.write(tmp_path, FILES)
    assert bundle_store.resolve(folder) == folder


def test_a_store_without_a_champion_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model here yet. Run `make train`"):
        bundle_store.resolve(tmp_path / "nowhere")


@pytest.mark.parametrize("pointer", ["", "0123456789abcdef", "../../etc", "champion"])
def test_a_pointer_to_no_bundle_is_refused(tmp_path: Path, pointer: str) -> None:
    (tmp_path / "champion").write_text(pointer)
    with pytest.raises(BundleError, match="which is no bundle"):
        bundle_store.resolve(tmp_path)


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


def test_the_files_that_killed_writers_left_are_removed_and_counted(tmp_path: Path) -> None:
    """They lie in the store and in its folders."""
    folder = bundle_store.write(tmp_path, FILES)
    (tmp_path / ".unfinished-abcdefgh").mkdir()
    (tmp_path / ".unfinished-abcdefgh/model.onnx").touch()
    (tmp_path / ".unfinished-hgfedcba").touch()
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers/.unfinished-abcdefgh").touch()
    (tmp_path / "answers/kept.npy").touch()
    assert bundle_store.clear_unfinished(tmp_path) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".lock", folder.name, "answers"])
    assert [path.name for path in (tmp_path / "answers").iterdir()] == ["kept.npy"]
    assert bundle_store.clear_unfinished(tmp_path) == 0


def test_a_bundle_that_was_set_aside_for_one_that_never_came_is_put_back(tmp_path: Path) -> None:
    folder = bundle_store.write(tmp_path, FILES)
    aside = folder.rename(tmp_path / f".unfinished-{folder.name}")
    bundle_store.clear_unfinished(tmp_path)
    assert bundle_store.damage(folder) is None
    shutil.copytree(folder, aside)
    bundle_store.clear_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".lock", folder.name])


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
