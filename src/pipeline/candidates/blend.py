"""A linear model and a boosting together."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pipeline.candidates.boosting import Boosting
from pipeline.candidates.kind import Array, Kind
from pipeline.candidates.linear import Linear


class Blend(Kind):
    """The weighted mean of the predictions of a linear model and a boosting."""

    complexity: ClassVar[int] = 60

    linear: Linear = Field(Linear(), description="Settings of the linear model.")
    boosting: Boosting = Field(Boosting(), description="Settings of the boosting.")
    weight: float = Field(0.5, gt=0, lt=1, description="Weight of the linear model; boosting has the rest.")

    def parts(self) -> list[Kind]:
        return [self.linear, self.boosting]

    def combined(self, pipelines: list[tuple[str, Any]], *, classify: bool) -> Any:
        from sklearn.ensemble import VotingClassifier, VotingRegressor

        weights = np.array([self.weight, 1 - self.weight])  # the converter wants an array
        if classify:
            return VotingClassifier(pipelines, voting="soft", weights=weights, flatten_transform=False)
        return VotingRegressor(pipelines, weights=weights)

    def blended(self, predictions: Sequence[Array]) -> Array:
        of_linear, of_boosting = predictions
        return self.weight * of_linear + (1 - self.weight) * of_boosting
