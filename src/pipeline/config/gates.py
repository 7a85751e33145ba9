"""The config's `gates` section: what a model has to pass before it is allowed to be promoted.

This module only holds the limits; `pipeline.training.gates` evaluates them.
"""

from typing import Self

from pydantic import Field, model_validator

from pipeline.runtime.contract import Frozen


class Bounds(Frozen):
    """Limits of a metric: below `low` it is too bad, above `high` too good to be true; for a loss the reverse."""

    low: float = Field(description="The lowest value that passes.")
    high: float = Field(description="The highest value that passes.")

    @model_validator(mode="after")
    def goes_up(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self


class AgainstChampion(Frozen):
    """Limits for the comparison of a challenger with the champion."""

    max_increase: float = Field(0.01, ge=0, description="How much higher the log loss (or mean absolute error) may be.")
    warn_gain: float = Field(
        0.025,
        gt=0,
        description="A loss that is lower by more than this, with its whole interval, is a warning: in log loss, or in "
        "standard deviations of the outcome. The same holds for what one new feature is worth on the folds.",
    )
    max_gain: float = Field(
        0.06,
        gt=0,
        description="A loss that is lower by more than this, with its whole interval, is refused as a leak, if the "
        "skill (regression: R²) is also above that of the champion on its own holdout.",
    )
    interval: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="Confidence level of the difference in loss. The gate fails if the whole interval is above 0.",
    )


class SliceRule(Frozen):
    """Limits for the metrics of each slice: the rows of the holdout that have one value of a category."""

    columns: list[str] = Field([], description="Categories whose values make the slices.")
    min_rows: int = Field(1000, ge=1, description="Slices with fewer rows are not evaluated.")
    metrics: dict[str, Bounds] = Field(
        {}, description="Limits by metric. A slice fails if its whole interval lies outside."
    )


class Gates(Frozen):
    """What a model has to pass before it is allowed to be promoted.

    Limits of metrics may be left out. No other gate can be switched off.
    """

    holdout: dict[str, Bounds] = Field({}, description="Limits for metrics on the holdout, by metric.")
    use_interval: bool = Field(
        False, description="If true, a gate fails only if the whole interval is outside the limits. For short windows."
    )
    min_gain: float = Field(0, ge=0, description="How far the loss has to be below the loss of a constant prediction.")
    champion: AgainstChampion = Field(AgainstChampion(), description="How the comparison with the champion is decided.")
    slices: SliceRule = Field(SliceRule(), description="Limits for metrics on parts of the holdout.")
    max_single_feature: float = Field(
        0.99,
        gt=0,
        le=1,
        description="Largest ROC AUC (regression: rank correlation) that one feature may reach by itself.",
    )
    max_pair: float = Field(
        0.99,
        gt=0,
        le=1,
        description="Largest ROC AUC (regression: rank correlation) of a sum or difference of two features.",
    )
    max_copied: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="Largest share of holdout rows that equal a training row in all but time; any is a warning.",
    )
    max_missing_increase: float = Field(
        0.01,
        gt=0,
        description="How much higher the loss may be, if a group of optional columns is left out, than that of a model "
        "trained without them: in log loss, or in standard deviations of the outcome.",
    )
    max_export_error: float = Field(
        1e-5,
        gt=0,
        le=1e-4,
        description="Largest difference between the ONNX export and scikit-learn: in probability, or in standard "
        "deviations of the outcome.",
    )
    max_microseconds: float = Field(1000, gt=0, description="Largest median time of one row in the model [µs].")
    max_megabytes: float = Field(
        20, gt=0, description="Largest size of the bundle without its record, cards and report [MB]."
    )
