"""The row contract: what columns there are, and what each may hold.

Light: it knows numpy and pydantic, and nothing of training, YAML or any dataset.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from operator import itemgetter
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Task = Literal["binary", "regression"]
Rule = Literal["type", "range", "length", "values", "pattern"]
Action = Literal["reject", "nullify"]

OUTCOMES = {"binary": ("boolean",), "regression": ("number", "integer")}  # kinds of a target, by task
LONGEST = 100  # characters of a category value
FLOAT32_MAX = float(np.finfo(np.float32).max)


class Frozen(BaseModel):
    """A value that was checked once and is then trusted: no unknown key, no change."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, which would take a key that does not exist and say nothing."""
        if unknown := set(update or ()) - set(type(self).model_fields):
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        return super().model_copy(update=update, deep=deep)


class Scoring(NamedTuple):
    """How predictions are scored: by the task and, for a yes or no, from which probability on it is a yes."""

    task: Task
    threshold: float | None = None

    @property
    def cut(self) -> float:
        """The threshold, where there has to be one."""
        if self.threshold is None:
            raise ValueError(f"a {self.task} task has no threshold")
        return self.threshold


class RollingRule(Frozen):
    """How cases with the same key ended in the days before: the mean of their outcomes, shrunk to the usual one."""

    by: list[str] = Field(min_length=1, description="The columns whose values make the key.")
    days: int = Field(ge=1, description="Days before the row's own that count.")
    weight: float = Field(gt=0, description="Rows that the prior counts for.")
    text: str = Field(
        min_length=3, description="A sentence for people with {share} or {mean}, and {COLUMN} of the key."
    )


class Timing(Frozen):
    """A row's own time, by which the log counts days, and when outcomes are known, for features that remember them."""

    time: str = Field(description="The column with the row's date and time.")
    known: str | None = Field(None, description="The column with the time at which the outcome was known.")
    known_at: int = Field(0, ge=0, le=23, description="The hour at which yesterday counts as known.")
    ahead: float = Field(0, ge=0, description="Hours before the row's time at which it is asked.")


