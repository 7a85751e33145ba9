"""What the name of a column says: whether it is an identifier's, and how a field may be called.

It knows no values.
"""

import re
from collections.abc import Collection
from itertools import chain, count

from pydantic import BaseModel

OWNERS = ("customer", "user", "patient", "client", "account", "household", "session", "device")  # of several rows
GROUPS = {"id", "uuid", "guid", *OWNERS, *(f"{owner}id" for owner in OWNERS)}  # last words of names of identifiers
NUMBERED = {"no", "nr", "number", "key"}  # these too, after another word
UNNAMED = re.compile(r"Unnamed: [\d.]+")  # what pandas calls a column without a name


def field_name(header: str, taken: Collection[str] = ()) -> str:
    """The header as a name that a field can have: letters, digits and underscores, none of pydantic's own."""
    name = re.sub(r"[^a-zA-Z0-9]+", "_", header).strip("_") or "column"
    if not name[0].isalpha():
        name = f"column_{name}"
    if hasattr(BaseModel, name) or name == "Config":
        name = f"{name}_value"
    numbered = (f"{name}_{number}" for number in count(2))
    return next(unique for unique in chain([name], numbered) if unique not in taken)


def last_word(header: str) -> str:
    """The last word of a name, in small letters: id of customer_id, customerId and CustomerID, but bid of bid."""
    last: str = ["", *re.findall(r"[^\W_]+", spaced(header))][-1]
    return last.lower()


def spaced(header: str) -> str:
    """The name with a blank before each capital that begins a word."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header)


def is_identifier(header: str) -> bool:
    """Whether a column is by its name an identifier, of rows or of what several rows are of."""
    word = last_word(header)
    return word in GROUPS or (word in NUMBERED and word != header.lower())
