"""A peer: the same pipeline as a BentoML service."""

import os
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Flights:
    def __init__(self) -> None:
        self.pipeline = joblib.load(os.environ["PIPELINE"])

    @bentoml.api
    def predict(self, instances: list[dict[str, Any]]) -> dict[str, list[list[float]]]:
        return {"predictions": self.pipeline.predict_proba(pd.DataFrame(instances)).tolist()}
