"""The contract of a model: the columns of a row, the values that each column may hold, the features and the target.

This module uses numpy and pydantic. It knows nothing of training, YAML or any dataset.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from operator import itemgetter
from string import Formatter
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Task = Literal["binary", "multiclass", "regression"]
Rule = Literal["type", "range", "length", "values", "pattern"]
Action = Literal["reject", "nullify"]

OUTCOMES = {  # kinds of a target, by task
    "binary": ("boolean",),
    "multiclass": ("category",),
    "regression": ("number", "integer"),
}
CLASSES = (3, 50)  # the fewest and the most of a multiclass task
ROLLING_VALUES = ("share", "mean")  # what the text of a rolling feature may have of its value
LONGEST = 100  # characters of a category value
FLOAT32_MAX = float(np.finfo(np.float32).max)


class Frozen(BaseModel):
    """Base of all settings: validated once at construction, then immutable. Unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy as pydantic does, but raise TypeError for an unknown field, which pydantic would accept silently."""
        if unknown := set(update or ()) - set(type(self).model_fields):
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        return super().model_copy(update=update, deep=deep)


class Scoring(NamedTuple):
    """How predictions are scored: the task, the probability from which on a binary label is 1, the names of classes.

    `costs` are those of each label, by outcome and then by label, both in the order of the classes.
    """

    task: Task
    threshold: float | None = None
    classes: tuple[str, ...] = ()
    costs: tuple[tuple[float, ...], ...] = ()

    def labels(self, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
        """The number of the class to say for each row, by its probabilities [rows, classes].

        It is the one with the lowest expected cost or, without costs, the most probable.
        """
        gain = -(probabilities @ np.array(self.costs)) if self.costs else probabilities
        return np.asarray(gain.argmax(axis=1), dtype=np.int64)

    @property
    def cut(self) -> float:
        """The threshold. Raises ValueError for a task without one."""
        if self.threshold is None:
            raise ValueError(f"a {self.task} task has no threshold")
        return self.threshold


class RollingRule(Frozen):
    """One rolling feature: the mean outcome of rows with the same key in the `days` before, with `weight` more rows
    that have the prior mean. A multiclass task has the share of one class instead.
    """

    by: list[str] = Field(min_length=1, description="The columns whose values make the key.")
    days: int = Field(ge=1, description="Days before the row's own that count.")
    weight: float = Field(gt=0, description="Smoothing: the overall mean counts as so many more rows.")
    of: str | None = Field(None, description="The class whose share it is, of a multiclass task.")
    text: str = Field(
        min_length=3, description="A sentence for people with {share} or {mean}, and {COLUMN} of the key."
    )

    @field_validator("text")
    @classmethod
    def placeholders_have_values(cls, text: str, info: ValidationInfo) -> str:
        allowed = [*ROLLING_VALUES, *info.data.get("by", [])]
        names = ", ".join(f"{{{name}}}" for name in allowed)
        try:
            parts = list(Formatter().parse(text))
        except ValueError as error:
            raise ValueError(f"{error}; {names} may stand in it, and {{{{ is a brace") from None

        for _, name, form, conversion in parts:
            if name is not None and (name not in allowed or form or conversion):
                written = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
                raise ValueError(f"{{{written}}} has no value; {names} may stand in it, as they are")
        return text


class Timing(Frozen):
    """When a row happens (`time`), when its outcome is known (`known`, `known_at`), and how long before the row the
    prediction is made (`ahead`).
    """

    time: str = Field(description="The column with the row's date and time.")
    known: str | None = Field(None, description="The column with the time at which the outcome was known.")
    known_at: int = Field(0, ge=0, le=23, description="Only outcomes that are known by this hour of the day count.")
    ahead: float = Field(0, ge=0, description="Hours before the row's time at which the prediction is made.")


class Column(Frozen):
    """One column: its kind, the values that it may hold, when it is known, and the action for a value that violates a
    rule.
    """

    kind: Literal["category", "number", "integer", "boolean", "datetime"] = Field(description="The kind of its values.")
    known: Literal["before", "after"] = Field(description="Known before or only after the prediction.")
    meaning: str = Field(
        min_length=3, description="What it means, in a few words, for the page and the API's documentation."
    )
    unit: str | None = Field(None, description="Its unit, such as min.")
    minimum: float | None = Field(None, description="The lowest valid value.")
    maximum: float | None = Field(None, description="The highest valid value.")
    values: dict[str, str] | None = Field(None, description="The allowed values, each with its name.")
    pattern: str | None = Field(None, description="A regular expression that the whole value must match.")
    nullable: bool = Field(False, description="Whether it may be missing.")
    on_violation: dict[Rule, Action] = Field(
        {},
        description="By rule (type, range, length, values, pattern): `reject` the row (default) or `nullify` a value.",
    )
    derived_from: list[str] = Field([], description="The columns from which `derive` computes this one.")
    rolling: RollingRule | None = Field(
        None, description="Makes it a rolling feature, which the server looks up if a request lacks it."
    )
    private: bool = Field(False, description="Never written to the prediction log.")
    source: str | None = Field(None, description="The column's name in the data file, if it differs.")
    format: str | None = Field(
        None,
        description="How the file writes a date, such as %d/%m/%Y. Without it: ISO 8601 with a time of day. Callers "
        "send ISO 8601, without a time of day where the format has none.",
    )
    positive: list[str] = Field(
        [],
        description="The values of a boolean in the file that are a yes, such as [left]. Without them: true, 1, yes.",
    )
    negative: list[str] = Field([], description="Those that are a no, such as [stayed]; with `positive`.")
    missing: list[str | int | float] = Field(
        [], description="Values of the file that stand for a missing one, such as -999."
    )
    example: str | int | float | bool | None = Field(None, description="A valid value, for the form and the docs.")

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
            raise ValueError("a rolling feature is a nullable number that is known before")
        if "nullify" in self.on_violation.values() and not self.nullable:
            raise ValueError("a breach can be nullified only where nullable is true")

        return self

    @model_validator(mode="after")
    def the_file_is_written_as_the_kind_allows(self) -> Self:
        if self.format is not None and self.kind != "datetime":
            raise ValueError(f"format is for a datetime, not for a {self.kind}")
        if (self.positive or self.negative) and self.kind != "boolean":
            raise ValueError(f"positive and negative are for a boolean, not for a {self.kind}")
        if bool(self.positive) != bool(self.negative) or set(self.positive) & set(self.negative):
            raise ValueError("positive and negative go together, and no value is both")
        return self

    @property
    def brought(self) -> bool:
        """Whether the data file has to contain the column: it is neither derived nor a rolling feature."""
        return not self.derived_from and not self.rolling

    @property
    def is_date(self) -> bool:
        """Whether its values are dates without a time of day."""
        return self.format is not None and not re.search("%[HIcXs]", self.format)

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and highest value allowed. A bound that is not declared is the limit of float32."""
        low = -FLOAT32_MAX if self.minimum is None else self.minimum
        high = FLOAT32_MAX if self.maximum is None else self.maximum
        return low, high


