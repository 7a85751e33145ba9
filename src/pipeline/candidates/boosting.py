"""scikit-learn's histogram gradient boosting."""

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pipeline.candidates.kind import MANY, Kind, Range, Suggestion, Trials, leaf_for


class Boosting(Kind):
    """Histogram gradient boosting on ordinal categories, without early stopping, which would split rows at random."""

    complexity: ClassVar[int] = 40
    takes_missing: ClassVar[bool] = True

    max_iter: int = Field(200, ge=1, description="Number of trees.")
    learning_rate: float = Field(0.05, gt=0, description="Learning rate: the share of each tree that is added.")
    max_leaf_nodes: int = Field(15, ge=2, description="Leaves of a tree.")
    min_samples_leaf: int = Field(20, ge=1, description="Training rows that a leaf needs.")
    l2_regularization: float = Field(10.0, ge=0, description="L2 penalty on the leaves.")
    max_features: float = Field(0.5, gt=0, le=1, description="Share of the features that a split may use.")

    @classmethod
    def suggested(cls, rows: int) -> Suggestion:
        many = rows >= MANY
        leaf = leaf_for(rows)
        settings = cls(
            max_iter=150 if many else 100,
            learning_rate=0.1 if many else 0.05,
            max_leaf_nodes=31 if many else 15,
            min_samples_leaf=leaf,
            l2_regularization=1.0,
        )
        space = {
            "learning_rate": Range(low=0.03, high=0.3, log=True),
            "max_leaf_nodes": Range(low=7, high=63, log=True),
            "min_samples_leaf": Range(low=max(2, leaf // 3), high=leaf * 3, log=True),
        }
        return Suggestion(settings, Trials(trials=8, space=space))

    def classifier(self, seed: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(early_stopping=False, random_state=seed, **self.model_dump())

    def regressor(self, seed: int) -> Any:
        """Build the regressor. Only boosting can minimise the absolute error in reasonable time."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        settings = self.model_dump()
        return HistGradientBoostingRegressor("absolute_error", early_stopping=False, random_state=seed, **settings)

    def cost(self) -> float:
        return self.max_iter / 60

    @classmethod
    def exportable(cls, model: Any) -> Any:
        """Let the trees split at the largest float32 at or below each threshold.

        The export rounds thresholds to the nearest float32, which can move a float32 value to the other side of the
        split. For a float32 value x, `x <= t` is the same as `x <= floor32(t)`. So the model predicts the same, and the
        export has nothing to round.
        """
        for trees in model._predictors:
            for tree in trees:
                tree.nodes["num_threshold"] = floor32(tree.nodes["num_threshold"])
        return model


def floor32(values: Any) -> Any:
    """Round float64 values down to values that are float32 values too."""
    nearest = values.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > values, below, nearest)
