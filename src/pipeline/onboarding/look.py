"""Read a table that nobody has described: how the file is written, and its values as text.

This module knows files and no config: it ends where the meaning of a column begins.
"""

import csv
import difflib
import gzip
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.data.clean import whole
from pipeline.datasets.table import GZIP, PARQUET, as_text, file_content, read_csv, read_parquet, refuse_nul
from pipeline.errors import DataError
from pipeline.onboarding.columns import UNKNOWN
from pipeline.runtime.dataset import DataFile

if TYPE_CHECKING:
    import pandas as pd

BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
DELIMITERS = ",;\t|"
COMMA_NUMBER = r"[-+]?\d+(,\d+)?([eE][-+]?\d+)?"
SAMPLE_LINES = 50  # by which the delimiter is found
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?|\d{4}-\d\d-\d\d.*")  # a value that is no name of a column


class Table(NamedTuple):
    """The values of a file as text, '' where there is none, and the keys of `data:` that say how it is written."""

    path: Path
    frame: "pd.DataFrame"
    written: dict[str, Any]


def look(path: Path, target: str) -> Table:
    """Read the file. Raises DataError, with what to do, for a file that cannot be used or has no column `target`."""
    content = file_content(path)
    try:
        if content.startswith(GZIP):
            content = gzip.decompress(content)
        table = from_parquet(path, content) if content.startswith(PARQUET) else from_text(path, content, target)
    except DataError:
        raise
    except Exception as error:  # pandas, pyarrow, csv and gzip raise a dozen kinds between them
        raise DataError(f"{path}: cannot be read as {path.suffix or 'CSV'}: {error}") from error

    names = list(table.frame.columns)
    if target not in names:
        near = difflib.get_close_matches(target, names, n=1)
        question = f"Did you mean {near[0]!r}? " if near else ""
        raise DataError(f"{path}: has no column {target!r}. {question}Found: {', '.join(names)}")
    if table.frame.empty:
        raise DataError(f"{path}: has names of columns and no rows")
    return table


def from_parquet(path: Path, content: bytes) -> Table:
    frame = read_parquet(content)
    return Table(path, frame.apply(lambda values: as_text(whole(values))).fillna("").astype(object), {})


def from_text(path: Path, content: bytes, target: str) -> Table:
    """The table of a CSV file. Raises DataError for a file without names of columns, or with a name twice."""
    text, encoding = decoded(content)
    refuse_nul(text.encode(), "utf-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise DataError(f"{path}: is empty")
    delimiter = delimiter_of(text)
    frame, names = read_csv(text.encode(), DataFile(delimiter=delimiter), dtype=str)
    refuse_names(path, names, target)
    frame = frame.set_axis(names, axis=1).fillna("")

    file = DataFile(delimiter=delimiter, encoding=encoding)
    decimals = [name for name in names if has_comma_decimals(frame[name])]
    if delimiter != "," and decimals:
        file = file.model_copy(update={"decimal": ","})
        features = [name for name in decimals if name != target]  # classes keep the comma: they are read as text
        frame[features] = frame[features].apply(lambda values: values.str.replace(",", "."))
    return Table(path, frame, file.model_dump(exclude_defaults=True, exclude_none=True))


def has_comma_decimals(values: "pd.Series[str]") -> bool:
    """Whether all are numbers, or missing, and one has a comma."""
    plain = values.str.strip()
    known = plain[~plain.isin(UNKNOWN)]
    return bool(known.str.contains(",").any() and known.str.fullmatch(COMMA_NUMBER).all())


def decoded(content: bytes) -> tuple[str, str]:
    """The text of a file and its encoding. Bytes that are no UTF-8 are read as Windows' Latin, which most such are."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace"), encoding
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace"), "cp1252"


def delimiter_of(text: str) -> str:
    """The delimiter that cuts the first lines into as many values each, and into most."""
    lines = text.splitlines()[:SAMPLE_LINES]

    def agreement(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        width, count = Counter(widths).most_common(1)[0]
        return (count / len(widths) if width > 1 else 0.0), width

    return max(DELIMITERS, key=agreement)


def refuse_names(path: Path, names: list[str], target: str) -> None:
    """Raises DataError for a first line that looks like data, and for a name that stands twice."""
    if target not in names and any(NUMBER.fullmatch(name.strip()) for name in names):
        shown = ", ".join(names)[:100]
        raise DataError(
            f"{path}: the first line looks like data: {shown}. Put a line with the columns' names before it"
        )
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{path}: has the column {twice[0]!r} {names.count(twice[0])} times; rename one of them")
