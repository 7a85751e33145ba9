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
from pipeline.runtime.dataset import ADDRESS, DataFile, without_query

BLOCK = 2**20  # bytes
PATIENCE = 30  # seconds without a byte


class SameScheme(HTTPRedirectHandler):
    """Follows a redirect only to an address of the same scheme that a config could name."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        is_allowed = re.fullmatch(ADDRESS, newurl) and newurl.startswith(f"{req.type}:")
        return super().redirect_request(req, fp, code, msg, headers, newurl) if is_allowed else None


def fetch(file: DataFile, say: Say) -> None:
    """Download the file if it has an address and is not there; check its hash if one is declared.

    Raises DataError for an address that does not send the file, and for a file with another hash.
    """
    path = Path(file.path or "")
    if file.url and file.sha256 and not path.exists():
        download(file.url, file.sha256, file.max_megabytes, path, say)
    elif file.sha256 and path.is_file():
        with path.open("rb") as content:
            actual = hashlib.file_digest(content, "sha256").hexdigest()
        if actual != file.sha256:
            remedy = "Remove it to download it again" if file.url else "Bring the old one back"
            raise DataError(
                f"data.path: {path}: has changed: data.sha256 is {file.sha256}, its SHA-256 is {actual}. {remedy}, or, "
                "if the change is meant, write the new hash there"
            )


def download(url: str, sha256: str, max_megabytes: float, path: Path, say: Say) -> None:
    """Write what the address sends to `path`, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hashed = hashlib.sha256()
    size = 0

    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        part = Path(folder) / path.name
        with part.open("wb") as content:
            for block in received(url, int(max_megabytes * 1e6)):
                content.write(block)
                hashed.update(block)
                size += len(block)
                say(f"{size / 1e6:,.1f} MB of {path.name} downloaded")

        if hashed.hexdigest() != sha256:
            raise DataError(
                f"data.url: {without_query(url)}: sends another file than declared: data.sha256 is {sha256}, the "
                f"SHA-256 of the {size:,} bytes is {hashed.hexdigest()}. Correct the address, or the hash if this file "
                "is the right one"
            )
        part.replace(path)


def received(url: str, max_bytes: int) -> Iterator[bytes]:
    """The bytes that an address sends, in blocks. Raises DataError where it sends none, too few or too many."""
    place = f"data.url: {without_query(url)}"
    too_large = DataError(
        f"{place}: is larger than {max_bytes:,} bytes, which data.max_megabytes allows. Raise it if that is meant"
    )
    size = 0
    try:
        with build_opener(SameScheme).open(url, timeout=PATIENCE) as response:
            length = response.length or 0  # 0 where the server does not say
            if length > max_bytes:
                raise too_large
            while block := response.read(BLOCK):
                size += len(block)
                if size > max_bytes:
                    raise too_large
                yield block
    except HTTPError as error:
        reason = "a redirect to where it may not lead" if error.code in range(300, 400) else "no file"
        remedy = "Correct the address or, if it needs a login, bring the file to data.path yourself"
        raise DataError(f"{place}: answers {error.code}, {reason}. {remedy}") from None
    except (OSError, HTTPException, ValueError, OverflowError) as error:
        raise DataError(
            f"{place}: cannot be read: {error!r}. Check the address and the network, and try again"
        ) from None
    if size < length:
        raise DataError(f"{place}: the connection ended after {size:,} of {length:,} bytes. Try again")