class Contract(Frozen):
    """The question, the columns, the features and the target: the part of a config that is saved in the bundle."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$",
        description="Name of the config file, of the folder in models/, the registered model and the image.",
    )
    question: str = Field(description="The question that a prediction answers, for the page and the docs.")
    noun: str = Field("case", description="One word for a row, such as flight.")
    task: Task = Field(description="binary: yes or no; multiclass: one of 3 to 50 classes; regression: a number.")
    dataset: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$",
        description="The module in src/pipeline/datasets; table reads any CSV or Parquet file.",
    )
    columns: dict[str, Column] = Field(description="Every column of the data and every feature, by name.")
    timing: Timing | None = Field(
        None,
        description="When a row happens and when its outcome is known; for the log by days and for rolling features.",
    )
    features: list[str] = Field(min_length=1, description="The model's inputs, in order.")
    target: str = Field(description="The column to predict; it is known only after the prediction.")

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
            late = [origin for origin in column.derived_from if columns[origin].known == "after"]
            if late and column.known == "before":
                raise ValueError(f"{name} is said to be known before, but is derived from {late[0]}, known only after")

        return columns

    @field_validator("timing")
    @classmethod
    def timing_names_datetimes(cls, timing: Timing | None, info: ValidationInfo) -> Timing | None:
        columns: dict[str, Column] = info.data.get("columns") or {}
        if timing is None or not columns:  # invalid columns are reported by their own validator
            return timing

        for key, name, when in (("time", timing.time, "before"), ("known", timing.known, "after")):
            if not name:
                continue
            column = columns.get(name)
            if column is None or (column.kind, column.known, column.nullable) != ("datetime", when, False):
                raise ValueError(f"{key}: {name} is not a declared datetime that is known {when} and never missing")

        return timing

    @field_validator("features")
    @classmethod
    def features_are_known_before(cls, features: list[str], info: ValidationInfo) -> list[str]:
        columns: dict[str, Column] = info.data.get("columns") or {}
        if not columns:  # invalid columns are reported by their own validator
            return features

        if twice := {name for name in features if features.count(name) > 1}:
            raise ValueError(f"listed twice: {', '.join(sorted(twice))}")
        for name in features:
            if name not in columns:
                raise ValueError(undeclared(name, columns))
            if columns[name].known == "after":
                raise ValueError(f"{name} is known only after the moment of prediction: it cannot be a feature")
            if columns[name].kind == "datetime":
                raise ValueError(f"{name} is a date and time: derive a category or a number from it")

        for name in features:
            if rule := columns[name].rolling:
                check_lookup(name, rule, info.data.get("timing"), columns, sent_columns(features, columns))
        return features

    @field_validator("target")
    @classmethod
    def target_is_a_known_outcome(cls, target: str, info: ValidationInfo) -> str:
        columns: dict[str, Column] = info.data.get("columns") or {}
        if columns and target not in columns:
            raise ValueError(undeclared(target, columns))

        kinds = OUTCOMES.get(str(info.data.get("task")), ())
        if columns and kinds and (columns[target].known != "after" or columns[target].kind not in kinds):
            raise ValueError(
                f"the target {target} of a {info.data.get('task')} task has to be a {' or an '.join(kinds)} that is "
                "known after the moment of prediction"
            )
        fewest, most = CLASSES
        is_multiclass = bool(columns) and info.data.get("task") == "multiclass"
        if is_multiclass and not fewest <= len(columns[target].values or ()) <= most:
            raise ValueError(
                f"the target {target} of a multiclass task names its {fewest} to {most} classes: "
                "values: {setosa: Setosa, virginica: Virginica, …}"
            )
        classes = (columns[target].values or {}) if is_multiclass else {}
        for name, column in columns.items():
            if column.rolling and column.rolling.of not in (classes or {None}):
                known = f"one of the classes {', '.join(classes)}" if classes else "left out, as there are no classes"
                raise ValueError(f"{name}: rolling.of has to be {known}")
        if columns and columns[target].nullable:
            raise ValueError(f"the target {target} cannot be nullable: no row can be used without its outcome")

        return target

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes of a multiclass task, in the order of their probabilities; empty for another task."""
        return tuple(self.columns[self.target].values or ()) if self.task == "multiclass" else ()

    @cached_property
    def no_and_yes(self) -> tuple[str, ...]:
        """What a binary target says for no and for yes in the data, if it has one word for each; empty otherwise."""
        target = self.columns[self.target]
        names = (*target.negative, *target.positive)
        return names if len(target.positive) == len(target.negative) == 1 else ()

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
        """The columns that a caller sends: the features that are not derived, the origins of the derived ones, and the
        time by which the prediction log counts days.
        """
        needed = sent_columns(self.features, self.columns)
        if self.timing:
            needed.add(self.timing.time)
        return {name: column for name, column in self.columns.items() if name in needed}

    @cached_property
    def private(self) -> frozenset[str]:
        """The sent columns whose values are not logged."""
        return frozenset(name for name, column in self.request.items() if column.private)

    @cached_property
    def rolling(self) -> dict[str, RollingRule]:
        """The request columns that are rolling features, each with its rule."""
        return {name: column.rolling for name, column in self.request.items() if column.rolling}

    @cached_property
    def by_array(self) -> tuple[list[str], dict[str, str]]:
        """The names of the request columns that are float64 arrays, and the kinds of the others by name."""
        kinds: dict[str, str] = {name: column.kind for name, column in self.request.items()}
        others = {name: kind for name, kind in kinds.items() if kind in ("category", "datetime")}
        numeric = [name for name in self.request if name not in others]
        return numeric, others

    @cached_property
    def numbers_of(self) -> Any:
        """A function that takes the values of the float64 columns from a complete row."""
        numeric = self.by_array[0]
        return itemgetter(*numeric) if numeric else _nothing


