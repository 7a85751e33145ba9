"""A peer as most portfolios write it: FastAPI, a pickled pipeline, a pandas frame per request."""

import os
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
pipeline = joblib.load(os.environ["PIPELINE"])


class PredictRequest(BaseModel):
    instances: list[dict[str, Any]]


@app.post("/predict")
def predict(request: PredictRequest) -> dict[str, list[list[float]]]:
    return {"predictions": pipeline.predict_proba(pd.DataFrame(request.instances)).tolist()}
