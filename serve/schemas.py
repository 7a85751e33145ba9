"""The bodies of responses: predictions and explanations of each task, with the model, its version and the request id.

It knows nothing about how predictions are computed. OpenAPI shows the docstrings of the classes.
"""

from pydantic import BaseModel, Field


class BinaryPrediction(BaseModel):
    probability: float = Field(description="Of the positive outcome, between 0 and 1.", examples=[0.31])
    label: int | str = Field(
        description="1 where the probability is at or above the threshold, else 0; or the data's words for both.",
        examples=[1],
    )


class MulticlassPrediction(BaseModel):
    probabilities: dict[str, float] = Field(description="Of each class; they add up to 1.", examples=[{"setosa": 0.9}])
    label: str = Field(
        description="The most probable class, or the cheapest where costs are given.", examples=["setosa"]
    )


class RegressionPrediction(BaseModel):
    value: float = Field(description="The estimated outcome, in its unit.", examples=[12.5])


class ModelFields(BaseModel):
    model: str
    version: str = Field(description="The digest of the bundle that made the prediction.")
    request_id: str = Field(description="The caller's `x-request-id`, or a new one.")


class ThresholdField(BaseModel):
    threshold: float = Field(description="From this probability on the label is 1.")


class ClassesField(BaseModel):
    classes: list[str] = Field(description="The classes, in the order of their probabilities in tensors and CSV.")


class UnitField(BaseModel):
    unit: str | None = Field(description="Of the value.")


class BinaryResponse(ModelFields, ThresholdField, BinaryPrediction):
    """The prediction for one row, and the model that made it."""


class BinaryBatchResponse(ModelFields, ThresholdField):
    """Judgements in the order of the rows."""

    predictions: list[BinaryPrediction]


class MulticlassResponse(ModelFields, ClassesField, MulticlassPrediction):
    """The probabilities of the classes for one row, and the model that made them."""


class MulticlassBatchResponse(ModelFields, ClassesField):
    """Predictions in the order of the rows."""

    predictions: list[MulticlassPrediction]


class RegressionResponse(ModelFields, UnitField, RegressionPrediction):
    """One estimate, and what made it."""


class RegressionBatchResponse(ModelFields, UnitField):
    """Estimates in the order of the rows."""

    predictions: list[RegressionPrediction]


class Contribution(BaseModel):
    """What one field did to the answer."""

    field: str
    value: str | float | bool | None = Field(description="As it was sent; null where it was left out.")
    contribution: float = Field(description="In probability or, of a value, in its unit.", examples=[0.04])
    standard_error: float = Field(description="Standard error, from sampling orders of fields and background rows.")
    text: str | None = Field(None, description="A rolling feature in words: of whom, and when.")


class ExplanationBody(BaseModel):
    base: float = Field(description="The mean prediction for rows of the training data.")
    contributions: list[Contribution] = Field(
        description="They add up to the prediction minus the base; largest first."
    )
    exact: bool = Field(description="True if every coalition of fields was computed; false if orders were sampled.")


class BinaryExplanation(ModelFields, ThresholdField, ExplanationBody, BinaryPrediction):
    """A judgement with its reasons."""


class MulticlassExplanation(ModelFields, ClassesField, ExplanationBody, MulticlassPrediction):
    """A prediction with the reasons for the probability of one class."""

    explained: str = Field(description="The class: the most probable, or the one of `?class=`.", examples=["setosa"])


class RegressionExplanation(ModelFields, UnitField, ExplanationBody, RegressionPrediction):
    """An estimate with its reasons."""


# By task: the body for one row, for many rows, for an explanation.
OF_TASK: dict[str, tuple[type[BaseModel], type[BaseModel], type[BaseModel]]] = {
    "binary": (BinaryResponse, BinaryBatchResponse, BinaryExplanation),
    "multiclass": (MulticlassResponse, MulticlassBatchResponse, MulticlassExplanation),
    "regression": (RegressionResponse, RegressionBatchResponse, RegressionExplanation),
}
