"""The folder in which a training works until its report is complete, and the cleanup after a training was killed.

This module knows files and nothing of the training. A lock on the folder shows that its process is alive: the system
frees the lock when the process ends, even when it is killed.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.runtime import bundle_store


def make_folders(**folders: Path) -> None:
    """Create the folders and check that they can be written, before any work.

    The keywords are keys of the section `paths` of a config. Every user can read a new folder of models, which servers
    need; who can read a new folder of reports, which may show rows of the data, is left to the umask.

    Raises ConfigError for a folder that cannot be written.
    """
    for key, folder in folders.items():
        try:
            if key == "models":
                bundle_store.make_folder(folder)
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise ConfigError(f"paths.{key}: {folder} cannot be written: {error.strerror}") from None


@contextmanager
def working_folder(home: Path, name: str) -> Iterator[Path]:
    """A folder that replaces `home/name` when its body succeeds, and `home/name.failed` when its body raises."""
    failed = home / f"{name}.failed"
    with ExitStack() as alive:
        with bundle_store.locked(home):  # otherwise `abandoned` could see the new folder before it has its lock
            temporary = Path(tempfile.mkdtemp(prefix=f"{bundle_store.UNFINISHED}{name}-", dir=home))
            alive.enter_context(bundle_store.locked(temporary))

        work = temporary / name
        work.mkdir()
        final = failed
        try:
            yield work
            final = home / name
        finally:
            with bundle_store.locked(home):
                for old in {final, failed}:
                    if old.exists():
                        old.rename(temporary / f"old-{old.name}")
                work.rename(final)
                shutil.rmtree(temporary)


def abandoned(home: Path, name: str) -> list[Path]:
    """The working folders of this model's killed trainings, sorted; never the folder of a live process."""
    prefix = f"{bundle_store.UNFINISHED}{name}"
    folders = [path for path in home.glob(f"{prefix}-*") if path.name.rpartition("-")[0] == prefix]
    if not folders:
        return []

    with bundle_store.locked(home):
        return [folder for folder in sorted(folders) if folder.is_dir() and not in_use(folder)]


def in_use(folder: Path) -> bool:
    """Whether the folder's process is alive, or the folder belongs to another user and cannot be opened."""
    try:
        with bundle_store.locked(folder, wait=False):
            return False
    except (BlockingIOError, PermissionError):
        return True


def remove(folder: Path, name: str) -> None:
    """Remove an abandoned folder.

    A complete report in it is moved to its place first, where the training was killed between moving the old report
    away and the new one in.
    """
    work = folder / name
    final = folder.parent / name
    old = folder / f"old-{name}"
    with bundle_store.locked(folder.parent):
        if old.exists() and work.exists() and not final.exists():
            work.rename(final)
        if folder.exists():  # another command may have removed it already
            shutil.rmtree(folder)
