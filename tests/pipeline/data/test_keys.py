"""The declared key of a row, and rows that share theirs."""

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.data.keys import refuse_same_keys, rows_of_same_key
from pipeline.errors import DataError
from pipeline.runtime.arrays import Columns


def columns(*colours: str) -> Columns:
    return {"colour": np.array(colours, dtype=object), "good": np.zeros(len(colours))}


def with_key(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"data": config.data.model_copy(update={"key": ["colour"], **changes})})


def test_rows_with_the_key_of_another_row_are_found(tiny_config: Config) -> None:
    """Without a declared key no rows share one."""
    rows = columns("red", "blue", "green", "blue")
    assert rows_of_same_key(rows, with_key(tiny_config)).tolist() == [1, 3]
    assert rows_of_same_key(rows, tiny_config).tolist() == []


def test_more_of_them_than_declared_end_the_training(tiny_config: Config) -> None:
    """Two of four rows: a limit of one half lets them pass."""
    rows = columns("red", "blue", "green", "blue")
    repeated = np.array([1, 3])
    refuse_same_keys(rows, with_key(tiny_config, max_same_key=0.5), repeated)
    with pytest.raises(DataError, match=r"2 of 4 rows .*0\.49 allows \(1 rows\), such as colour blue"):
        refuse_same_keys(rows, with_key(tiny_config, max_same_key=0.49), repeated)
