"""Every training setting, typed and frozen: a YAML file in, a `Config` out, or one message that says what to mend.

The only place that parses settings. Nothing here knows a dataset or a library that trains.
"""

import difflib
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from pipeline.config import yaml_reader
from pipeline.config.candidates import Candidates, Search, faults
from pipeline.config.gates import ASKED, Bounds, Gates
from pipeline.config.monitoring import Monitor, Replay, Retrain
from pipeline.config.splits import GroupSplit, Plan, TimeSplit
from pipeline.errors import ConfigError
from pipeline.evaluation.metrics import DECISIVE, REPORTED
from pipeline.runtime.contract import Column, Contract, Frozen, Scoring


class Data(Frozen):
    path: str | None = Field(None, description="The file of a `table`; a dataset that brings its own files has none.")
    licence: str | None = Field(None, description="Of the data, by its SPDX identifier, such as CC0-1.0.")
    sample: float = Field(1.0, gt=0, le=1, description="Share of the days, groups or rows to train on.")
    until: date | None = Field(None, description="Rows from this day on are left out; for a split by time.")
    key: list[str] = Field(
        [], description="Columns that tell a row from every other; all that are known before where none are named."
    )
    max_rejected: float = Field(0.001, ge=0, lt=1, description="Share of rejected rows above which training stops.")


class Train(Frozen):
    seed: int = Field(0, ge=0, lt=2**32)
    workers: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto",
        description="Processes that fit folds side by side, one thread each; auto is one for each core. The result "
        "does not depend on it.",
    )
    rare: int = Field(50, ge=1, description="A category value with fewer training rows counts as unknown.")
    resamples: int = Field(500, ge=20, description="Bootstrap resamples behind each interval.")
    clip: Bounds | None = Field(None, description="A regression trains on outcomes cut to these; it is scored on all.")


class Costs(Frozen):
    """What a miss costs against a false alarm; the threshold follows: false_alarm / (false_alarm + miss)."""

    miss: float = Field(gt=0)
    false_alarm: float = Field(gt=0)

    @property
    def threshold(self) -> float:
        return self.false_alarm / (self.false_alarm + self.miss)


class Paths(Frozen):
    models: str = "models"
    reports: str = "reports"
    tracking: str = Field(
        "sqlite:///mlflow.db", description="MLflow's store; the command line takes MLFLOW_TRACKING_URI for it."
    )


class Config(Contract):
    """One training, whole: the contract of the rows and how to learn from them."""

    data: Data = Data()
    split: Annotated[Plan, Field(discriminator="by")]
    candidates: Candidates
    search: Search = Search()
    costs: Annotated[Costs | None, Field(validate_default=True)] = None
    gates: Gates
    retrain: Retrain | None = None
    monitor: Monitor = Monitor()
    replay: Replay = Replay()
    train: Train = Train()
    paths: Paths = Paths()

    @field_validator("data")
    @classmethod
    def keys_are_known(cls, data: Data, info: ValidationInfo) -> Data:
        columns: dict[str, Column] = info.data.get("columns") or {}
        for name in data.key:
            if columns and (name not in columns or not columns[name].brought or columns[name].nullable):
                raise ValueError(f"key: {name} is not a declared column of the data that is never missing")
        return data

    @field_validator("split")
    @classmethod
    def split_can_be_made(cls, split: Plan, info: ValidationInfo) -> Plan:
        columns: dict[str, Column] = info.data.get("columns") or {}
        if isinstance(split, TimeSplit) and columns:
            column = columns.get(split.time)
            if column is None or column.kind != "datetime" or column.nullable:
                raise ValueError(f"time: {split.time} is not a declared datetime column that is never missing")
        if (data := info.data.get("data")) and data.until and not isinstance(split, TimeSplit):
            raise ValueError("by: data.until is for a split by time")
        if isinstance(split, GroupSplit) and columns:
            column = columns.get(split.group)
            if column is None or column.kind not in ("category", "integer") or column.nullable or column.derived_from:
                raise ValueError(f"group: {split.group} is not a declared category or integer that is never missing")
        return split

    @field_validator("costs")
    @classmethod
    def costs_make_a_threshold(cls, costs: Costs | None, info: ValidationInfo) -> Costs | None:
        task = info.data.get("task")
        if task == "binary" and costs is None:
            raise ValueError("are missing: what a miss costs against a false alarm decides the threshold")
        if task == "regression" and costs is not None:
            raise ValueError("are for a binary task: a regression has no threshold")
        return costs

    @field_validator("gates")
    @classmethod
    def gates_can_be_asked(cls, gates: Gates, info: ValidationInfo) -> Gates:
        task: Any = info.data.get("task")
        for part, named in (("holdout", gates.holdout), ("slices.figures", gates.slices.figures)):
            if wrong := [name for name in named if task in ASKED and name not in REPORTED[task]]:
                raise ValueError(
                    f"{part}: {wrong[0]} is no metric of a {task} task. Known: {', '.join(REPORTED[task])}"
                )
        if absent := [name for name in ASKED.get(task, ()) if name not in gates.holdout]:
            raise ValueError(
                f"holdout: every {task} task has limits for {', '.join(ASKED[task])}; {absent[0]} has none"
            )
        columns: dict[str, Column] = info.data.get("columns") or {}
        features: list[str] = (info.data.get("features") or []) if columns else []
        sent = {origin for name in features for origin in columns[name].derived_from or [name]}
        categories = [name for name in sent if columns[name].kind == "category"]
        if wrong := [name for name in gates.slices.columns if features and name not in categories]:
            raise ValueError(f"slices.columns: {wrong[0]} is not a category that a caller sends")
        return gates

    @field_validator("retrain")
    @classmethod
    def retraining_has_time(cls, retrain: Retrain | None, info: ValidationInfo) -> Retrain | None:
        task: Any = info.data.get("task")
        if retrain and (split := info.data.get("split")) and not isinstance(split, TimeSplit):
            raise ValueError("is for a split by time")
        if retrain and (wrong := [name for name in retrain.holdout if task in ASKED and name not in REPORTED[task]]):
            raise ValueError(f"holdout: {wrong[0]} is no metric of a {task} task. Known: {', '.join(REPORTED[task])}")
        return retrain

    @field_validator("search")
    @classmethod
    def search_can_be_made(cls, search: Search, info: ValidationInfo) -> Search:
        candidates: Candidates | None = info.data.get("candidates")
        if candidates is not None and (wrong := faults(search, candidates)):
            raise ValueError("; ".join(wrong))
        return search

    @field_validator("train")
    @classmethod
    def only_numbers_are_clipped(cls, train: Train, info: ValidationInfo) -> Train:
        if train.clip and info.data.get("task") == "binary":
            raise ValueError("clip: is for a regression")
        return train

    @property
    def loss(self) -> str:
        """The figure that decides: log loss, or for a regression the mean absolute error."""
        return DECISIVE[self.task][0]

    @property
    def scoring(self) -> Scoring:
        return Scoring(self.task, self.costs.threshold if self.costs else None)

    @cached_property
    def contract(self) -> Contract:
        return Contract.model_construct(**{name: getattr(self, name) for name in Contract.model_fields})


