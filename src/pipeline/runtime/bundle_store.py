"""Bundles on disk: `models/NAME/<digest>/`, complete before they get that name, and one pointer to the champion.

Light: files and nothing else. `SHA256SUMS` lies in each bundle in the format of `sha256sum`, and the digest that
names a bundle is the SHA-256 of its `bundle.json`, which holds the hashes of all that decides predictions.
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

from pipeline.errors import BundleError

SUMS = "SHA256SUMS"
POINTER = "champion"
UNFINISHED = ".unfinished-"
DIGEST = re.compile(r"[0-9a-f]{16}")
LISTED = re.compile(r"([0-9a-f]{64}  [!-~]+\n)+")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest(manifest: bytes) -> str:
    """A bundle's name: the first 16 digits of the SHA-256 of its `bundle.json`."""
    return sha256(manifest)[:16]


def write(store: Path, files: Mapping[str, bytes]) -> Path:
    """The folder of a bundle with these files. Where that is the champion, and whole, it is left as it is."""
    store.mkdir(parents=True, exist_ok=True)
    final = store / digest(files["bundle.json"])
    sums = "".join(f"{sha256(content)}  {name}\n" for name, content in sorted(files.items()))
    with locked(store):
        clear_unfinished(store)
        if final.exists() and not damage(final) and champion(store) == final:
            return final
        temporary = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=store))
        for name, content in {**files, SUMS: sums.encode()}.items():
            save(temporary / name, content)
        temporary.chmod(0o755)
        flush(temporary)
        if final.exists():  # aside it goes, and is cleared with the unfinished ones once the new one is there
            final.rename(store / f"{UNFINISHED}{final.name}")
        temporary.rename(final)
        flush(store)
        clear_unfinished(store)
    return final


def damage(folder: Path) -> str | None:
    """What is wrong with a bundle's files, or None where each is there and as it was written."""
    try:
        listed = (folder / SUMS).read_bytes().decode("ascii")
    except FileNotFoundError:
        return f"{SUMS} is missing"
    except (OSError, ValueError):
        return f"{SUMS} has been changed"
    if not LISTED.fullmatch(listed):
        return f"{SUMS} has been changed"
    sums = {line[66:]: line[:64] for line in listed.splitlines()}
    files = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    if strange := sorted({*files, "bundle.json"} - {*sums, SUMS}):
        return f"{SUMS} does not list {strange[0]}"
    for name, expected in sorted(sums.items()):
        if Path(name).name != name:
            return f"{SUMS} has been changed: {name} is no file of a bundle"
        try:
            content = (folder / name).read_bytes()
        except OSError:
            return f"{name} is missing"
        if sha256(content) != expected:
            return f"{name} has been changed (its SHA-256 is not the one in {SUMS})"
    return None


def champion(store: Path) -> Path | None:
    """The folder that the pointer names, or None where there is no pointer. Raises BundleError where it points
    nowhere.
    """
    name = pointer(store)
    if name is None:
        return None
    if not (store / name).is_dir():
        raise BundleError(f"{store / POINTER}: names {name}, which is no bundle beside it. Run `make train`")
    return store / name


def pointer(store: Path) -> str | None:
    """The digest that the pointer names, whether there is such a bundle or not."""
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
    """Point to another bundle, in one step: whoever reads meanwhile sees the old champion or the new one."""
    replace(store / POINTER, f"{name}\n".encode())


def replace(file: Path, content: bytes) -> None:
    """Write a file of the store in one step: it has its old content or the new one, whatever happens.

    To be called under the lock, or another writer takes it for what a killed one left.
    """
    handle, temporary = tempfile.mkstemp(prefix=UNFINISHED, dir=file.parent)
    os.close(handle)
    save(Path(temporary), content)
    Path(temporary).chmod(0o644)
    Path(temporary).replace(file)
    flush(file.parent)


def resolve(place: Path) -> Path:
    """The bundle meant by a path that is a bundle itself or a store with a champion."""
    found = place if os.path.exists(place / "bundle.json") else champion(place)
    if found is None:
        raise BundleError(
            f"{place}: no model here yet. Run `make train` first, or set MODEL_DIR to a bundle or a store"
        )
    return found


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """One writer at a time; the lock goes with the process, however it ends. Raises BlockingIOError where it is held
    and is not to be waited for.
    """
    with locked_by(folder / ".lock", wait=wait):
        yield


@contextmanager
def locked_by(path: Path, *, wait: bool = True) -> Iterator[None]:
    """The same by a lock file of another name."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def clear_unfinished(store: Path) -> int:
    """Remove what killed writers left in the store and in the folders there; how much it was. A bundle that had been
    set aside for one that never came is put back.

    To be called under the lock: nobody is writing then.
    """
    found = [*store.glob(f"{UNFINISHED}*"), *store.glob(f"*/{UNFINISHED}*")]
    for left in found:
        bundle = store / left.name.removeprefix(UNFINISHED)
        if DIGEST.fullmatch(bundle.name) and not bundle.exists():
            left.rename(bundle)
        elif left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
    return len(found)


def save(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush(folder: Path) -> None:
    """Have the folder's own entries on disk, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
