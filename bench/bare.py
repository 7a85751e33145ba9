"""The baseline of the comparison: a Starlette route, the bundle's pydantic model and onnxruntime.

It has no limits, no request ids and no metrics.
"""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.runtime.arrays import to_columns
from pipeline.runtime.predictor import as_predictions, load

predictor = load(Path(os.environ["MODEL_DIR"]))
validate = predictor.row_model.__pydantic_validator__.validate_json


async def predict(request: Request) -> Response:
    columns = to_columns([vars(validate(await request.body()))], predictor.contract)
    predictions = as_predictions(predictor.predict(columns), predictor.scoring)
    return Response(f'{{"probability":{predictions["probability"][0]},"label":{predictions["label"][0]}}}')


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
