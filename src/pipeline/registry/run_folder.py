"""Where a training works until its report is whole, and what is left there of one that was killed.

Light: files and nothing else. That a process lives shows by the lock on its folder, which no kill leaves behind.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.runtime import bundle_store


def make_folders(**folders: Path) -> None:
    """Each is named as in `paths`. Raises ConfigError where one cannot be written, before any work."""
    for key, folder in folders.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise ConfigError(f"paths.{key}: {folder} cannot be written: {error.strerror}") from None


@contextmanager
def working_folder(home: Path, name: str) -> Iterator[Path]:
    """A folder that takes the place of `home/name` when all went well, and of `home/name.failed` when not."""
    with ExitStack() as alive:
        with bundle_store.locked(home):  # whoever looks for the dead meanwhile would find it without its lock
            temporary = Path(tempfile.mkdtemp(prefix=f"{bundle_store.UNFINISHED}{name}-", dir=home))
            alive.enter_context(bundle_store.locked(temporary))
        work, final = temporary / name, home / f"{name}.failed"
        work.mkdir()
        try:
            yield work
            final = home / name
        finally:
            with bundle_store.locked(home):
                for old in {final, home / f"{name}.failed"}:
                    if old.exists():
                        old.rename(temporary / f"old-{old.name}")
                work.rename(final)
                shutil.rmtree(temporary)


def abandoned(home: Path, name: str) -> list[Path]:
    """The folders of this model's trainings that were killed; never one whose process lives."""
    named = f"{bundle_store.UNFINISHED}{name}"
    found = [path for path in home.glob(f"{named}-*") if path.name.rpartition("-")[0] == named]
    if not found:
        return []
    with bundle_store.locked(home):
        return [folder for folder in sorted(found) if folder.is_dir() and not in_use(folder)]


def in_use(folder: Path) -> bool:
    """Whether its process lives, or belongs to somebody whose folders are not ours to open."""
    try:
        with bundle_store.locked(folder, wait=False):
            return False
    except (BlockingIOError, PermissionError):
        return True


def remove(folder: Path, name: str) -> None:
    """Remove an abandoned folder. A report that was whole, and for which the old one had made room, takes its place."""
    work, final, old = folder / name, folder.parent / name, folder / f"old-{name}"
    with bundle_store.locked(folder.parent):
        if old.exists() and work.exists() and not final.exists():
            work.rename(final)
        if folder.exists():  # or another command was quicker
            shutil.rmtree(folder)
