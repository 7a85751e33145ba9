"""One chunk of rows: checked, predicted, and written with its predictions. It is the unit of work of a scoring."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.datasets import table
from pipeline.errors import DataError
from pipeline.runtime import bundle_store, shapley
from pipeline.runtime.arrays import Columns, json_bytes, take_rows
from pipeline.runtime.contract import Contract
from pipeline.runtime.dataset import DataFile
from pipeline.runtime.predictor import Predictor, as_predictions, load
from pipeline.scoring.files import format_of
from pipeline.scoring.rows import check

REASONS = 3  # that an explanation has


class Task(NamedTuple):
    """One chunk: its content, how many rows of its file come before it, and the files of its result."""

    bundle: Path
    chunk: Any
    path: Path
    before: int
    file: DataFile
    part: Path
    explain: bool


class Scored(NamedTuple):
    """Rows of a chunk or of a file, and how many of them were rejected."""

    rows: int
    rejected: int


@lru_cache(maxsize=1)
def loaded(folder: Path) -> Predictor:
    """The bundle of a folder, loaded and verified once in each process."""
    return load(folder)


def score_chunk(task: Task) -> Scored:
    """Score a chunk and write its part, then its rejected rows, and last the counts that tell that both are there."""
    predictor = loaded(task.bundle)
    format_ = format_of(task.path)
    frame = format_.frame(task.chunk)
    headers = set(map(str, frame))
    sent = named_by_contract(frame, task, predictor.contract)
    checked = check(sent, predictor.contract, typed=format_.typed)

    added = named_apart(results(predictor, checked.columns, explain=task.explain), headers)
    format_.write(task.part, task.chunk, checked.valid, added, task.before == 0)
    if checked.reasons:
        numbers = [task.before + position + 1 for position in checked.reasons]
        rejected = frame.iloc[list(checked.reasons)].assign(row=numbers, reason=list(checked.reasons.values()))
        rejected.to_json(task.part.with_suffix(".rejected"), orient="records", lines=True, date_format="iso")

    count = Scored(len(sent), len(checked.reasons))
    bundle_store.replace(task.part.with_suffix(".json"), json_bytes(count._asdict()))
    return count


def named_by_contract(frame: pd.DataFrame, task: Task, contract: Contract) -> pd.DataFrame:
    """The columns of a request, under their names in the contract. A file may have them under those of the data.

    Raises DataError where the file lacks one that no row may lack.
    """
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{task.path}: has the column {str(twice[0])!r} twice. Rename one of them")

    columns = {}
    for name, column in contract.request.items():
        header = name if name in frame else column.source
        if header in frame:
            columns[name] = as_the_data_is_written(frame[header], column.kind, task.file)
        elif not column.nullable:
            known = ", ".join(map(str, list(frame)[:10]))
            raise DataError(f"{task.path}: has no column {name}, which every row needs; it has {known}")
    return pd.DataFrame(columns, index=frame.index)


def as_the_data_is_written(values: "pd.Series[Any]", kind: str, file: DataFile) -> "pd.Series[Any]":
    """Read the decimal sign and the marks of missing values of the config's data file."""
    if values.dtype != object and not pd.api.types.is_string_dtype(values):
        return values
    marks = [*(table.MISSING if kind != "category" else []), *file.missing]
    values = values.mask(values.isin(marks)) if marks else values
    decimal = file.decimal != "." and kind in ("number", "integer")
    return values.str.replace(file.decimal, ".", regex=False) if decimal else values


def results(predictor: Predictor, columns: Columns, *, explain: bool) -> dict[str, list[Any]]:
    """The columns that a response has for each row, and the strongest reasons of each prediction."""
    rows = len(next(iter(columns.values())))
    if not rows:
        return {name: [] for name in results(predictor, predictor.golden.columns, explain=False)}

    predictions = predictor.predict(columns)
    named = as_predictions(predictions, predictor.scoring)
    if "probabilities" in named:
        probabilities = pd.DataFrame(named.pop("probabilities")).add_prefix("probability_")
        named = {str(name): values.tolist() for name, values in probabilities.items()} | named

    if explain:
        reasons = [strongest(predictor, columns, row, predictions[row]) for row in range(rows)]
        for place, values in enumerate(zip(*reasons, strict=True), 1):
            named[f"reason_{place}"] = list(values)
    return named


def strongest(predictor: Predictor, columns: Columns, row: int, prediction: Any) -> list[str]:
    """The fields that moved a prediction most, each with its Shapley value; of the most probable class."""
    number = int(np.argmax(prediction)) if predictor.contract.classes else None
    filled = predictor.with_rolling_features(take_rows(columns, np.array([row])))
    contributions = shapley.explain(predictor, filled, number=number).contributions
    ranked = sorted(contributions, key=lambda field: -abs(contributions[field]))[:REASONS]
    return [*(f"{field} {contributions[field]:+.4g}" for field in ranked), *[""] * (REASONS - len(ranked))]


def named_apart(added: Mapping[str, list[Any]], headers: Collection[str]) -> dict[str, list[Any]]:
    """Give the new columns other names where the file has theirs already."""
    taken = any(name in headers for name in added)
    return {f"predicted_{name}" if taken else name: values for name, values in added.items()}
