"""A JSON body with one list of rows, cut into pieces that are parsed and validated one at a time.

To parse a body and then to validate its rows takes half as long again as to do both in one pass. One pass over a whole
body would stop all other requests until its end. So the body is cut between two rows, without parsing it.

A cut may be wrong: what looks like the end of a row may stand in a text or in a nested value. Then the piece before it
has a text or a bracket without an end, and is not valid JSON. So pieces that are all valid are the rows of the body.
This module knows nothing about contracts.
"""

import re
from collections.abc import Collection, Iterator

BEGIN = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"(\w+)"[ \t\r\n]*:[ \t\r\n]*\[')
END = re.compile(rb"\][ \t\r\n]*\}[ \t\r\n]*")
BETWEEN = re.compile(rb"\}([ \t\r\n]*),[ \t\r\n]*\{")
PIECE = 32_768  # bytes of a piece, at least, except for the last one; a millisecond of work
WIDEST = 2 * PIECE  # bytes of a piece at most
END_BYTES = 64  # of the end of a body that are searched for its last brackets


def rows_in_pieces(body: bytes, keys: Collection[str]) -> Iterator[bytes] | None:
    """The rows of a body `{"KEY": [{…}, {…}]}` as JSON lists of some rows each.

    None for a body that has another form, or another key than one of `keys`.
    """
    begin = BEGIN.match(body)
    if begin is None or begin[1].decode() not in keys:
        return None
    last = body.rfind(b"]", max(begin.end(), len(body) - END_BYTES))
    if last < 0 or not END.fullmatch(body, last):
        return None
    return pieces(body, begin.end(), last)


def pieces(body: bytes, first: int, end: int) -> Iterator[bytes]:
    """JSON lists of the rows between two positions of a body. Raises ValueError where a row has no end for too long."""
    while end - first > WIDEST:
        cut = BETWEEN.search(body, first + PIECE - 1, first + WIDEST)
        if cut is None:
            raise ValueError("a row is too long")
        yield b"[" + body[first : cut.start() + 1] + b"]"
        first = cut.end() - 1
    yield b"[" + body[first:end] + b"]"
