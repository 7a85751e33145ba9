"""A random forest."""

from typing import Any, ClassVar

from pydantic import Field

from pipeline.candidates.kind import MANY, Kind, Suggestion, leaf_for


class Forest(Kind):
    """A random forest on ordinal categories and imputed numbers; each tree is trained on a share of the rows."""

    complexity: ClassVar[int] = 30

    n_estimators: int = Field(60, ge=1, description="Number of trees.")
    max_depth: int = Field(14, ge=1, description="Depth of a tree.")
    min_samples_leaf: int = Field(20, ge=1, description="Training rows that a leaf needs.")
    max_features: float = Field(0.3, gt=0, le=1, description="Share of the features that a split may use.")
    max_samples: float = Field(0.3, gt=0, lt=1, description="Share of the rows that a tree is trained on.")

    @classmethod
    def suggested(cls, rows: int) -> Suggestion:
        leaf = max(2, leaf_for(rows) // 4)
        return Suggestion(cls(min_samples_leaf=leaf, max_samples=0.3 if rows >= MANY else 0.8))

    def classifier(self, seed: int) -> Any:
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(random_state=seed, n_jobs=1, **self.model_dump())

    def regressor(self, seed: int) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        return RandomForestRegressor(random_state=seed, n_jobs=1, **self.model_dump())

    def cost(self) -> float:
        return self.n_estimators / 10
