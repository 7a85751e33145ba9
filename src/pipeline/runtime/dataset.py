"""A dataset's module by its name, and what its `load` gives."""

import hashlib
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


class Loaded(NamedTuple):
    """Raw rows, how many were mended or dropped on the way and why, and the SHA-256 of each file read; for people the
    names of categories' values, by column.
    """

    frame: "pd.DataFrame"
    counts: dict[str, int]
    hashes: dict[str, str]
    names: Mapping[str, Mapping[str, str]] = MappingProxyType({})


def find(name: str) -> ModuleType:
    """The module of a dataset. Raises ConfigError where there is none of that name."""
    try:
        return importlib.import_module(f"pipeline.datasets.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"pipeline.datasets.{name}":
            raise
        here = sorted(path.stem for path in (Path(__file__).parent.parent / "datasets").glob("[a-z]*.py"))
        raise ConfigError(f"dataset {name!r} is not in src/pipeline/datasets. Found: {', '.join(here)}") from None


def module_hash(name: str) -> str:
    """SHA-256 of the dataset's source file."""
    return hashlib.sha256(Path(str(find(name).__file__)).read_bytes()).hexdigest()
