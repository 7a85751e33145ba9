"""Any CSV or Parquet file as a dataset. The config alone declares the columns: this module knows no file.

Features are the columns, and the minute of the day and the day of the week of each date and time.
"""

import gzip
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.runtime.arrays import Columns
from pipeline.runtime.contract import Column
from pipeline.runtime.dataset import DataFile, Loaded, refuse_absent

if TYPE_CHECKING:
    import pandas as pd

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # new files are zip files

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]  # in columns that hold no categories


def derive(columns: Columns) -> dict[str, NDArray[Any]]:
    """Add two columns for each date and time NAME: NAME_minute_of_day (0 to 1439) and NAME_day_of_week (Monday is 0).

    Both are NaN where the date is missing. All columns have shape [rows]. A config declares the derived columns that it
    uses, with `derived_from: [NAME]`.
    """
    derived = dict(columns)
    for name, values in columns.items():
        if values.dtype.kind != "M":
            continue

        missing = np.isnat(values)
        day, minute = np.divmod(values.astype("datetime64[m]").astype(np.int64), 1440)
        derived[f"{name}_minute_of_day"] = np.where(missing, np.nan, minute)
        derived[f"{name}_day_of_week"] = np.where(missing, np.nan, (day + 3) % 7)  # 1 January 1970 was a Thursday
    return derived


def load(file: DataFile, columns: Mapping[str, Column]) -> Loaded:
    """Load the rows of one file under the declared names of the columns.

    Raises DataError if there is no such file, if it cannot be read, if it lacks a column, or if it has one twice.
    """
    import pandas as pd

    if file.path is None:
        raise DataError("data.path: is missing; a table is read from the CSV or Parquet file that it names")
    path = Path(file.path)
    content = file_content(path)
    headers = {name: column.source or name for name, column in columns.items() if column.brought}
    text = {header for name, header in headers.items() if columns[name].kind == "category" or columns[name].positive}
    absent = {}
    for name, header in headers.items():
        absent[header] = [*missing_words(header in text), *file.missing, *map(str, columns[name].missing)]

    try:
        frame, names = read_frame(content, file, text, absent)
    except Exception as error:  # pyarrow and pandas raise a dozen kinds between them
        is_encoding = isinstance(error, UnicodeError)
        remedy = ". Write its encoding under data, such as encoding: cp1252" if is_encoding else ""
        raise DataError(f"data.path: {path}: cannot be read as {path.suffix or 'CSV'}: {error}{remedy}") from error

    refuse_absent(headers, names, str(path))
    if twice := [header for header in headers.values() if names.count(header) > 1]:
        raise DataError(f"{path}: has the column {twice[0]!r} twice. Rename one of them")
    rows = pd.DataFrame({name: frame[header] for name, header in headers.items()})
    return Loaded(rows, {}, {path.name: hashlib.sha256(content).hexdigest()})


def file_content(path: Path) -> bytes:
    """The bytes of a table's file. Raises DataError, with what to do, where it cannot be one."""
    try:
        if not path.is_file():
            fact = "is a folder; name a file in it" if path.is_dir() else "no such file"
            raise DataError(f"{path.absolute()}: {fact}")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None

    if content.startswith(EXCEL):
        raise DataError(f"{path}: is an Excel or zip file; save the sheet as CSV")
    return content


def missing_words(is_text: bool) -> list[str]:
    """What stands for a missing value. In a column of text only nothing does: None and NA may be words."""
    return [""] if is_text else MISSING


def read_frame(
    content: bytes, file: DataFile, text: set[str], absent: Mapping[str, Sequence[str]]
) -> tuple["pd.DataFrame", list[str]]:
    """The rows of a file with the columns `text` as text, with `absent` as missing by column, and the names it has.

    Gzip and Parquet are seen by their first bytes: a name may lie.
    """
    if content.startswith(PARQUET):
        frame = read_parquet(content)
        for header, values in absent.items():
            if header in frame:
                frame[header] = frame[header].mask(is_one_of(frame[header], values))
        return frame, [*frame.columns]

    plain = gzip.decompress(content) if content.startswith(GZIP) else content
    refuse_nul(plain, file.encoding)
    return read_csv(
        plain,
        file,
        decimal=file.decimal,
        dtype=dict.fromkeys(text, "string"),  # 01 is not 1
        na_values={header: list(values) for header, values in absent.items()},
    )


def read_parquet(content: bytes) -> "pd.DataFrame":
    """The table of a Parquet file. A column without a name gets the one that pandas gives it in a CSV file."""
    import pandas as pd

    frame = pd.read_parquet(io.BytesIO(content))
    frame.columns = pd.Index([str(name) or f"Unnamed: {number}" for number, name in enumerate(frame.columns)])
    return frame


def read_csv(plain: bytes, file: DataFile, **options: Any) -> tuple["pd.DataFrame", list[str]]:
    """The table of a CSV file, and the names in its first line: pandas renames a name that comes again.

    A column without a name has the one that pandas gives it, such as "Unnamed: 0".
    """
    import pandas as pd

    written: dict[str, Any] = {"sep": file.delimiter, "encoding": file.encoding, "skipinitialspace": True}
    written["keep_default_na"] = False
    first = pd.read_csv(io.BytesIO(plain), header=None, nrows=1, dtype=str, **written)
    frame = pd.read_csv(io.BytesIO(plain), **written, **options)
    refuse_long_rows(frame)
    return frame, [str(name or made_up) for name, made_up in zip(first.iloc[0], frame, strict=True)]


def is_one_of(values: "pd.Series[Any]", marks: Sequence[str]) -> "pd.Series[bool]":
    """Which values are a mark, as a CSV file would have them: -999 is the float -999.0 too."""
    import pandas as pd

    absent = as_text(values).isin(marks).fillna(False)
    if pd.api.types.is_float_dtype(values):
        absent |= values.isin(pd.to_numeric(pd.Series(marks, dtype=object), errors="coerce").dropna())
    return absent


def as_text(values: "pd.Series[Any]") -> "pd.Series[str]":
    """The values as text. Raises ValueError, with the column's name, for bytes that are no text."""
    try:
        return values.astype("string")
    except UnicodeDecodeError:
        raise ValueError(
            f"the column {values.name!r} holds bytes that are no text; save it as text, or without it"
        ) from None


def refuse_nul(content: bytes, encoding: str) -> None:
    """Raise ValueError for a NUL byte, where the encoding needs none."""
    if b"\0" in content and len("a".encode(encoding)) == 1:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise ValueError(f"line {line} has a NUL byte: it is no text, or has another encoding, such as utf-16")


def refuse_long_rows(frame: "pd.DataFrame") -> None:
    """Raise ValueError where pandas took first values for the names of rows, because there are more than names."""
    import pandas as pd

    if not isinstance(frame.index, pd.RangeIndex):
        raise ValueError("rows have more values than the first line has names: add the names, or quote the values")
