"""The kinds of model to compare, simplest first, with their settings, and the search over these settings."""

from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from pipeline.runtime.contract import Frozen


class Linear(Frozen):
    """Logistic or ridge regression on one-hot categories and scaled numbers."""

    C: float = Field(1.0, gt=0, description="Inverse strength of the regularisation; ridge's alpha is 1 / C.")
    max_iter: int = Field(300, ge=1, description="Iterations of logistic regression; ridge needs none.")


class Tree(Frozen):
    """One decision tree on ordinal categories and imputed numbers."""

    max_depth: int = Field(8, ge=1, description="Depth of the tree.")
    min_samples_leaf: int = Field(20, ge=1, description="Training rows that a leaf needs.")


class Forest(Frozen):
    """A random forest on ordinal categories and imputed numbers; each tree is trained on a share of the rows."""

    n_estimators: int = Field(60, ge=1, description="Number of trees.")
    max_depth: int = Field(14, ge=1, description="Depth of a tree.")
    min_samples_leaf: int = Field(20, ge=1, description="Training rows that a leaf needs.")
    max_features: float = Field(0.3, gt=0, le=1, description="Share of the features that a split may use.")
    max_samples: float = Field(0.3, gt=0, lt=1, description="Share of the rows that a tree is trained on.")


class Boosting(Frozen):
    """Histogram gradient boosting on ordinal categories, without early stopping, which would split rows at random."""

    max_iter: int = Field(200, ge=1, description="Number of trees.")
    learning_rate: float = Field(0.05, gt=0, description="Learning rate: the share of each tree that is added.")
    max_leaf_nodes: int = Field(15, ge=2, description="Leaves of a tree.")
    min_samples_leaf: int = Field(20, ge=1, description="Training rows that a leaf needs.")
    l2_regularization: float = Field(10.0, ge=0, description="L2 penalty on the leaves.")
    max_features: float = Field(0.5, gt=0, le=1, description="Share of the features that a split may use.")


class Perceptron(Frozen):
    """A multi-layer perceptron with one hidden layer, on the inputs of the linear model, without early stopping."""

    hidden: int = Field(32, ge=1, description="Units of the hidden layer.")
    alpha: float = Field(1e-3, ge=0, description="L2 penalty on the weights.")
    learning_rate_init: float = Field(1e-3, gt=0, description="Learning rate of Adam.")
    max_iter: int = Field(10, ge=1, description="Epochs: passes over the training rows.")
    batch_size: int = Field(512, ge=1, description="Batch size: rows of a step.")


class Blend(Frozen):
    """The weighted mean of the predictions of a linear model and a boosting."""

    linear: Linear = Field(Linear(), description="Settings of the linear model.")
    boosting: Boosting = Field(Boosting(), description="Settings of the boosting.")
    weight: float = Field(0.5, gt=0, lt=1, description="Weight of the linear model; boosting has the rest.")


Settings = Linear | Tree | Forest | Boosting | Perceptron | Blend


class Candidates(Frozen):
    """The kinds of model to compare, simplest first. A kind that is not named is not trained.

    Where none is named, `defaults.with_candidates` chooses by the number of rows.
    """

    linear: Linear | None = Field(None, description="Logistic or ridge regression.")
    tree: Tree | None = Field(None, description="A decision tree.")
    forest: Forest | None = Field(None, description="A random forest.")
    boosting: Boosting | None = Field(None, description="Histogram gradient boosting.")
    perceptron: Perceptron | None = Field(None, description="A neural network with one hidden layer.")
    blend: Blend | None = Field(None, description="The weighted mean of linear and boosting.")

    def named(self) -> dict[str, Settings]:
        """The settings of each named kind, simplest first."""
        named = {}
        for name in type(self).model_fields:
            settings = getattr(self, name)
            if settings is not None:
                named[name] = settings
        return named


class Range(Frozen):
    """The range of values that a search tries for one setting."""

    low: float = Field(description="The lowest value that is tried.")
    high: float = Field(description="The highest value that is tried.")
    log: bool = Field(False, description="Try it on a logarithmic scale.")

    @model_validator(mode="after")
    def goes_up(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, and low is {self.low:g}")
        return self


class Trials(Frozen):
    """The trials of one kind of model: the first with the configured settings, the others with settings drawn from
    `space`.
    """

    trials: int = Field(ge=1, description="Trials of this kind.")
    space: dict[str, Range] = Field({}, description="By the name of the setting.")


class Search(Frozen):
    """The search over settings, on a sample of the rows. Each kind's best settings are then trained on all rows."""

    sample: float = Field(
        1.0, gt=0, le=1, description="Share of the days, groups or rows that trials are evaluated on."
    )
    batch: int = Field(4, ge=1, description="Trials that are proposed at once. Another number gives another result.")
    kinds: dict[str, Trials | None] = Field(
        {}, description="The search space by kind. A kind that is not named is tried once, as configured."
    )

    def plan(self, kind: str) -> Trials:
        """The trials of a kind: a single one, with the configured settings, where the search does not name it."""
        return self.kinds.get(kind) or Trials(trials=1)


def faults(search: Search, candidates: Candidates) -> list[str]:
    """List the faults of a search: unknown kinds and settings, ranges without the configured value, invalid ends."""
    named = candidates.named()
    known = Candidates.model_fields
    errors = [f"{kind} is no kind of model. Known:  {', '.join(known)}" for kind in search.kinds if kind not in known]

    for kind, settings in named.items():
        for key, tried in search.plan(kind).space.items():
            errors += [f"{kind}.{key}: {fault}" for fault in _range_faults(settings, key, tried)]
    return errors


def _range_faults(settings: Settings, key: str, tried: Range) -> list[str]:
    """List the faults in the range of one setting."""
    configured = getattr(settings, key, None)
    if not isinstance(configured, int | float):
        return [f"is no setting that can be searched. Known:  {', '.join(type(settings).model_fields)}"]
    if not tried.low <= configured <= tried.high:
        span = f"{tried.low:g} to {tried.high:g}"
        return [f"the range {span} leaves out the configured {configured:g}, which is tried first"]

    try:
        for end in (tried.low, tried.high):
            settled(settings, {key: type(configured)(end)})
    except ValidationError as error:
        return [error.errors()[0]["msg"]]
    return []


def settled(settings: Settings, drawn: dict[str, Any]) -> Settings:
    """Replace some settings by drawn values and validate the result. Raises ValidationError for an invalid value."""
    return type(settings).model_validate({**settings.model_dump(), **drawn})
