"""Every training setting, typed and frozen: a YAML file in, a `Config` out, or one message that says what to mend.

The only place that parses settings. Nothing here knows a dataset or a library that trains.
"""

import difflib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from pipeline.candidates import Candidates, Search, faults
from pipeline.errors import ConfigError
from pipeline.schema import Column, Contract, Frozen

UNITS = {"day": "days", "days": "days", "week": "weeks", "weeks": "weeks", "month": "months", "months": "months"}


class Duration(NamedTuple):
    """A span of calendar time, such as 2 months."""

    amount: int
    unit: str


def _duration(text: Any) -> Any:
    words = text.split() if isinstance(text, str) else []
    if len(words) != 2 or not words[0].isdecimal() or not 1 <= int(words[0]) <= 9999 or words[1] not in UNITS:
        raise ValueError("should be a number and a unit, such as 2 months, 3 weeks or 14 days")
    return Duration(int(words[0]), UNITS[words[1]])


Span = Annotated[
    Duration,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+ (day|week|month)s?$")]),
]
Share = Annotated[float, Field(gt=0, lt=1)]
Opened = Annotated[
    Literal["once", "none"], Field(description="none: compare the candidates and leave the holdout unopened.")
]


class Data(Frozen):
    path: str | None = Field(None, description="The file of a `table`; a dataset that brings its own files has none.")
    sample: float = Field(1.0, gt=0, le=1, description="Share of the days (or rows) to train on.")
    max_rejected: float = Field(0.001, ge=0, lt=1, description="Share of rejected rows above which training stops.")


class TimeSplit(Frozen):
    """Forward chaining: each fold is trained on all days before it; the end of the data is the holdout."""

    by: Literal["time"]
    time: str = Field(description="The column with the date and time.")
    holdout: Span
    folds: int = Field(3, ge=1)
    fold_length: Span
    test: Opened = "once"


class RowSplit(Frozen):
    """For rows without time: a stable hash of the row decides where it belongs, so that it stays there."""

    by: Literal["row"]
    holdout: Share
    folds: int = Field(5, ge=2)
    test: Opened = "once"


class Train(Frozen):
    seed: int = Field(0, ge=0, lt=2**32)
    workers: int = Field(2, ge=1, description="Processes that fit folds side by side, one thread each.")
    rare: int = Field(50, ge=1, description="A category value with fewer training rows counts as unknown.")
    resamples: int = Field(500, ge=20, description="Bootstrap resamples behind each interval.")


class Costs(Frozen):
    """What a miss costs against a false alarm; the threshold follows: false_alarm / (false_alarm + miss)."""

    miss: float = Field(gt=0)
    false_alarm: float = Field(gt=0)

    @property
    def threshold(self) -> float:
        return self.false_alarm / (self.false_alarm + self.miss)


class Bounds(Frozen):
    """Below `low` a figure is too bad; above `high` too good to be true, or for a loss the other way round."""

    low: float
    high: float


class AgainstChampion(Frozen):
    worse: float = Field(0.002, ge=0, description="How much higher the log loss may be.")
    interval: float = Field(0.9, gt=0, lt=1, description="Of the paired bootstrap that may not lie above 0.")


class SliceRule(Frozen):
    columns: list[str]
    rows: int = Field(1000, ge=1, description="A smaller slice is not judged.")
    roc_auc: float = Field(ge=0, le=1, description="The slice's interval has to reach it.")


class Gates(Frozen):
    """What a model has to pass before it may go out. All of it is required, and nothing switches it off."""

    holdout: dict[Literal["roc_auc", "average_precision", "log_loss", "brier", "ece"], Bounds] = Field(min_length=1)
    base_rate: float = Field(gt=0, description="How far the log loss has to be below the base rate's.")
    champion: AgainstChampion = AgainstChampion()
    slices: SliceRule
    alone: float = Field(gt=0.5, le=1, description="ROC AUC that no feature may reach by itself.")
    microseconds: float = Field(1000, gt=0, description="Median time of one row in the model.")
    megabytes: float = Field(20, gt=0, description="Size of the bundle.")


class Paths(Frozen):
    models: str = "models"
    reports: str = "reports"
    tracking: str = Field(
        "sqlite:///mlflow.db", description="MLflow's store; the command line takes MLFLOW_TRACKING_URI for it."
    )


