"""Bundles on disk: one folder `models/NAME/<digest>/` per bundle, and one pointer to the champion.

A bundle gets its final name only when all its files are written. Each bundle has a `SHA256SUMS` in the format of
`sha256sum`. The digest that names a bundle is the SHA-256 of its `bundle.json`, which holds the hashes of all files
that decide predictions.

This module handles files only: it knows nothing of models or contracts.
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BundleError, ConfigError
from pipeline.runtime import regular_file

SUMS = "SHA256SUMS"
POINTER = "champion"
UNFINISHED = ".unfinished-"
FILE_MODE = 0o644  # whatever the umask: the server runs as another user than the training
FOLDER_MODE = 0o755
DIGEST = re.compile(r"[0-9a-f]{16}")
LISTED = re.compile(r"([0-9a-f]{64}  [!-~]+\n)+")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest(manifest: bytes) -> str:
    """Return a bundle's name: the first 16 hex digits of the SHA-256 of its `bundle.json`."""
    return sha256(manifest)[:16]


def write(store: Path, files: Mapping[str, bytes], *, renew: bool = False) -> Path:
    """Write these files as a bundle and return its folder. An undamaged champion is rewritten only with `renew`.

    Raises ConfigError where they cannot be written; the store is as before then.
    """
    make_folder(store)
    final = store / digest(files["bundle.json"])
    sums = "".join(f"{sha256(content)}  {name}\n" for name, content in sorted(files.items()))

    with locked(store):
        clear_unfinished(store)
        if not renew and final.exists() and not damage(final) and champion(store) == final:
            return final

        try:
            temporary = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=store))
            for name, content in {**files, SUMS: sums.encode()}.items():
                save(temporary / name, content)
            temporary.chmod(FOLDER_MODE)
            flush(temporary)
        except OSError as error:  # most often the disk is full: leave it the room that it had
            clear_unfinished(store)
            reason = f"{store}: no bundle can be written there: {error.strerror}"
            raise ConfigError(f"{reason}. Nothing was changed: make room and run it again") from None

        if final.exists():  # set the old bundle aside; clear_unfinished removes it when the new one has the name
            final.rename(store / f"{UNFINISHED}{final.name}")
        temporary.rename(final)
        flush(store)
        clear_unfinished(store)

    return final


