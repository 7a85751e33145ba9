"""Read a YAML file into a `Config`: every training setting, typed, validated and immutable.

This is the only module that parses settings. It does not know any dataset or training library.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from pipeline.config import yaml_reader
from pipeline.config.candidates import Candidates, Search, faults
from pipeline.config.card import Card
from pipeline.config.explain import explain
from pipeline.config.gates import Gates
from pipeline.config.monitoring import Monitor, Replay, Retrain
from pipeline.config.splits import GroupSplit, Plan, TimeSplit
from pipeline.config.training import Costs, Data, Masking, Paths, Train
from pipeline.errors import ConfigError
from pipeline.evaluation.metrics import DECISIVE, REPORTED, reported
from pipeline.runtime.contract import Column, Contract, Scoring, sent_columns


class Config(Contract):
    """All settings of one training: the contract of the rows, and how to train, evaluate and promote a model."""

    data: Data = Field(Data(), description="Where the rows come from.")
    split: Annotated[
        Plan, Field(discriminator="by", description="How rows become folds and a holdout: by time, group or row.")
    ]
    candidates: Candidates = Field(
        Candidates(),
        description="The kinds of model to compare, with their settings. Without any, they and the search follow the "
        "number of rows.",
    )
    search: Search = Field(Search(), description="The search over their settings.")
    costs: Annotated[
        Costs | None,
        Field(validate_default=True, description="The cost of each kind of error; a binary task needs it."),
    ] = None
    class_costs: dict[str, dict[str, Annotated[float, Field(ge=0)]]] = Field(
        {},
        description="What a wrong label of a multiclass task costs, by outcome and then by label; 1 where it is left "
        "out. Without any, the label is the most probable class.",
    )
    masking: Masking = Field(Masking(), description="Which optional columns callers leave out together.")
    gates: Gates = Field(Gates(), description="The limits that a model has to pass to be promoted.")
    retrain: Retrain | None = Field(None, description="How a model is trained again on newer data.")
    monitor: Monitor = Field(Monitor(), description="How the champion is monitored.")
    replay: Replay = Field(Replay(), description="The part of the data that `make replay` plays.")
    train: Train = Field(Train(), description="General settings of a training.")
    card: Card = Field(Card(), description="What people declare for the model card and the data card.")
    paths: Paths = Field(Paths(), description="Where results are written.")

    @field_validator("data")
    @classmethod
    def keys_are_known(cls, data: Data, info: ValidationInfo) -> Data:
        columns: dict[str, Column] = info.data.get("columns") or {}
        for name in data.key:
            if columns and (name not in columns or not columns[name].brought or columns[name].nullable):
                raise ValueError(f"key: {name} is not a declared column of the data that is never missing")
        return data

    @field_validator("masking")
    @classmethod
    def groups_are_optional(cls, masking: Masking, info: ValidationInfo) -> Masking:
        columns: dict[str, Column] = info.data.get("columns") or {}
        for group, names in masking.groups.items():
            for name in names:
                if columns and (name not in columns or not columns[name].nullable or columns[name].known == "after"):
                    raise ValueError(f"groups.{group}: {name} is not a declared column that a caller may leave out")
        return masking

    @field_validator("split")
    @classmethod
    def split_can_be_made(cls, split: Plan, info: ValidationInfo) -> Plan:
        columns: dict[str, Column] = info.data.get("columns") or {}
        data: Data | None = info.data.get("data")

        if isinstance(split, TimeSplit) and columns:
            column = columns.get(split.time)
            if column is None or column.kind != "datetime" or column.nullable:
                raise ValueError(f"time: {split.time} is not a declared datetime column that is never missing")
        if data and data.until and not isinstance(split, TimeSplit):
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
        if task != "binary" and costs is not None:
            raise ValueError(f"are for a binary task: a {task} task has no threshold")
        return costs

    @field_validator("class_costs")
    @classmethod
    def costs_are_of_classes(
        cls, costs: dict[str, dict[str, float]], info: ValidationInfo
    ) -> dict[str, dict[str, float]]:
        target: Column | None = (info.data.get("columns") or {}).get(info.data.get("target", ""))
        if costs and info.data.get("task") in REPORTED and info.data["task"] != "multiclass":
            raise ValueError("are for a multiclass task")
        named = {*costs, *chain.from_iterable(costs.values())}
        if target and (unknown := sorted(named - set(target.values or ()))):
            raise ValueError(f"{unknown[0]} is no class of the target; known: {', '.join(target.values or ())}")
        return costs

    @field_validator("gates")
    @classmethod
    def gates_can_be_asked(cls, gates: Gates, info: ValidationInfo) -> Gates:
        columns: dict[str, Column] = info.data.get("columns") or {}
        refuse_unknown_metrics("holdout", gates.holdout, info)
        refuse_unknown_metrics("slices.metrics", gates.slices.metrics, info)

        features: list[str] = info.data.get("features") or []
        if not columns or not features:
            return gates  # invalid columns or features are reported by their own validators

        sent = sent_columns(features, columns)
        for name in gates.slices.columns:
            if name not in sent or columns[name].kind != "category":
                raise ValueError(f"slices.columns: {name} is not a category that a caller sends")
            if columns[name].private:
                raise ValueError(f"slices.columns: {name} is private, and its values would stand in cards and reports")
        return gates

    @field_validator("retrain")
    @classmethod
    def retraining_has_time(cls, retrain: Retrain | None, info: ValidationInfo) -> Retrain | None:
        if retrain is None:
            return None

        split = info.data.get("split")
        if split and not isinstance(split, TimeSplit):
            raise ValueError("is for a split by time")
        refuse_unknown_metrics("holdout", retrain.holdout, info)
        return retrain

    @field_validator("search")
    @classmethod
    def search_can_be_made(cls, search: Search, info: ValidationInfo) -> Search:
        candidates: Candidates | None = info.data.get("candidates")
        if candidates and not candidates.named() and search != Search():
            raise ValueError("is for candidates that are named: without `candidates` both follow the number of rows")
        errors = faults(search, candidates) if candidates is not None else []
        if errors:
            raise ValueError("; ".join(errors))
        return search

    @field_validator("train")
    @classmethod
    def only_numbers_are_clipped(cls, train: Train, info: ValidationInfo) -> Train:
        if train.clip and info.data.get("task") != "regression":
            raise ValueError("clip: is for a regression")
        return train

    @property
    def loss(self) -> str:
        """The metric by which models are compared: log loss or, for a regression, mean absolute error."""
        return DECISIVE[self.task][0]

    @property
    def scoring(self) -> Scoring:
        threshold = self.costs.threshold if self.costs else None
        return Scoring(self.task, threshold, self.classes, self.cost_matrix)

    @property
    def cost_matrix(self) -> tuple[tuple[float, ...], ...]:
        """`class_costs` as Scoring has them, complete; empty without any."""
        rows = []
        for outcome in self.classes if self.class_costs else ():
            costs = {name: float(name != outcome) for name in self.classes} | self.class_costs.get(outcome, {})
            rows.append(tuple(costs.values()))
        return tuple(rows)

    @cached_property
    def contract(self) -> Contract:
        """The part of the config that is saved in the bundle, without validating it again.

        What stands for a missing value in the whole file does so in each of its columns.
        """
        parts = {name: getattr(self, name) for name in Contract.model_fields}
        if marks := self.data.missing:
            columns = self.columns.items()
            parts["columns"] = {
                name: column.model_copy(update={"missing": [*column.missing, *marks]}) for name, column in columns
            }
        return Contract.model_construct(**parts)


def refuse_unknown_metrics(part: str, names: Iterable[str], info: ValidationInfo) -> None:
    """Raises ValueError for a name of no metric of the task. A task that is invalid has its own fault."""
    task = info.data.get("task")
    if task not in REPORTED:
        return
    target: Column | None = (info.data.get("columns") or {}).get(info.data.get("target", ""))
    classes = tuple(target.values or ()) if target and task == "multiclass" else ()
    known = reported(Scoring(task, None, classes))
    for name in names:
        if name not in known:
            raise ValueError(f"{part}: {name} is no metric of a {task} task. Known: {', '.join(known)}")


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Load the config in `path`, merged over the file that it `extends`, with each override `a.b=c` applied.

    Raises ConfigError that lists all faults at once: place, key, the value, and the value that is expected.
    """
    tree, places = yaml_reader.read(path)
    resolve_path(tree, places)
    for text in overrides:
        tree = yaml_reader.override(tree, text, places)

    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise ConfigError("\n".join(explain(faults, Config.model_json_schema(), places, path))) from None


def resolve_path(tree: dict[str, Any], places: Mapping[yaml_reader.Key, str]) -> None:
    """Make `data.path` relative to the folder of the file that it stands in."""
    data = tree.get("data")
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        file = places["data", "path"].rpartition(":")[0]
        data["path"] = os.path.normpath(Path(file).parent / data["path"])
