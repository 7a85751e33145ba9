"""Logistic or ridge regression."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.candidates.kind import Kind, Range, Suggestion, Trials


class Linear(Kind):
    """Logistic or ridge regression on one-hot categories and scaled numbers."""

    complexity: ClassVar[int] = 10
    encoding: ClassVar[Literal["one-hot", "ordinal"]] = "one-hot"

    C: float = Field(1.0, gt=0, description="Inverse strength of the regularisation; ridge's alpha is 1 / C.")
    max_iter: int = Field(300, ge=1, description="Iterations of logistic regression; ridge needs none.")

    @classmethod
    def suggested(cls, rows: int) -> Suggestion:
        return Suggestion(cls(), Trials(trials=3, space={"C": Range(low=0.01, high=10, log=True)}))

    def classifier(self, seed: int) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(**self.model_dump())

    def regressor(self, seed: int) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge(alpha=1 / self.C)

    def cost(self) -> float:
        return 2
