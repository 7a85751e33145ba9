"""Rows of a request against the contract: valid rows, or an error that lists the first hundred invalid fields.

A refused request takes no more work than an accepted one: unknown fields are counted before pydantic lists them, and
the search ends where nobody reads more of its errors. This module knows nothing about protocols or predictions.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from pipeline.runtime.request_model import without_nan
from serve.errors import (
    LISTED,
    FieldError,
    InvalidFields,
    RequestError,
    field_errors,
    invalid_field,
    invalid_json,
    search_ended,
    validation_failed,
)
from serve.limits import SMALL, Limits
from serve.messages import Call
from serve.pieces import rows_in_pieces

CHUNK = 500  # rows that are handled together, so that other requests get their turn between two chunks
BEGINNING = 16_384  # bytes of a row with too many fields that are read: they hold the names to list


class RowValidator:
    """The row model of a contract, with the limits of a request."""

    def __init__(self, row_model: Any, limits: Limits) -> None:
        self._names: Mapping[str, Any] = row_model.model_fields
        self._limits = limits
        self._one = row_model.__pydantic_validator__
        self._many: TypeAdapter[list[BaseModel]] = TypeAdapter(list[row_model])

    def row(self, body: bytes) -> dict[str, Any]:
        """The one row of a JSON body. Raises RequestError with its invalid fields."""
        if len(body) > SMALL:
            self._check_size(body)
        try:
            valid: dict[str, Any] = vars(self._one.validate_json(body))
            return valid
        except ValidationError as error:
            if not_json := invalid_json(error):
                raise not_json from None

        invalid = InvalidFields()
        row = self._validated_or_listed(from_json(body), "", invalid)
        if row is None:
            raise invalid.refusal()
        return row

    def _check_size(self, body: bytes) -> None:
        """Raises RequestError for one row that has far more fields than the contract (422) or too many bytes (413)."""
        if self._limits.is_crowded_row(body):
            raise self._too_many_fields(body)
        if len(body) > self._limits.row_bytes:
            text = f"The body has {len(body):,} bytes, more than {self._limits.row_bytes:,}, the most for one row"
            raise RequestError(413, text)

    def _too_many_fields(self, body: bytes) -> RequestError:
        """The error for a row with too many fields. Only its beginning is parsed, for the first names."""
        try:
            beginning = from_json(body[:BEGINNING], allow_partial=True)
        except ValueError as error:
            return RequestError(400, f"The body is not JSON: {error}")
        if not isinstance(beginning, dict):
            return invalid_field("body", "Should be an object")

        unknown = [name for name in beginning if name not in self._names]
        errors = [FieldError(field="body", message=f"Has far more than the {self._limits.columns} fields of a row")]
        errors += [FieldError(field=name[:100], message="There is no such field") for name in unknown[: LISTED - 1]]
        return validation_failed(errors, " at the beginning of the body")

    def rows_of_body(self, body: bytes, keys: Collection[str], call: Call) -> list[dict[str, Any]] | None:
        """The validated rows of a body that has nothing but a list of them, read and validated in one pass.

        None for any other body, and for rows that are not all valid: `rows` finds the errors. It needs no count of the
        body's values before: a piece is small, and the reading ends beyond MAX_ROWS. Raises TimeoutError after the
        deadline.
        """
        pieces = rows_in_pieces(body, keys)
        if pieces is None:
            return None

        valid: list[dict[str, Any]] = []
        try:
            for piece in pieces:
                call.check_deadline()
                valid += map(vars, self._many.validate_json(piece))
                if len(valid) > self._limits.rows:
                    return None
        except ValueError:  # also pydantic's
            return None
        return valid or None

    def rows(self, sent: Sequence[Any], at: str, call: Call) -> list[dict[str, Any]]:
        """The validated rows of a request that has them under `at`.

        Raises RequestError for no rows (422), for more than MAX_ROWS (413), and with the first LISTED invalid fields
        (422). Raises TimeoutError after the deadline.
        """
        if not sent:
            raise invalid_field(at, "Should have at least one row")
        self._limits.check_rows(len(sent))

        valid: list[dict[str, Any]] = []
        for first in range(0, len(sent), CHUNK):
            call.check_deadline()
            rows = self._validated(sent[first : first + CHUNK])
            if rows is None:
                valid.clear()  # none of them is used any more, and the listing takes memory too
                raise self._list_invalid(sent, first, at, call)
            valid += map(vars, rows)
        return valid

    def _list_invalid(self, sent: Sequence[Any], start: int, at: str, call: Call) -> RequestError:
        """The error for the rows from `start` on, one of which is invalid at least."""
        invalid = InvalidFields()
        checked = start
        while checked < len(sent) and not invalid.is_full():
            call.check_deadline()
            chunk = sent[checked : checked + CHUNK]
            if self._validated(chunk) is not None:
                checked += len(chunk)
                continue
            for row in chunk:
                self._validated_or_listed(row, f"{at}.{checked}.", invalid)
                checked += 1
                if invalid.is_full():
                    break
        return invalid.refusal(search_ended(checked, len(sent)))

    def _validated(self, rows: Sequence[Any]) -> list[BaseModel] | None:
        """The rows as they are or, where their validation fails, with NaN as a missing value. None for invalid rows."""
        if any(isinstance(row, dict) and len(row) > self._limits.columns for row in rows):
            return None  # such a row has an unknown field at least, and pydantic would list them all
        try:
            return self._many.validate_python(rows)
        except ValidationError:
            pass
        try:
            return self._many.validate_python(without_nan(rows))
        except ValidationError:
            return None

    def _validated_or_listed(self, sent: Any, at: str, invalid: InvalidFields) -> dict[str, Any] | None:
        """The validated row, with NaN as a missing value. None for an invalid row: `invalid` gets its faults."""
        row = self._cut(sent)
        try:
            valid: dict[str, Any] = vars(self._one.validate_python(*without_nan([row])))
            return valid
        except ValidationError as error:
            unlisted = len(sent) - len(row) if isinstance(sent, dict) else 0
            invalid.add(field_errors(error, at), unlisted)
            return None

    def _cut(self, row: Any) -> Any:
        """A row with at most LISTED unknown fields, the first ones. Whatever is not an object stays as it is."""
        if not isinstance(row, dict) or len(row) <= self._limits.fields:
            return row
        cut = {name: value for name, value in row.items() if name in self._names}
        for name, value in row.items():
            if len(cut) >= self._limits.fields:
                break
            cut.setdefault(name, value)
        return cut