def read(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a bundle by name, `SHA256SUMS` among them.

    Each file is read once, so that the content that is used is the content that was checked. Raises ValueError with
    the first fault: a file is missing or changed, or the folder has an entry that is no listed, regular file.
    """
    files = {SUMS: read_part(folder, SUMS)}
    listed = files[SUMS].decode("ascii", errors="replace")
    if not LISTED.fullmatch(listed):
        raise ValueError(f"{SUMS} has been changed")

    sums = {line[66:]: line[:64] for line in listed.splitlines()}
    if outside := sorted(name for name in sums if Path(name).name != name):
        raise ValueError(f"{SUMS} has been changed: {outside[0]} is no file of a bundle")
    if unlisted := sorted({*os.listdir(folder), "bundle.json"} - {*sums, SUMS}):
        raise ValueError(f"{SUMS} does not list {unlisted[0]}, and a bundle has no other files: remove it")

    for name, expected in sorted(sums.items()):
        files[name] = read_part(folder, name)
        if sha256(files[name]) != expected:
            raise ValueError(f"{name} has been changed (its SHA-256 is not the one in {SUMS})")
    return files


def read_part(folder: Path, name: str) -> bytes:
    """Return the content of one file of a bundle. Raises ValueError where it is no regular file or cannot be read."""
    try:
        return regular_file.read(folder / name, follow_link=False)
    except FileNotFoundError:
        raise ValueError(f"{name} is missing") from None
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None
    except ValueError as fault:
        raise ValueError(f"{name} {fault}") from None


def damage(folder: Path) -> str | None:
    """Describe the first fault in a bundle's files, or return None where all files are there and unchanged."""
    try:
        read(folder)
    except ValueError as fault:
        return str(fault)
    return None


def champion(store: Path) -> Path | None:
    """Return the champion's folder, or None where there is no pointer.

    Raises BundleError where the pointer names no bundle.
    """
    name = pointer(store)
    if name is None:
        return None
    if not (store / name).is_dir():
        raise BundleError(f"{store / POINTER}: names {name}, which is no bundle beside it. Run `make train`")
    return store / name


def pointer(store: Path) -> str | None:
    """Return the digest in the pointer file, or None where there is no pointer. The bundle itself need not exist.

    Raises BundleError where the pointer cannot be read or holds no digest.
    """
    try:
        name = (store / POINTER).read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(f"{store}: cannot be read as a store of bundles: {error.strerror}") from None
    if not DIGEST.fullmatch(name):
        raise BundleError(
            f"{store / POINTER}: names {name[:40]!r}, which is no bundle. Write the digest of one there, or remove it "
            "and run `make train`"
        )
    return name


def point(store: Path, name: str) -> None:
    """Make another bundle the champion, atomically: a concurrent reader sees the old champion or the new one."""
    replace(store / POINTER, f"{name}\n".encode())


def replace(file: Path, content: bytes) -> None:
    """Replace a file of the store atomically: after a crash it has its old content or the new one.

    The caller must hold the lock. Otherwise another writer removes the temporary file as that of a killed writer.
    Raises ConfigError where it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=file.parent)
        os.close(handle)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None

    temporary = Path(name)
    try:
        save(temporary, content)
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigError(f"{file}: cannot be written: {error.strerror}. It is as it was before") from None
    flush(file.parent)


def resolve(place: Path) -> Path:
    """Return the bundle at a path: the path itself where it is a bundle, or the champion where it is a store.

    Raises BundleError where there is neither.
    """
    bundle = place if os.path.exists(place / "bundle.json") else champion(place)
    if bundle is None:
        raise BundleError(
            f"{place}: no model here yet. Run `make train` first, or set MODEL_DIR to a bundle or a store"
        )
    return bundle


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Lock a folder for one writer. The operating system releases the lock when the process ends, even if killed.

    Raises BlockingIOError where another process holds the lock and `wait` is false.
    """
    with locked_by(folder / ".lock", wait=wait):
        yield


@contextmanager
def locked_by(path: Path, *, wait: bool = True) -> Iterator[None]:
    """The same lock as `locked`, on a lock file of any name."""
    mode = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
    with path.open("w") as file:
        fcntl.flock(file, mode)
        yield


def clear_unfinished(store: Path) -> int:
    """Remove what killed writers left in the store and in its folders, and return the number of entries.

    A bundle that was set aside, and whose replacement was never finished, gets its name back. The caller must hold the
    lock, so that no other process is writing.
    """
    leftovers = [*store.glob(f"{UNFINISHED}*"), *store.glob(f"*/{UNFINISHED}*")]
    for left in leftovers:
        bundle = store / left.name.removeprefix(UNFINISHED)
        if DIGEST.fullmatch(bundle.name) and not bundle.exists():
            left.rename(bundle)
        elif left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
    return len(leftovers)


def write_state(folder: Path, name: str, content: bytes) -> None:
    """Write a file that running servers read, completely or not at all. A folder that is missing is created.

    Raises ConfigError where it cannot be written.
    """
    try:
        make_folder(folder)
        with locked(folder):
            clear_unfinished(folder)
            replace(folder / name, content)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written to: {error.strerror}") from None


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, each of which other users can read. A folder that exists is left as it is."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(FOLDER_MODE)
    folder.mkdir(exist_ok=True)  # raises FileExistsError for a file of this name


def save(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        os.fchmod(file.fileno(), FILE_MODE)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush(folder: Path) -> None:
    """Write the folder's own entries to disk, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