def sent_columns(features: Iterable[str], columns: Mapping[str, Column]) -> set[str]:
    """The columns that a caller sends for these features: the origins of a derived feature, else the feature itself."""
    sent: set[str] = set()
    for name in features:
        sent.update(columns[name].derived_from or [name])
    return sent


def check_lookup(
    name: str, rule: RollingRule, timing: Timing | None, columns: Mapping[str, Column], sent: set[str]
) -> None:
    """Raises ValueError for a rolling feature whose key or time a caller does not send, or the log does not have."""
    if timing is None or timing.time not in sent:
        raise ValueError(f"{name} is a rolling feature: timing.time has to name a column that a caller sends")
    if lost := [by for by in rule.by if by not in sent or columns[by].kind not in ("category", "integer")]:
        raise ValueError(f"{name}: rolling.by names {lost[0]}, which is no category or integer that a caller sends")
    if hidden := [by for by in [*rule.by, timing.time] if columns[by].private]:
        raise ValueError(f"{name}: rolling.by names {hidden[0]}, which is private: the log does not have it")


def undeclared(name: str, columns: Iterable[str]) -> str:
    """The message for a name of no column, with the one that was probably meant."""
    near = difflib.get_close_matches(name, columns, n=1)
    return f"{name} is not a declared column" + (f". Did you mean {near[0]}?" if near else "")


def _nothing(_: Mapping[str, Any]) -> tuple[()]:
    return ()
