"""A store can be read by the server's user, whatever the umask of the user who trains."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.registry import promotion
from pipeline.runtime import bundle_store, rolling_features
from tests.support.toy import Toy

FILES = {"bundle.json": b"{}", "model.onnx": b"model"}


@pytest.fixture(autouse=True)
def _private_umask() -> Iterator[None]:
    """What its owner creates, nobody else can read."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def unreadable(home: Path) -> list[str]:
    """The files below a folder that are not 0644 and the folders that are not 0755, except lock files."""
    found = []
    for path in sorted([home, *home.rglob("*")]):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.name != ".lock" and mode != (0o755 if path.is_dir() else 0o644):
            found.append(f"{path.relative_to(home.parent)} {mode:o}")
    return found


def test_a_bundle_the_pointer_and_refreshed_state_are_readable(tmp_path: Path) -> None:
    store = tmp_path / "models" / "parcels"
    folder = bundle_store.write(store, FILES)
    bundle_store.point(store, folder.name)
    with bundle_store.locked(store):
        bundle_store.replace(store / rolling_features.FILE, b"{}")
    assert unreadable(tmp_path / "models") == []


def test_what_a_training_and_a_promotion_write_is_readable(toy: Toy) -> None:
    """The reports are not: they may show rows of the data."""
    config = toy.config()
    assert toy.train().bundle is not None
    assert unreadable(promotion.home(config).parent) == []
    assert stat.S_IMODE((toy.folder / "reports").stat().st_mode) == 0o700


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir(mode=0o750)
    (tmp_path / "models").chmod(0o750)
    bundle_store.write(tmp_path / "models" / "parcels", FILES)
    assert stat.S_IMODE((tmp_path / "models").stat().st_mode) == 0o750


def test_a_file_in_place_of_the_store_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    with pytest.raises(OSError, match="File exists"):
        bundle_store.make_folder(tmp_path / "models")
