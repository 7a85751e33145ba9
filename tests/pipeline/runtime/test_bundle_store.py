"""Bundles on disk: whole or not there, and one pointer."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from pipeline.errors import BundleError, ConfigError
from pipeline.runtime import bundle_store

FILES = {"bundle.json": b"{}", "model.onnx": b"model"}


def test_a_bundle_is_named_by_the_hash_of_its_manifest(tmp_path: Path) -> None:
    folder = bundle_store.write(tmp_path, FILES)
    assert folder.name == bundle_store.sha256(b"{}")[:16]
    assert bundle_store.damage(folder) is None
    assert {file.name for file in folder.iterdir()} == {"bundle.json", "model.onnx", "SHA256SUMS"}


def test_everybody_may_read_a_bundle_and_only_its_owner_writes(tmp_path: Path) -> None:
    """A server in a container is another user than the one that trained. The folders above are made where they lack."""
    store = tmp_path / "models/flights"
    folder = bundle_store.write(store, FILES)
    bundle_store.point(store, folder.name)
    assert oct(folder.stat().st_mode & 0o777) == "0o755"
    assert oct((store / "champion").stat().st_mode & 0o777) == "0o644"


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """The next one, with room on the disk, finds the store as it was."""
    with pytest.raises(ConfigError, match="no bundle can be written there: No such file or directory"):
        bundle_store.write(tmp_path, {**FILES, "no/such/folder": b""})
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    folder = bundle_store.write(tmp_path, FILES)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".lock", folder.name])


def test_a_failed_promotion_leaves_the_pointer_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "champion").mkdir()
    with pytest.raises(ConfigError, match="cannot be written: Is a directory. It is as it was before"):
        bundle_store.point(tmp_path, "0123456789abcdef")
    assert [path.name for path in tmp_path.iterdir()] == ["champion"]


def test_unfinished_files_lie_in_the_store_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename from another disk would not be one step. The folder for temporary files is not used, and need not exist."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    folder = bundle_store.write(tmp_path / "store", FILES)
    bundle_store.point(tmp_path / "store", folder.name)
    assert bundle_store.resolve(tmp_path / "store") == folder


class Killed(BaseException):
    """The end of a process, which no code handles."""


def test_a_pointer_that_a_killed_process_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: int) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "fsync", killed)
        bundle_store.point(tmp_path, "0123456789abcdef")
    assert bundle_store.clear_unfinished(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_pointer_whose_unfinished_file_is_gone_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody emptied the store meanwhile."""

    def remove_all(_: int) -> None:
        for path in tmp_path.iterdir():
            path.unlink()

    monkeypatch.setattr(os, "fsync", remove_all)
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory. It is as it was before"):
        bundle_store.point(tmp_path, "0123456789abcdef")


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
    bundle_store.write(tmp_path, {**FILES, "record.json": b"fourth"}, renew=True)
    assert (folders[0] / "record.json").read_bytes() == b"fourth"


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


def test_sums_that_are_no_ascii_text_have_been_changed(tmp_path: Path) -> None:
    folder = bundle_store.write(tmp_path, FILES)
    content = (folder / "SHA256SUMS").read_bytes()
    (folder / "SHA256SUMS").write_bytes(content.replace(b"model", b"mod\xe8l"))
    assert bundle_store.damage(folder) == "SHA256SUMS has been changed"


def test_a_link_to_the_very_same_content_is_no_file_of_a_bundle(tmp_path: Path) -> None:
    folder = bundle_store.write(tmp_path / "store", FILES)
    (folder / "model.onnx").rename(tmp_path / "model.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "model.onnx")
    assert bundle_store.damage(folder) == "model.onnx is a symbolic link, not a regular file"


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


def test_a_store_may_be_named_by_way_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    """As in `models/../models/flights`: one folder is then met twice."""
    bundle_store.make_folder(tmp_path / "models/../models/flights")
    assert (tmp_path / "models/flights").is_dir()


def test_a_store_without_a_champion_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model here yet. Run `make train`"):
        bundle_store.resolve(tmp_path / "nowhere")


@pytest.mark.parametrize("pointer", [b"", b"0123456789abcdef", b"../../etc", b"champion", b"\xff\xfe"])
def test_a_pointer_to_no_bundle_is_refused(tmp_path: Path, pointer: bytes) -> None:
    (tmp_path / "champion").write_bytes(pointer)
    with pytest.raises(BundleError, match="which is no bundle"):
        bundle_store.resolve(tmp_path)


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
