"""Bring the file of a config to its place: downloaded if it is not there, and never with another hash than declared.

This module knows addresses and files, and nothing of what is in a file.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pipeline.console import Say
from pipeline.errors import DataError
from pipeline.runtime.dataset import ADDRESS, DataFile


class SameScheme(HTTPRedirectHandler):
    """Follows a redirect only to an address of the same scheme that a config could name."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        is_allowed = re.fullmatch(ADDRESS, newurl, re.ASCII) and newurl.startswith(f"{req.type}:")
        return super().redirect_request(req, fp, code, msg, headers, newurl) if is_allowed else None


def fetch(file: DataFile, say: Say) -> None:
    """Download the file if it is not there, or check its hash. Raises DataError where that fails."""
    path = Path(file.path or "")
    if file.url and not path.exists():
        download(file, path, say)
    elif file.sha256 and path.is_file():
        with path.open("rb") as content:
            actual = hashlib.file_digest(content, "sha256").hexdigest()
        if actual != file.sha256:
            raise DataError(
                f"data.path: {path}: has changed: data.sha256 is {file.sha256}, its SHA-256 is {actual}. Remove it, so "
                "that it is downloaded or brought again, or write the new hash there if the change is meant"
            )


def download(file: DataFile, path: Path, say: Say) -> None:
    """Write what the address sends to `path`, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hashed = hashlib.sha256()
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        part = Path(folder) / path.name
        with part.open("wb") as content:
            for block in received(file):
                content.write(block)
                hashed.update(block)
                say(f"{content.tell() / 1e6:,.1f} MB of {path.name} downloaded")

        if hashed.hexdigest() != file.sha256:
            raise DataError(
                f"data.url: {file.public_url(file.url)}: sends another file: data.sha256 is {file.sha256}, and its "
                f"SHA-256 is {hashed.hexdigest()}. Correct the address, or the hash if this file is the right one"
            )
        part.replace(path)


def received(file: DataFile) -> Iterator[bytes]:
    """The bytes that the address sends, in blocks. Raises DataError where it sends none, too few or too many."""
    place = f"data.url: {file.public_url(file.url)}"
    size = 0
    try:
        with build_opener(SameScheme).open(str(file.url), timeout=30) as response:
            length = response.length or 0  # 0 where the server does not say
            while max(length, size) <= file.max_megabytes * 1e6 and (block := response.read(2**20)):
                size += len(block)
                yield block
    except HTTPError as error:
        reason = "a redirect that is not followed" if error.code in range(300, 400) else "no file"
        raise DataError(f"{place}: answers {error.code}, {reason}. Correct it, or fill data.path yourself") from None
    except (OSError, HTTPException, ValueError, OverflowError) as error:
        raise DataError(f"{place}: cannot be read: {error!r}. Check the address and the network, try again") from None

    if max(length, size) > file.max_megabytes * 1e6:
        raise DataError(
            f"{place}: is larger than data.max_megabytes {file.max_megabytes:g} allows. Raise it if need be"
        )
    if size < length:
        raise DataError(f"{place}: the connection ended after {size:,} of {length:,} bytes. Try again")
