"""The registered model: a bundle behind MLflow's pyfunc interface, loaded as code and never as a pickle.

MLflow runs this file when the model is loaded, with the copy of this package that was registered along with it. What
it answers is what the server answers.
"""

from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class Bundle(PythonModel):
    """Raw columns in, one row per row out: probability and label, or the value."""

    def load_context(self, context: Any) -> None:
        """Raises BundleError where the bundle does not prove itself."""
        from pathlib import Path

        from pipeline.runtime.predictor import load

        self._predictor = load(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002 -- reason: MLflow's signature
        """Raises pydantic's ValidationError for a row that breaks the contract; optional columns may be absent."""
        from pipeline.runtime.arrays import to_columns
        from pipeline.runtime.predictor import as_predictions

        sent = model_input.astype(object).where(model_input.notna(), None).to_dict("records")
        checked = [self._predictor.row_model.model_validate(_plain(row)) for row in sent]
        answers = self._predictor.predict(to_columns([vars(row) for row in checked], self._predictor.contract))
        return pd.DataFrame(as_predictions(answers, self._predictor.scoring), index=model_input.index)


def _plain(row: dict[Any, Any]) -> dict[Any, Any]:
    """What a caller would send as JSON: no missing values, times as text."""
    kept = {name: value for name, value in row.items() if value is not None}
    return {name: value.isoformat() if isinstance(value, pd.Timestamp) else value for name, value in kept.items()}


set_model(Bundle())
