"""Find a dataset's module by its name, the type that its `load` function returns, and the check of its columns."""

import difflib
import hashlib
import importlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, NamedTuple, Self

from pydantic import Field, field_serializer, model_validator

from pipeline.errors import ConfigError, DataError
from pipeline.runtime.contract import Frozen

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = ";\t|,"
ADDRESS = r"(https://[\w.-]+(:\d+)?|http://(localhost|127\.0\.0\.1)(:\d+)?)/[!-~]+"  # printable ASCII, no password


class DataFile(Frozen):
    """A file of rows, and how it is written. Compression is seen in the file itself."""

    path: str | None = Field(
        None, description="The CSV or Parquet file, for `dataset: table`; relative to this config's folder."
    )
    url: str | None = Field(None, description="Where the file is downloaded from if it is not there; needs sha256.")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="The hash that the file has to have.")
    max_megabytes: float = Field(1000, gt=0, description="A larger file is not downloaded.")
    delimiter: str = Field(",", min_length=1, max_length=1, description="What separates the values of a CSV file.")
    encoding: str = Field("utf-8", description="The encoding of a CSV file, such as latin-1.")
    decimal: str = Field(".", min_length=1, max_length=1, description="The decimal sign of a CSV file.")
    missing: list[str] = Field([], description="More values that stand for a missing one in every column, such as ?.")

    @model_validator(mode="after")
    def url_can_be_used(self) -> Self:
        if self.url and not (re.fullmatch(ADDRESS, self.url, re.ASCII) and self.path and self.sha256):
            place = "url: should be https://HOST/PATH without a password (http for localhost alone)"
            raise ValueError(f"{place}, beside `path`, where the file is kept, and `sha256`, its hash")
        return self

    @field_serializer("url")
    def public_url(self, url: str | None) -> str | None:
        """The address as it is printed and recorded: without a query, which may hold the key of a private store."""
        return url and re.split("[?#]", url)[0]


class Loaded(NamedTuple):
    """The result of a dataset's `load` function.

    `frame` has the raw rows, `counts` the number of rows repaired or dropped by reason, `hashes` the SHA-256 of each
    file read, and `names` the display names of category values by column.
    """

    frame: "pd.DataFrame"
    counts: dict[str, int]
    hashes: dict[str, str]
    names: Mapping[str, Mapping[str, str]] = MappingProxyType({})


def find(name: str) -> ModuleType:
    """Import the module of a dataset. Raises ConfigError where no dataset has that name."""
    try:
        return importlib.import_module(f"pipeline.datasets.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"pipeline.datasets.{name}":
            raise
        here = sorted(path.stem for path in (Path(__file__).parent.parent / "datasets").glob("[a-z]*.py"))
        raise ConfigError(f"dataset {name!r} is not in src/pipeline/datasets. Found: {', '.join(here)}") from None


def module_hash(name: str) -> str:
    """Return the SHA-256 of the dataset's source file."""
    return hashlib.sha256(Path(str(find(name).__file__)).read_bytes()).hexdigest()


def refuse_absent(headers: Mapping[str, str], present: Iterable[str], place: str) -> None:
    """Raise DataError that lists every declared column that the data lack, with the most similar name there.

    `headers` has the name in the data by declared name, `present` the names that are there.
    """
    names = list(present)
    absent = {name: header for name, header in headers.items() if header not in names}
    if not absent:
        return

    by_letters = {letters(name): name for name in reversed(names)}
    lines = []
    unlike = []
    for name, header in absent.items():
        near = difflib.get_close_matches(letters(header), by_letters, n=1)
        if near:
            lines.append(f"  {name}: is it {by_letters[near[0]]!r}? Then write source: {by_letters[near[0]]}")
        else:
            unlike.append(header)
    if unlike:
        lines.append(f"  nothing like {', '.join(unlike)}")

    marks = [mark for mark in DELIMITERS if len(names) == 1 and mark in names[0]]
    if marks:
        lines.append(f"There is one column only: write delimiter: {json.dumps(marks[0])} under data")
    elif len(unlike) > len(headers) / 2:
        lines.append("Is data.path right? Write columns: !replace if they come from a config that this one extends")
    shown = ", ".join(names)[:1000]
    raise DataError(
        f"{place}: has no column for {len(absent)} of {len(headers)} declared ones. Name the right one with source, or "
        "remove them from columns:\n" + "\n".join([*lines, f"Found: {shown}"])
    )


def letters(name: str) -> str:
    """The name as small letters and digits, by which names are compared."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
