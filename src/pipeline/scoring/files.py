"""Tables in files, chunk by chunk: CSV, Parquet and JSON Lines. A chunk is written as it was read."""

import gzip
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.datasets.table import refuse_long_rows
from pipeline.errors import ConfigError, DataError
from pipeline.runtime.dataset import DataFile

LINES = (".jsonl", ".ndjson")
Mask = NDArray[np.bool_]
Added = Mapping[str, Sequence[Any]]


class Format(NamedTuple):
    """How a format is read in chunks, what a chunk's rows are as a frame, how the rows of a mask are written with more
    columns (and a header, if it is the `first` part), and how parts become one file.
    """

    read: Callable[[Path, DataFile, int], Iterator[Any]]
    frame: Callable[[Any], pd.DataFrame]
    write: Callable[[Path, Any, Mask, Added, bool], None]
    join: Callable[[Sequence[Path], Path], None]
    typed: bool = False  # whether values have JSON's types


def format_of(path: Path) -> Format:
    """The format that a file's name tells. Raises ConfigError for another one."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        return Format(read_parquet, pa.RecordBatch.to_pandas, write_parquet, join_parquet)
    if name.endswith(".csv"):
        return Format(read_csv, pd.DataFrame, write_csv, join_lines)
    if name.endswith(LINES):
        return Format(read_lines, frame_of_lines, write_lines, join_lines, typed=True)
    raise ConfigError(f"{path}: its name should end with .csv, .parquet, .jsonl or .ndjson")


# --- Parquet --------------------------------------------------------------------------------------------------------


def read_parquet(path: Path, _: DataFile, rows: int) -> Iterator[pa.RecordBatch]:
    """Some row groups at a time: pyarrow keeps what it has read of those that it is asked for."""
    with pq.ParquetFile(path) as file:
        groups: list[int] = []
        for group in range(file.num_row_groups):
            groups.append(group)
            held = sum(file.metadata.row_group(number).num_rows for number in groups)
            if held >= rows or group == file.num_row_groups - 1:
                yield from file.iter_batches(rows, row_groups=groups)
                groups = []
        if not file.metadata.num_rows:
            yield pa.RecordBatch.from_pylist([], schema=file.schema_arrow)


def write_parquet(path: Path, chunk: pa.RecordBatch, rows: Mask, added: Added, _: bool) -> None:
    table = pa.Table.from_batches([chunk]).filter(pa.array(rows))
    for name, values in added.items():
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path)


def join_parquet(parts: Sequence[Path], target: Path) -> None:
    filled = [part for part in parts if pq.read_metadata(part).num_rows] or parts[:1]
    with pq.ParquetWriter(target, pq.read_schema(filled[0])) as writer:
        for part in filled:
            writer.write_table(pq.read_table(part))


# --- CSV ------------------------------------------------------------------------------------------------------------


def read_csv(path: Path, file: DataFile, rows: int) -> Iterator[pd.DataFrame]:
    """Every value is text, as it stands in the file. Raises ValueError for a row that is longer than the header."""
    written: dict[str, Any] = {"sep": file.delimiter, "encoding": file.encoding, "skipinitialspace": True}
    names = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, **written).iloc[0].tolist()
    with pd.read_csv(path, dtype=str, keep_default_na=False, chunksize=rows, **written) as chunks:
        for chunk in chunks:
            refuse_long_rows(chunk)
            chunk.columns = pd.Index(names)  # pandas renames a name that comes again
            chunk.attrs["sep"] = file.delimiter
            yield chunk


def write_csv(path: Path, chunk: pd.DataFrame, rows: Mask, added: Added, first: bool) -> None:
    chunk[rows].assign(**added).to_csv(path, index=False, header=first, sep=chunk.attrs["sep"])


def join_lines(parts: Sequence[Path], target: Path) -> None:
    with gzip.open(target, "wb") if target.name.endswith(".gz") else target.open("wb") as file:
        for part in parts:
            with part.open("rb") as content:
                shutil.copyfileobj(content, file)


# --- JSON Lines -----------------------------------------------------------------------------------------------------


def read_lines(path: Path, _: DataFile, rows: int) -> Iterator[list[dict[str, Any]]]:
    """Raises DataError for a line that is no JSON object."""
    records: list[dict[str, Any]] = []
    with gzip.open(path, "rt", encoding="utf-8") if path.name.endswith(".gz") else path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}: line {number} is no JSON: {error}") from None
            if not isinstance(record, dict):
                raise DataError(f"{path}: line {number} is no JSON object")

            records.append(record)
            if len(records) == rows:
                yield records
                records = []
    if records:
        yield records


def frame_of_lines(chunk: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(chunk, dtype=object)


def write_lines(path: Path, chunk: list[dict[str, Any]], rows: Mask, added: Added, _: bool) -> None:
    valid = (record for record, is_valid in zip(chunk, rows, strict=True) if is_valid)
    with path.open("w", encoding="utf-8") as file:
        for record, *values in zip(valid, *added.values(), strict=True):
            line = {**record, **dict(zip(added, values, strict=True))}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
