"""A small neural network."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.candidates.kind import Kind


class Perceptron(Kind):
    """A multi-layer perceptron with one hidden layer, on the inputs of the linear model, without early stopping."""

    complexity: ClassVar[int] = 50
    encoding: ClassVar[Literal["one-hot", "ordinal"]] = "one-hot"

    hidden: int = Field(32, ge=1, description="Units of the hidden layer.")
    alpha: float = Field(1e-3, ge=0, description="L2 penalty on the weights.")
    learning_rate_init: float = Field(1e-3, gt=0, description="Learning rate of Adam.")
    max_iter: int = Field(10, ge=1, description="Epochs: passes over the training rows.")
    batch_size: int = Field(512, ge=1, description="Batch size: rows of a step.")

    def classifier(self, seed: int) -> Any:
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier(random_state=seed, **self.arguments())

    def regressor(self, seed: int) -> Any:
        from sklearn.neural_network import MLPRegressor

        return MLPRegressor(random_state=seed, **self.arguments())

    def arguments(self) -> dict[str, Any]:
        """The arguments of scikit-learn's classes."""
        settings = self.model_dump(exclude={"hidden"})
        return {"hidden_layer_sizes": (self.hidden,), "early_stopping": False, **settings}

    def fit(self, pipeline: Any, frame: Any, target: NDArray[Any]) -> Any:
        """Fit on the scaled target where it is a number, because a perceptron learns only numbers around 0, and scale
        the last layer back.
        """
        if target.dtype != np.float64:
            return pipeline.fit(frame, target)

        mean = target.mean()
        deviation = target.std() or 1.0
        pipeline.fit(frame, (target - mean) / deviation)

        perceptron = pipeline[-1]
        perceptron.coefs_[-1] = perceptron.coefs_[-1] * deviation
        perceptron.intercepts_[-1] = perceptron.intercepts_[-1] * deviation + mean
        return pipeline

    def cost(self) -> float:
        return 2
