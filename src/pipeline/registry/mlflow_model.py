"""The registered model: a bundle behind MLflow's pyfunc interface, loaded as code and never as a pickle.

MLflow runs this file when it loads the model, with the copy of this package that was registered with the model. The
predictions are the same as those of the server.
"""

from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class Bundle(PythonModel):
    """Takes raw columns and returns one row for each row: probabilities and label, or the value of a regression."""

    def load_context(self, context: Any) -> None:
        """Load the bundle. Raises BundleError where the bundle fails its own checks."""
        from pathlib import Path

        from pipeline.runtime.predictor import load

        self._predictor = load(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002 -- reason: MLflow's signature
        """Predict every row; optional columns may be absent.

        Raises pydantic's ValidationError for a row that breaks the contract.
        """
        from pipeline.runtime.arrays import to_columns
        from pipeline.runtime.predictor import as_predictions

        records = model_input.astype(object).where(model_input.notna(), None).to_dict("records")
        rows = [self._predictor.row_model.model_validate(_plain(record)) for record in records]
        columns = to_columns([vars(row) for row in rows], self._predictor.contract)

        predictions = as_predictions(self._predictor.predict(columns), self._predictor.scoring)
        if "probabilities" in predictions:
            frame = pd.DataFrame(predictions["probabilities"], index=model_input.index).add_prefix("probability_")
            return frame.assign(label=predictions["label"])
        return pd.DataFrame(predictions, index=model_input.index)


def _plain(record: dict[Any, Any]) -> dict[Any, Any]:
    """The record as a JSON request has it: without missing values, and times as text."""
    plain = {}
    for name, value in record.items():
        if value is not None:
            plain[name] = value.isoformat() if isinstance(value, pd.Timestamp) else value
    return plain


set_model(Bundle())
