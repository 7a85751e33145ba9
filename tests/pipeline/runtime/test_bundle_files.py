"""Only the listed, regular files are a bundle: a bundle with anything else in its folder is not used."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from pipeline.errors import BundleError
from pipeline.registry import promotion
from pipeline.runtime import bundle_store, predictor, signature
from tests.support.parcels import Parcels
from tests.support.server import serving, started
from tests.support.signing import Keys

FILES = {"bundle.json": b"{}", "model.onnx": b"model"}


@pytest.fixture
def copy(parcels: Parcels, tmp_path: Path) -> Path:
    return Path(shutil.copytree(parcels.bundle, tmp_path / "store" / parcels.bundle.name))


def add_dotfile(folder: Path) -> None:
    (folder / ".DS_Store").touch()


def add_file(folder: Path) -> None:
    (folder / "notes.txt").touch()


def add_folder(folder: Path) -> None:
    (folder / "more").mkdir()


def add_link(folder: Path) -> None:
    (folder / ".x.png").symlink_to("/proc/self/environ")


@pytest.mark.parametrize(
    ("add", "name"),
    [(add_dotfile, ".DS_Store"), (add_file, "notes.txt"), (add_folder, "more"), (add_link, ".x.png")],
)
def test_an_entry_that_is_not_listed_refuses_the_bundle(copy: Path, add: object, name: str) -> None:
    assert callable(add)
    add(copy)
    with pytest.raises(BundleError, match=f"SHA256SUMS does not list {name}, and a bundle has no other files"):
        predictor.load(copy)


def test_a_listed_file_that_is_a_link_refuses_the_bundle(copy: Path, tmp_path: Path) -> None:
    """Even if the link leads to the very same content: it may lead elsewhere at any time."""
    (copy / "model.onnx").rename(tmp_path / "model.onnx")
    (copy / "model.onnx").symlink_to(tmp_path / "model.onnx")
    with pytest.raises(BundleError, match="model.onnx is a symbolic link, not a regular file"):
        predictor.load(copy)


def test_a_link_in_place_of_the_sums_refuses_the_bundle(copy: Path, tmp_path: Path) -> None:
    (copy / "SHA256SUMS").rename(tmp_path / "sums")
    (copy / "SHA256SUMS").symlink_to(tmp_path / "sums")
    with pytest.raises(BundleError, match="SHA256SUMS is a symbolic link"):
        predictor.load(copy)


def test_a_pipe_or_a_socket_in_a_bundle_is_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket is bound from inside the folder, since its name may have 107 bytes."""
    folder = bundle_store.write(tmp_path, FILES)
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    assert bundle_store.damage(folder) == "model.onnx is a pipe, not a regular file"

    (folder / "model.onnx").unlink()
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("model.onnx")
        assert bundle_store.damage(folder) == "model.onnx is a socket, not a regular file"


def test_a_device_among_the_signed_files_is_not_read(tmp_path: Path) -> None:
    """/dev/zero has no end. A signature is checked by itself with `make verify`, before SHA256SUMS is."""
    keys = Keys(tmp_path)
    folder = bundle_store.write(tmp_path / "store", FILES)
    keys.sign(folder)
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to("/dev/zero")
    with pytest.raises(BundleError, match="model.onnx is a symbolic link, not a regular file: it was changed"):
        signature.verify(folder, keys.public)


def test_serve_and_promote_refuse_a_bundle_with_a_link(parcels: Parcels, copy: Path) -> None:
    add_link(copy)
    ended = started(copy)
    assert ended.returncode == 3
    assert "does not list .x.png" in ended.stderr
    assert "Traceback" not in ended.stderr

    config = parcels.config.model_copy(
        update={"paths": parcels.config.paths.model_copy(update={"models": str(copy.parent.parent)})}
    )
    named = copy.parent.rename(copy.parent.parent / config.name)
    with pytest.raises(BundleError, match=r"does not list \.x\.png"):
        promotion.promote(config, copy.name, instead_of=None, why="a test")
    assert bundle_store.pointer(named) is None


def test_a_report_that_is_replaced_later_is_served_as_it_was_checked(copy: Path) -> None:
    """By a link to the server's environment, after the bundle was loaded."""
    report = (copy / "report.html").read_bytes()
    with serving(copy) as client:
        (copy / "report.html").unlink()
        (copy / "report.html").symlink_to("/proc/self/environ")
        assert client.get("/model/report").raise_for_status().content == report


def test_a_bundle_of_an_older_version_is_loaded_and_served(parcels: Parcels, tmp_path: Path) -> None:
    """It has pictures, which are no addresses any more, and its record has other names."""
    files = {path.name: path.read_bytes() for path in parcels.bundle.iterdir() if path.name != "SHA256SUMS"}
    record = files["record.json"].replace(b'"train_rows"', b'"judged_fit"').replace(b'"holdout_rows"', b'"judged_on"')
    assert b'"judged_on"' in record
    older = bundle_store.write(tmp_path, {**files, "record.json": record, "roc.png": b"\x89PNG"})

    with serving(older) as client:
        page = client.get("/model", headers={"accept": "text/html"}).raise_for_status().text
        assert "evaluated on" in page
        assert ".png" not in page
        assert client.get("/model/roc.png").status_code == 404
        assert client.get("/", headers={"accept": "text/html"}).status_code == 200


def test_what_lies_beside_a_bundle_is_no_part_of_it(copy: Path) -> None:
    """Its signature, the lock and the state that commands write."""
    for name in (f"{copy.name}.sig", ".lock", "monitor.json", "history.jsonl"):
        (copy.parent / name).touch()
    assert predictor.load(copy).version == copy.name
