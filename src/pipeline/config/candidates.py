"""The kinds of model, simplest first, with their settings; and what a search may change of them."""

from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from pipeline.runtime.contract import Frozen


class Linear(Frozen):
    """Logistic or ridge regression on one-hot categories and scaled numbers."""

    C: float = Field(1.0, gt=0, description="Inverse strength of the regularisation; ridge's alpha is 1 / C.")
    max_iter: int = Field(300, ge=1, description="Of logistic regression; ridge is solved in one step.")


class Tree(Frozen):
    """One decision tree on ordinal categories and imputed numbers."""

    max_depth: int = Field(8, ge=1)
    min_samples_leaf: int = Field(200, ge=1)


class Forest(Frozen):
    """A random forest on the same, each tree on a share of the rows."""

    n_estimators: int = Field(60, ge=1)
    max_depth: int = Field(14, ge=1)
    min_samples_leaf: int = Field(20, ge=1)
    max_features: float = Field(0.3, gt=0, le=1)
    max_samples: float = Field(0.3, gt=0, lt=1)


class Boosting(Frozen):
    """Histogram gradient boosting on ordinal categories; its own early stopping splits at random and stays off."""

    max_iter: int = Field(200, ge=1)
    learning_rate: float = Field(0.05, gt=0)
    max_leaf_nodes: int = Field(15, ge=2)
    min_samples_leaf: int = Field(200, ge=1)
    l2_regularization: float = Field(10.0, ge=0)
    max_features: float = Field(0.5, gt=0, le=1)


class Perceptron(Frozen):
    """A multi-layer perceptron with one hidden layer on what the linear model gets; no early stopping, as above."""

    hidden: int = Field(32, ge=1)
    alpha: float = Field(1e-3, ge=0)
    learning_rate_init: float = Field(1e-3, gt=0)
    max_iter: int = Field(10, ge=1)
    batch_size: int = Field(512, ge=1)


class Blend(Frozen):
    """The weighted mean of the answers of a linear model and a boosting."""

    linear: Linear = Linear()
    boosting: Boosting = Boosting()
    weight: float = Field(0.5, gt=0, lt=1, description="Of the linear model.")


Settings = Linear | Tree | Forest | Boosting | Perceptron | Blend


class Candidates(Frozen):
    """The kinds to compare, simplest first; one that is not named is not tried."""

    linear: Linear | None = None
    tree: Tree | None = None
    forest: Forest | None = None
    boosting: Boosting | None = None
    perceptron: Perceptron | None = None
    blend: Blend | None = None

    @model_validator(mode="after")
    def at_least_one(self) -> Self:
        if not self.named():
            raise ValueError(f"name at least one candidate: {', '.join(type(self).model_fields)}")
        return self

    def named(self) -> dict[str, Settings]:
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class Range(Frozen):
    """From where to where a setting is tried."""

    low: float
    high: float
    log: bool = Field(False, description="Try it on a logarithmic scale.")

    @model_validator(mode="after")
    def goes_up(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, and low is {self.low:g}")
        return self


class Trials(Frozen):
    """How often one kind is tried: first as it is configured, then with settings drawn from `space`."""

    trials: int = Field(ge=1)
    space: dict[str, Range] = Field({}, description="By the name of the setting.")


class Search(Frozen):
    """The search over settings, on a sample of the days where there are many; the best of each kind meets all rows."""

    sample: float = Field(1.0, gt=0, le=1, description="Share of the days, groups or rows that trials are judged on.")
    batch: int = Field(4, ge=1, description="Trials of a kind that are asked for together; part of the result.")
    kinds: dict[str, Trials | None] = Field({}, description="A kind that is not named is tried once, as configured.")

    def plan(self, kind: str) -> Trials:
        return self.kinds.get(kind) or Trials(trials=1)


def faults(search: Search, candidates: Candidates) -> list[str]:
    """What in a search could not be tried: unknown kinds and settings, ranges beside the configured value, bad ends."""
    named = candidates.named()
    known = Candidates.model_fields
    found = [f"{kind} is no kind of model; there are {', '.join(known)}" for kind in search.kinds if kind not in known]
    for kind, settings in named.items():
        for key, tried in search.plan(kind).space.items():
            found += [f"{kind}.{key}: {fault}" for fault in _range_faults(settings, key, tried)]
    return found


def _range_faults(settings: Settings, key: str, tried: Range) -> list[str]:
    if not isinstance(now := getattr(settings, key, None), int | float):
        return [f"is no setting that can be searched; there are {', '.join(type(settings).model_fields)}"]
    if not tried.low <= now <= tried.high:
        return [f"the range {tried.low:g} to {tried.high:g} leaves out the configured {now:g}, which is tried first"]
    try:
        for end in (tried.low, tried.high):
            settled(settings, {key: type(now)(end)})
    except ValidationError as error:
        return [error.errors()[0]["msg"]]
    return []


def settled(settings: Settings, drawn: dict[str, Any]) -> Settings:
    """The settings with some of them replaced, checked again."""
    return type(settings).model_validate({**settings.model_dump(), **drawn})