RENAMED = {  # keys of configs that were written before
    "memory": "timing",
    "remembers": "rolling",
    "breach": "on_violation",
    "surely": "use_interval",
    "alone": "max_single_feature",
    "pooled": "pooled_windows",
    "least": "min_days",
    "alarms": "min_bad",
    "of": "out_of",
    "gone": "max_constant_share",
    "words": "text",
}


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """The config in `path`, on top of what it `extends`, with each override `a.b=c` applied.

    Raises ConfigError with every fault at once: place, key, what was found, what would be right.
    """
    places: dict[yaml_reader.Key, str] = {}
    tree = yaml_reader.read(path, places)
    for text in overrides:
        yaml_reader.override(tree, text, places)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, places, path))) from None


def _explain(error: ValidationError, places: dict[yaml_reader.Key, str], path: Path) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        loc = fault["loc"]
        key = (loc[0], *loc[2:]) if loc[:1] == ("split",) else loc  # pydantic names the kind of split in between
        nearest = next((key[:n] for n in range(len(key), 0, -1) if key[:n] in places), None)
        place = places[nearest] if nearest else str(path)
        yield f"{place}: {'.'.join(map(str, key))}: {_advice(fault, loc)}"


def _advice(fault: ErrorDetails, loc: yaml_reader.Key) -> str:
    if fault["type"] == "missing":
        return "is missing"
    if loc == ("task",) and fault["input"] == "classification":
        return "classification is called binary now"
    if fault["type"] == "extra_forbidden":
        here = list(_properties(loc[:-1]))
        if RENAMED.get(str(loc[-1])) in here:
            return f"is called {RENAMED[str(loc[-1])]} now"
        anywhere = here + [f"{section}.{key}" for section in _properties(()) for key in _properties((section,))]
        near = _nearest(str(loc[-1]), here) or _nearest(str(loc[-1]), anywhere)
        return f"is not a key here. {f'Did you mean {near}? ' if near else ''}Known: {', '.join(here)}"
    text = fault["msg"].removeprefix("Value error, ")
    return text if isinstance(fault["input"], dict) else f"{text}; found {fault['input']!r}"


def _nearest(name: str, keys: Sequence[str]) -> str | None:
    """The key whose last part is most like the name."""
    last_parts = {key.rpartition(".")[2].lower(): key for key in reversed(keys)}
    near = difflib.get_close_matches(name.lower(), last_parts, n=1, cutoff=0.5)
    return last_parts[near[0]] if near else None


def _properties(loc: yaml_reader.Key) -> dict[str, Any]:
    """The keys that may stand at `loc`, read from the JSON schema."""
    schema = Config.model_json_schema()
    node = schema
    for part in loc:
        if "discriminator" in node:
            node = {"$ref": node["discriminator"]["mapping"][part]}
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
        node = next((choice for choice in node.get("anyOf", []) if "$ref" in choice), node)
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    properties: dict[str, Any] = node.get("properties", {})
    return properties
