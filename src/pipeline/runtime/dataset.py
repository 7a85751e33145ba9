"""Find a dataset's module by its name, and the type that its `load` function returns."""

import hashlib
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, NamedTuple, Self

from pydantic import Field, field_serializer, model_validator

from pipeline.errors import ConfigError
from pipeline.runtime.contract import Frozen

if TYPE_CHECKING:
    import pandas as pd


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
