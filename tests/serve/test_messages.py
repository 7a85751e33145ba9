"""Bodies are read and decompressed within their limit."""

import asyncio
import gzip
import zlib
from itertools import pairwise
from typing import Any

import pytest

from serve.errors import RequestError
from serve.messages import GZIP_MEMBERS, decompress, read_body

LIMIT = 3_000_000
TEXT = bytes(range(256)) * 10_000


def decompressed(body: bytes, encoding: bytes = b"gzip") -> bytes:
    return asyncio.run(decompress(body, encoding, LIMIT))


@pytest.mark.parametrize("cuts", [[20], [0], [1, 2, 3, 1_000_000], [2_560_000]])
def test_the_members_of_gzip_are_one_body(cuts: list[int]) -> None:
    bounds = [0, *cuts, len(TEXT)]
    members = [gzip.compress(TEXT[start:end]) for start, end in pairwise(bounds)]
    assert decompressed(b"".join(members)) == TEXT


def test_deflate_has_one_member() -> None:
    with pytest.raises(RequestError, match="The body is not deflate, or not whole"):
        decompressed(zlib.compress(b"a") * 2, b"deflate")


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(TEXT)[:-1],
        gzip.compress(TEXT) + b"more",
        gzip.compress(TEXT) + gzip.compress(TEXT)[:30],
        gzip.compress(b"") * (GZIP_MEMBERS + 1),
        b"",
    ],
)
def test_gzip_that_is_cut_off_or_has_too_many_members_is_400(body: bytes) -> None:
    with pytest.raises(RequestError, match="The body is not gzip, or not whole") as refused:
        decompressed(body)
    assert refused.value.status == 400


@pytest.mark.parametrize("members", [1, 3])
def test_members_count_together_towards_the_limit(members: int) -> None:
    with pytest.raises(RequestError, match="larger than 3,000,000 bytes") as refused:
        decompressed(gzip.compress(bytes(3_000_001 // members + 1)) * members)
    assert refused.value.status == 413


def test_other_requests_have_their_turn_while_a_body_is_decompressed() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> None:
        counting = asyncio.create_task(count_turns())
        await decompress(gzip.compress(TEXT), b"gzip", LIMIT)
        counting.cancel()

    asyncio.run(both())
    assert turns > len(TEXT) / 200_000


def test_a_body_in_parts_ends_at_the_limit() -> None:
    parts: list[Any] = [{"type": "http.request", "body": bytes(2_000_000), "more_body": True}] * 3

    async def receive() -> Any:
        return parts.pop()

    with pytest.raises(RequestError, match="larger than 3,000,000 bytes"):
        asyncio.run(read_body(receive, {}, LIMIT))
    assert len(parts) == 1