class Config(Contract):
    """One training, whole: the contract of the rows and how to learn from them."""

    data: Data = Data()
    split: Annotated[TimeSplit | RowSplit, Field(discriminator="by")]
    candidates: Candidates
    search: Search = Search()
    costs: Costs
    gates: Gates
    train: Train = Train()
    paths: Paths = Paths()

    @field_validator("split")
    @classmethod
    def time_is_a_datetime(cls, split: TimeSplit | RowSplit, info: ValidationInfo) -> TimeSplit | RowSplit:
        columns: dict[str, Column] = info.data.get("columns") or {}
        if isinstance(split, TimeSplit) and columns:
            column = columns.get(split.time)
            if column is None or column.kind != "datetime" or column.nullable:
                raise ValueError(f"time: {split.time} is not a declared datetime column that is never missing")
        return split

    @field_validator("gates")
    @classmethod
    def slices_are_asked_for(cls, gates: Gates, info: ValidationInfo) -> Gates:
        columns: dict[str, Column] = info.data.get("columns") or {}
        categories = [name for name, c in columns.items() if c.kind == "category" and c.known == "before"]
        if wrong := [name for name in gates.slices.columns if columns and name not in categories]:
            raise ValueError(f"slices.columns: {wrong[0]} is not a declared category that is known before")
        return gates

    @field_validator("search")
    @classmethod
    def search_can_be_made(cls, search: Search, info: ValidationInfo) -> Search:
        candidates: Candidates | None = info.data.get("candidates")
        if candidates is not None and (wrong := faults(search, candidates)):
            raise ValueError("; ".join(wrong))
        return search

    @cached_property
    def contract(self) -> Contract:
        return Contract.model_construct(**{name: getattr(self, name) for name in Contract.model_fields})


Key = tuple[str | int, ...]


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """The config in `path`, on top of what it `extends`, with each override `a.b=c` applied.

    Raises ConfigError with every fault at once: place, key, what was found, what would be right.
    """
    places: dict[Key, str] = {}
    tree = _read(path, places, seen=())
    for text in overrides:
        _override(tree, text, places)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, places, path))) from None


def _read(path: Path, places: dict[Key, str], seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        raise ConfigError(f"{path}: extends itself, by way of {' -> '.join(str(p) for p in seen)}")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        nearby = ", ".join(str(p) for p in sorted(path.parent.glob("*.yaml"))) or "none"
        raise ConfigError(f"{path}: no such config file. Found beside it: {nearby}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a text file: {error}") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = _separate(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date such as 2013-13-01 is a bare ValueError
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}: should hold keys and values, such as `name: flights`")
    here = dict(_walk(node, path, ()))
    base = tree.pop("extends", None)
    if base is None:
        places.update(here)
        return dict(tree)
    if not isinstance(base, str):
        raise ConfigError(f"{here[('extends',)]}: extends: should be the name of a config file, not {base!r}")
    merged = _merge(_read(path.parent / base, places, (*seen, path)), tree)
    places.update(here)
    return merged


def _separate(value: Any) -> Any:
    """A copy in which what several aliases share is there once for each, so that an override changes one of them."""
    return {key: _separate(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def _walk(node: yaml.MappingNode, path: Path, at: Key) -> Iterator[tuple[Key, str]]:
    """Every key of the file with its line. A key that stands twice is an error: YAML would drop the first."""
    lines: dict[Any, int] = {}
    for key, value in node.value:
        name, line = key.value, key.start_mark.line + 1
        if name in lines:
            raise ConfigError(f"{path}:{line}: {name} stands twice; it is also on line {lines[name]}. Remove one")
        lines[name] = line
        yield (*at, name), f"{path}:{line}"
        if isinstance(value, yaml.MappingNode):
            yield from _walk(value, path, (*at, name))


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merge(base[k], v) for k, v in over.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {**base, **over, **both}


def _override(tree: dict[str, Any], text: str, places: dict[Key, str]) -> None:
    key, equals, written = text.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {text}: should be a key, = and a value, such as --set train.seed=3")
    try:
        value = yaml.safe_load(written)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--set {text}: {written!r} is not a value: {error}") from None
    inner = tree
    for name in names[:-1]:
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {text}: {name} holds a value, not further keys")
    inner[names[-1]] = value
    places[tuple(names)] = f"--set {text}"


def _explain(error: ValidationError, places: dict[Key, str], path: Path) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        loc = fault["loc"]
        key = (loc[0], *loc[2:]) if loc[:1] == ("split",) else loc  # pydantic names the kind of split in between
        nearest = next((key[:n] for n in range(len(key), 0, -1) if key[:n] in places), None)
        place = places[nearest] if nearest else str(path)
        yield f"{place}: {'.'.join(map(str, key))}: {_advice(fault, loc)}"


def _advice(fault: ErrorDetails, loc: Key) -> str:
    if fault["type"] == "missing":
        return "is missing"
    if fault["type"] == "extra_forbidden":
        here = list(_properties(loc[:-1]))
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


def _properties(loc: Key) -> dict[str, Any]:
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
