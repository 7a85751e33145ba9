"""Any CSV or Parquet file, from its config alone: the columns are the features."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.runtime.arrays import Columns
from pipeline.runtime.contract import Column
from pipeline.runtime.dataset import Loaded

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]  # in columns that are no categories


def derive(columns: Columns) -> dict[str, NDArray[Any]]:
    return dict(columns)


def load(path: Path | None, columns: Mapping[str, Column]) -> Loaded:
    """The rows of one file under the declared names. Raises DataError where it cannot be read or lacks a column."""
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
        else:  # categories are text from the start: 01 is not 1, and None is a word
            types = dict.fromkeys(text, "string")
            frame = pd.read_csv(path, dtype=types, na_values=absent, keep_default_na=False)
    except Exception as error:  # pyarrow and pandas raise a dozen kinds between them
        raise DataError(f"data.path: {path}: cannot be read as {path.suffix or 'CSV'}: {error}") from error
    if missing := [header for header in headers.values() if header not in frame]:
        raise DataError(f"{path}: has no column {missing[0]!r}. Found: {', '.join(map(str, frame.columns))}")
    rows = pd.DataFrame({name: frame[header] for name, header in headers.items()})
    return Loaded(rows, {}, {path.name: hashlib.sha256(path.read_bytes()).hexdigest()})
