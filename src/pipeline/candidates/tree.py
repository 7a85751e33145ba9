"""A decision tree."""

from typing import Any, ClassVar

from pydantic import Field

from pipeline.candidates.kind import Kind


class Tree(Kind):
    """One decision tree on ordinal categories and imputed numbers."""

    complexity: ClassVar[int] = 20

    max_depth: int = Field(8, ge=1, description="Depth of the tree.")
    min_samples_leaf: int = Field(20, ge=1, description="Training rows that a leaf needs.")

    def classifier(self, seed: int) -> Any:
        from sklearn.tree import DecisionTreeClassifier

        return DecisionTreeClassifier(random_state=seed, **self.model_dump())

    def regressor(self, seed: int) -> Any:
        from sklearn.tree import DecisionTreeRegressor

        return DecisionTreeRegressor(random_state=seed, **self.model_dump())
