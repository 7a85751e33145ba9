"""LightGBM as a kind of model: copy this file to src/pipeline/candidates/, and a config can name `lightgbm`."""

import re
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pipeline.candidates.boosting import floor32
from pipeline.candidates.kind import Kind


class LightGBM(Kind):
    """LightGBM's gradient boosting on ordinal categories."""

    complexity: ClassVar[int] = 45  # after boosting, before the neural network
    takes_missing: ClassVar[bool] = True

    n_estimators: int = Field(200, ge=1, description="Number of trees.")
    learning_rate: float = Field(0.05, gt=0, description="Learning rate: the share of each tree that is added.")
    num_leaves: int = Field(31, ge=2, description="Leaves of a tree.")
    min_child_samples: int = Field(20, ge=1, description="Training rows that a leaf needs.")
    colsample_bytree: float = Field(0.5, gt=0, le=1, description="Share of the features that a tree may use.")

    def classifier(self, seed: int) -> Any:
        from lightgbm import LGBMClassifier

        return LGBMClassifier(random_state=seed, n_jobs=1, deterministic=True, verbose=-1, **self.model_dump())

    def regressor(self, seed: int) -> Any:
        from lightgbm import LGBMRegressor

        settings = self.model_dump()
        return LGBMRegressor(objective="l1", random_state=seed, n_jobs=1, deterministic=True, verbose=-1, **settings)

    @classmethod
    def exportable(cls, model: Any) -> Any:
        """Register the converter, and let the trees split at float32 values, as those of `boosting` do."""
        from lightgbm import Booster, LGBMClassifier
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
        from skl2onnx import update_registered_converter
        from skl2onnx.common import shape_calculator as shapes

        shape = shapes.calculate_linear_regressor_output_shapes
        options: dict[str, Any] = {"split": None}
        if isinstance(model, LGBMClassifier):
            shape = shapes.calculate_linear_classifier_output_shapes
            options = {"nocl": [True, False], "zipmap": [True, False]}
        name = f"LightGbm{type(model).__name__}"
        update_registered_converter(type(model), name, shape, convert_lightgbm, options=options)

        trees = re.sub(r"(?m)^tree_sizes=.*\n", "", model.booster_.model_to_string())  # in characters, which change now
        trees = re.sub(r"(?m)^threshold=(.+)$", with_float32_thresholds, trees)
        model._Booster = Booster(model_str=trees)  # LightGBM has no other way to replace its trees
        return model


def with_float32_thresholds(line: re.Match[str]) -> str:
    thresholds = floor32(np.array(line[1].split(), dtype=np.float64))
    return "threshold=" + " ".join(repr(float(threshold)) for threshold in thresholds)
