"""What a kind of model is: a class in a file of this folder. Everything else in the project finds it by its name.

Estimators are imported where they are built, so that reading a config imports no scikit-learn.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pipeline.runtime.contract import Frozen

Array = NDArray[np.float64]
MANY = 10_000  # rows from which on trees are larger, and each of a forest is trained on fewer of the rows


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


class Suggestion(NamedTuple):
    """Settings, and the trials around them, for a config that names no kind of model."""

    settings: "Kind"
    trials: Trials = Trials(trials=1)


class Kind(Frozen):
    """The settings of a kind of model, and all that training knows about it.

    A boolean outcome and the position of a class need a classifier, a number needs a regressor. Both are the last step
    of a pipeline, after the inputs are encoded as `encoding` tells.
    """

    complexity: ClassVar[int]  # of two kinds that predict about equally well, the one with less is chosen
    encoding: ClassVar[Literal["one-hot", "ordinal"]] = "ordinal"  # one-hot also scales the numbers
    takes_missing: ClassVar[bool] = False  # missing numbers: if not, they are imputed

    @classmethod
    def name(cls) -> str:
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def suggested(cls, rows: int) -> Suggestion | None:
        """The settings for so many rows where a config names no kind. None: the kind is trained only if it is named."""
        return None

    def classifier(self, seed: int) -> Any:
        """Build the classifier, unfitted. It uses one thread."""
        raise NotImplementedError

    def regressor(self, seed: int) -> Any:
        """Build the regressor, unfitted. It uses one thread."""
        raise NotImplementedError

    def fit(self, pipeline: Any, frame: Any, target: NDArray[Any]) -> Any:
        """Fit a pipeline that ends with this kind's model."""
        return pipeline.fit(frame, target)

    def cost(self) -> float:
        """Return about how long a fit takes for so many rows, compared with that of a tree. It decides no result."""
        return 1

    def parts(self) -> "list[Kind]":
        """Return what has to be fitted: this kind itself, unless it combines others."""
        return [self]

    def combined(self, pipelines: list[tuple[str, Any]], *, classify: bool) -> Any:
        """Build one estimator of the pipelines of the parts, by name."""
        raise NotImplementedError

    def blended(self, predictions: Sequence[Array]) -> Array:
        """Return the predictions [rows] from those of the parts."""
        return predictions[0]

    @classmethod
    def exportable(cls, model: Any) -> Any:
        """Return what is converted to ONNX in place of the fitted model, and predicts the same. It may be changed.

        A kind that skl2onnx does not know registers its converter here.
        """
        return model


def leaf_for(rows: int) -> int:
    """Return how many of so many training rows a leaf of boosting needs: about 1 % of few rows."""
    return max(5, min(50, rows // 100))


def kinds() -> dict[str, type[Kind]]:
    """Import the files of this folder, and return their kinds by name, simplest first."""
    here = Path(__file__).parent
    names = sorted(path.stem for path in here.glob("[a-z]*.py") if path.stem != Path(__file__).stem)
    by_name = {}
    for name in names:
        module = importlib.import_module(f"{__package__}.{name}")
        classes = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Kind)]
        by_name.update({kind.name(): kind for kind in classes if kind.__module__ == module.__name__})
    return dict(sorted(by_name.items(), key=lambda named: named[1].complexity))


KINDS = kinds()
