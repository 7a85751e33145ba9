"""How files write dates, decimals and answers: the format, and the positive of two values, from the values."""

import re
from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

ISO = "ISO8601"  # pandas' name of ISO 8601
DATES = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y")
DATED = r"\d[-/.]\d"  # stands in every date
TIMES = ("", " %H:%M", " %H:%M:%S")
NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
COMMA_DECIMAL = r"[-+]?\d+,\d+"
YES = ("true", "yes", "y", "t", "positive", "bad", "left", "died", "fraud", "churned")
NO = ("false", "no", "n", "f", "negative", "good", "stayed", "survived")


def format_of(known: "pd.Series[str]") -> str | None:
    """The format of a column of dates; None where it is none. Day before month where both are possible."""
    import pandas as pd

    if not known.str.contains(DATED).all():
        return None
    is_iso = known.str.match(r"\d{4}-\d\d-\d\d").all()
    forms: Iterable[str] = [ISO] if is_iso else map("".join, product(DATES, TIMES))
    for form in forms:
        if pd.to_datetime(known, errors="coerce", format=form).notna().all():
            return form
    return None


def positive_of(names: list[str], counts: "pd.Series[int]") -> str:
    """Which of two values is the yes: by its word, by its size as a number, else the rarer one."""
    first, second = names
    if NUMBER.fullmatch(first) and NUMBER.fullmatch(second):
        return max(names, key=lambda name: float(name.replace(",", ".")))
    for one, other in ((first, second), (second, first)):
        if one.lower() in YES or other.lower() in NO:
            return one
    return str(counts.idxmin())