class Column(Frozen):
    """One column: what it is, what it may hold, when it is known, and what happens to a value that breaks a rule."""

    kind: Literal["category", "number", "integer", "boolean", "datetime"]
    known: Literal["before", "after"] = Field(description="Before or after the moment of prediction.")
    meaning: str = Field(min_length=3)
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    values: dict[str, str] | None = Field(None, description="The allowed values, each with its name.")
    pattern: str | None = Field(None, description="A regular expression that the whole value must match.")
    nullable: bool = False
    on_violation: dict[Rule, Action] = Field(
        {}, description="For each rule, what a breach does; reject where nothing is said."
    )
    derived_from: list[str] = Field([], description="The columns that `derive` makes this one of.")
    rolling: RollingRule | None = Field(None, description="Looked up where a caller does not send it.")
    private: bool = Field(False, description="Never written to the prediction log.")
    source: str | None = Field(None, description="The name in the data file, where it is another one.")
    example: str | int | float | bool | None = None

    @model_validator(mode="after")
    def rules_fit_the_kind(self) -> Self:
        numeric = self.kind in ("number", "integer")
        if (self.minimum is not None or self.maximum is not None) and not numeric:
            raise ValueError(f"minimum and maximum are for numbers, not for a {self.kind}")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is not below maximum {self.maximum:g}")
        if (self.values or self.pattern) and self.kind != "category":
            raise ValueError(f"values and pattern are for a category, not for a {self.kind}")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern {self.pattern!r} is not a regular expression: {error}") from None
        if self.rolling and (self.kind != "number" or not self.nullable or self.known == "after"):
            raise ValueError("what is remembered is a number that is known before and may be missing")
        if "nullify" in self.on_violation.values() and not self.nullable:
            raise ValueError("a breach can be nullified only where nullable is true")
        return self

    @property
    def brought(self) -> bool:
        """Whether the data has to bring it: it is neither derived nor remembered."""
        return not self.derived_from and not self.rolling

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value allowed; without a declared bound, what float32 can hold."""
        low = -FLOAT32_MAX if self.minimum is None else self.minimum
        return low, FLOAT32_MAX if self.maximum is None else self.maximum


class Contract(Frozen):
    """What a model is asked, from what, and for what: the part of a config that travels with the model."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    question: str
    noun: str = Field("case", description="What one row is, in a word, such as flight.")
    task: Task
    dataset: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    columns: dict[str, Column]
    timing: Timing | None = None
    features: list[str] = Field(min_length=1)
    target: str

    @field_validator("columns")
    @classmethod
    def names_can_be_fields(cls, columns: dict[str, Column]) -> dict[str, Column]:
        for name in columns:
            if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]*", name):
                raise ValueError(
                    f"column names are letters, digits and underscores, and {name!r} is not: "
                    f"rename it and say `source: {name}`"
                )
            if hasattr(BaseModel, name) or name == "Config":
                raise ValueError(f"{name} means something else to pydantic: rename it and say `source: {name}`")
        for name, column in columns.items():
            if unknown := [origin for origin in column.derived_from if origin not in columns]:
                raise ValueError(f"{name} is derived from {unknown[0]}, which is not a declared column")
            if twice := [origin for origin in column.derived_from if columns[origin].derived_from]:
                raise ValueError(
                    f"{name} is derived from {twice[0]}, which is derived itself: name what a caller sends"
                )
            if late := [o for o in column.derived_from if column.known == "before" and columns[o].known == "after"]:
                raise ValueError(f"{name} is said to be known before, but is derived from {late[0]}, known only after")
        return columns

    @field_validator("timing")
    @classmethod
    def timing_names_datetimes(cls, memory: Timing | None, info: ValidationInfo) -> Timing | None:
        columns: dict[str, Column] = info.data.get("columns") or {}
        times = {} if memory is None else {"time": (memory.time, "before"), "known": (memory.known, "after")}
        for key, (name, when) in times.items():
            column = columns.get(name or "")
            if (
                columns
                and name
                and (column is None or (column.kind, column.known, column.nullable) != ("datetime", when, False))
            ):
                raise ValueError(f"{key}: {name} is not a declared datetime that is known {when} and never missing")
        return memory

    @field_validator("features")
    @classmethod
    def features_are_known_before(cls, features: list[str], info: ValidationInfo) -> list[str]:
        columns: dict[str, Column] = info.data.get("columns") or {}
        if not columns:  # their own error is reported already
            return features
        if twice := {name for name in features if features.count(name) > 1}:
            raise ValueError(f"listed twice: {', '.join(sorted(twice))}")
        for name in features:
            if name not in columns:
                raise ValueError(f"{name} is not a declared column")
            if columns[name].known == "after":
                raise ValueError(f"{name} is known only after the moment of prediction: it cannot be a feature")
            if columns[name].kind == "datetime":
                raise ValueError(f"{name} is a date and time: derive a category or a number from it")
        return features

    @field_validator("features")
    @classmethod
    def features_can_be_looked_up(cls, features: list[str], info: ValidationInfo) -> list[str]:
        columns: dict[str, Column] = info.data.get("columns") or {}
        if not columns:
            return features
        sent = {origin for name in features for origin in columns[name].derived_from or [name]}
        memory: Timing | None = info.data.get("timing")
        for name in features:
            if rule := columns[name].rolling:
                if memory is None or memory.time not in sent:
                    raise ValueError(f"{name} is remembered: timing.time has to name a column that a caller sends")
                if lost := [by for by in rule.by if by not in sent or columns[by].kind not in ("category", "integer")]:
                    raise ValueError(f"{name} remembers by {lost[0]}, which is no category or integer that is sent")
                if hidden := [by for by in [*rule.by, memory.time] if columns[by].private]:
                    raise ValueError(f"{name} remembers by {hidden[0]}, which is private: no log could tell it")
        return features

    @field_validator("target")
    @classmethod
    def target_is_a_known_outcome(cls, target: str, info: ValidationInfo) -> str:
        columns: dict[str, Column] = info.data.get("columns") or {}
        if columns and target not in columns:
            raise ValueError(f"{target} is not a declared column")
        kinds = OUTCOMES.get(str(info.data.get("task")), ())
        if columns and kinds and (columns[target].known != "after" or columns[target].kind not in kinds):
            raise ValueError(
                f"the target {target} of a {info.data.get('task')} task has to be a {' or an '.join(kinds)} that is "
                "known after the moment of prediction"
            )
        if columns and columns[target].nullable:
            raise ValueError(f"the target {target} cannot be nullable: a row without an outcome teaches nothing")
        return target

    @cached_property
    def strings(self) -> list[str]:
        """Category features, in the order of the first tensor."""
        return [name for name in self.features if self.columns[name].kind == "category"]

    @cached_property
    def numbers(self) -> list[str]:
        """All other features, in the order of the second tensor."""
        return [name for name in self.features if self.columns[name].kind != "category"]

    @cached_property
    def request(self) -> dict[str, Column]:
        """The columns that a caller sends: the features as they are, what the derived ones are made of, and the time by
        which the log counts days.
        """
        needed = {origin for name in self.features for origin in self.columns[name].derived_from or [name]}
        needed |= {self.timing.time} if self.timing else set()
        return {name: column for name, column in self.columns.items() if name in needed}

    @cached_property
    def rolling(self) -> dict[str, RollingRule]:
        """The request columns that are looked up, with how."""
        return {name: column.rolling for name, column in self.request.items() if column.rolling}

    @cached_property
    def by_array(self) -> tuple[list[str], dict[str, str]]:
        """The request columns that travel as float64, and the others with their kinds."""
        kinds: dict[str, str] = {name: column.kind for name, column in self.request.items()}
        others = {name: kind for name, kind in kinds.items() if kind in ("category", "datetime")}
        return [name for name in self.request if name not in others], others

    @cached_property
    def numbers_of(self) -> Any:
        """A function that takes from a whole row what travels as float64."""
        numeric = self.by_array[0]
        return itemgetter(*numeric) if numeric else _nothing


def _nothing(_: Mapping[str, Any]) -> tuple[()]:
    return ()
