"""Read a regular file completely, and within a size.

A path that other people can write to may be a pipe without a writer, a device without an end, or a file that is larger
than the memory. This module knows nothing of what is in the file.
"""

import os
import stat
from pathlib import Path

IRREGULAR = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read(path: Path, max_bytes: int | None = None, *, follow_link: bool = True) -> bytes:
    """The content of a regular file; never more than `max_bytes` bytes are read, where there is such a limit.

    Raises ValueError where it is no regular file or is larger, and, without `follow_link`, where it is a symbolic
    link. Raises OSError where it cannot be opened or read.
    """
    refuse_irregular(path.stat() if follow_link else path.lstat())

    # The path may be another file by now: a link is not followed, and a pipe is not waited for.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    if not follow_link:
        flags |= os.O_NOFOLLOW
    with open(os.open(path, flags), "rb") as file:
        refuse_irregular(os.fstat(file.fileno()))
        content = file.read() if max_bytes is None else file.read(max_bytes + 1)

    if max_bytes is not None and len(content) > max_bytes:
        raise ValueError(f"is larger than {max_bytes:,} bytes")
    return content


def refuse_irregular(status: os.stat_result) -> None:
    """Raises ValueError, which says what it is, for whatever is no regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = IRREGULAR.get(stat.S_IFMT(status.st_mode), "something else")
        raise ValueError(f"is {kind}, not a regular file")


def modified_at(file: Path) -> tuple[int, int] | None:
    """The file's inode and its modification time in nanoseconds; None where there is no file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
