"""What one request may hold, for a contract and MAX_ROWS, and how that is seen in the raw bytes before they are parsed.

A parsed body takes up to thirty times its bytes. Counting separators takes a millisecond a megabyte and no memory. This
module knows nothing about protocols.
"""

from typing import NamedTuple, Self

import numpy as np

from pipeline.runtime.contract import Contract
from serve.errors import RequestError
from serve.messages import Call

VALUE_BYTES = 64  # of a value with its name; JSON of full precision takes half of it
FEWEST_COLUMNS = 4  # a label of /feedback takes as many bytes as four values
WIDEST_VALUE = 2_048  # bytes of one value with its name
LEAST_BYTES = 65_536  # of the limit, where few rows or columns make it small
SPARE = 1_000  # values of a body beside its rows: names of columns, parameters, outputs
SPARE_FIELDS = 100  # unknown fields of a row that are listed

JSON_SEPARATORS = (b",", b"{", b"[")  # before every value stands one of them
KEY_ENDS = (b'":', b'" :')  # as programs write JSON, with or without a blank before the colon
LINE_SEPARATORS = (b",", b"{", b"[", b"\n")
PIECE = 2**20  # bytes that are counted at once; other threads get their turn between two pieces

WIDEST = 4  # bytes of a character beyond U+FFFF in memory
NARROW = bytes(range(0xC4))  # of UTF-8, those of characters up to U+00FF
WIDE = bytes(range(0xF0))  # those of characters up to U+FFFF

INLINE_BYTES = 65_536  # a larger body is handled in a thread, so that the event loop stays free for other requests
INLINE_ROWS = 200
INLINE_VALUES = 5_000
SMALL = 4_096  # bytes; a smaller body has too few values for any of these limits


class Limits(NamedTuple):
    """Of one request: rows, columns of a row, values of all rows, bytes of the body."""

    rows: int
    columns: int
    values: int
    body_bytes: int

    @classmethod
    def of(cls, contract: Contract, max_rows: int, max_body_bytes: int | None = None) -> Self:
        """The limits of a contract. Without `max_body_bytes` the bytes are in proportion to rows and columns."""
        columns = len(contract.request)
        commas = sum(column.kind == "category" for column in contract.request.values())  # a text may hold one
        values = max_rows * (columns + commas + 2) + SPARE
        in_proportion = max(LEAST_BYTES, max_rows * max(columns, FEWEST_COLUMNS) * VALUE_BYTES)
        return cls(max_rows, columns, values, max_body_bytes or in_proportion)

    @property
    def text_bytes(self) -> int:
        """The bytes in memory that the text of a body may take."""
        return self.body_bytes * 3 // 2

    @property
    def row_bytes(self) -> int:
        """The bytes of a body with one row: of texts with as many characters as the contract allows, all escaped."""
        return max(LEAST_BYTES, self.columns * WIDEST_VALUE)

    @property
    def fields(self) -> int:
        """The most fields of one row that are read and listed."""
        return self.columns + SPARE_FIELDS

    def too_many_values(self, body: bytes, call: Call, separators: tuple[bytes, ...] = JSON_SEPARATORS) -> str | None:
        """The message for a body with more values than its rows can have; None for any other body.

        A separator within a text counts too. Raises TimeoutError after the deadline.
        """
        if len(body) <= self.values:  # each separator is a byte
            return None

        count = 1
        for first in range(0, len(body), PIECE):
            call.check_deadline()
            count += sum(body.count(separator, first, first + PIECE) for separator in separators)
            if count > self.values:
                return (
                    f"The body has more than {self.values:,} values, the most that {self.rows:,} rows (MAX_ROWS) of "
                    f"{self.columns} columns can have; send fewer rows at a time"
                )
        return None

    def is_crowded_row(self, body: bytes) -> bool:
        """Whether a body for one row has several times as many values as a row can have."""
        return sum(map(body.count, JSON_SEPARATORS)) > 4 * self.fields

    def check_values(self, body: bytes, call: Call, separators: tuple[bytes, ...] = JSON_SEPARATORS) -> None:
        """Raises RequestError (413) for a body with more values, or wider text, than its rows can have."""
        if text := self.too_many_values(body, call, separators):
            raise RequestError(413, text)
        self.check_fields(body)
        self.check_text(body)

    def check_fields(self, body: bytes) -> None:
        """Raises RequestError (413) for a JSON body whose objects have far more fields than a row.

        To parse them would stop the other requests for longer than any body of rows does.
        """
        if len(body) <= self.values:
            return
        objects = body.count(b"{") + 1
        fields = sum(map(body.count, KEY_ENDS))
        if fields > objects * self.fields:
            text = f"The body has about {fields:,} fields in {objects:,} objects, and a row has {self.columns}"
            raise RequestError(413, text)

    def check_text(self, body: bytes) -> None:
        """Raises RequestError (413) for a body whose text would take more memory than that of its rows can take."""
        if len(body) * WIDEST > self.text_bytes and len(body) * character_bytes(body) > self.text_bytes:
            text = f"Its characters would take more than {self.text_bytes:,} bytes in memory; send fewer rows at a time"
            raise RequestError(413, f"The body has {len(body):,} bytes. {text}")

    def check_rows(self, count: int) -> None:
        """Raises RequestError (413) for more rows than MAX_ROWS."""
        if count > self.rows:
            raise RequestError(413, f"{count:,} rows are more than {self.rows:,} (MAX_ROWS); send fewer at a time")

    def too_many_rows(self) -> RequestError:
        """The error (413) for rows that were counted up to MAX_ROWS."""
        return RequestError(413, f"There are more than {self.rows:,} rows (MAX_ROWS); send fewer at a time")


def character_bytes(body: bytes) -> int:
    """The bytes that one character of a text takes at most: Python stores all characters of a text as its widest."""
    if b"\\ud" in body or b"\\uD" in body:
        return WIDEST
    widest = 2 if b"\\u" in body else 1
    if body.isascii():
        return widest

    for first in range(0, len(body), PIECE):
        wide = body[first : first + PIECE].translate(None, delete=NARROW)
        if wide.translate(None, delete=WIDE):
            return WIDEST
        if wide:
            widest = 2
    return widest


def is_light(body: bytes) -> bool:
    """Whether a body is handled in the event loop: it has few bytes, and no more rows and values than fit there."""
    if len(body) <= SMALL:
        return True
    if len(body) > INLINE_BYTES:
        return False

    codes = np.frombuffer(body, dtype=np.uint8)  # counted here three times as fast as by `bytes.count`
    rows = sum(int(np.count_nonzero(codes == code)) for code in b"{\n")
    others = sum(int(np.count_nonzero(codes == code)) for code in b",[")
    return rows <= INLINE_ROWS and rows + others <= INLINE_VALUES
