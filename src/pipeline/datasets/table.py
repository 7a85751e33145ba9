"""Any CSV or Parquet file as a dataset. The config alone declares the columns: this module knows no file.

Features are the columns, and the minute of the day and the day of the week of each date and time.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.runtime.arrays import Columns
from pipeline.runtime.contract import Column
from pipeline.runtime.dataset import Loaded

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


def load(path: Path | None, columns: Mapping[str, Column]) -> Loaded:
    """Load the rows of one file under the declared names of the columns.

    Raises DataError if there is no such file, if it cannot be read, or if it lacks a column.
    """
    import pandas as pd

    if path is None:
        raise DataError("data.path: is missing; a table is read from the CSV or Parquet file that it names")
    if not path.is_file():
        raise DataError(f"data.path: {path.absolute()}: no such file")

    headers = {name: column.source or name for name, column in columns.items() if column.brought}
    text = {header for name, header in headers.items() if columns[name].kind == "category"}
    absent = {header: [""] if header in text else MISSING for header in headers.values()}

    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:  # read categories as text: 01 is not 1, and None is a word
            types = dict.fromkeys(text, "string")
            frame = pd.read_csv(path, dtype=types, na_values=absent, keep_default_na=False)
    except Exception as error:  # pyarrow and pandas raise a dozen kinds between them
        raise DataError(f"data.path: {path}: cannot be read as {path.suffix or 'CSV'}: {error}") from error

    if missing := [header for header in headers.values() if header not in frame]:
        raise DataError(f"{path}: has no column {missing[0]!r}. Found: {', '.join(map(str, frame.columns))}")
    rows = pd.DataFrame({name: frame[header] for name, header in headers.items()})
    return Loaded(rows, {}, {path.name: hashlib.sha256(path.read_bytes()).hexdigest()})
