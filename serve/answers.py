"""The bodies of answers: judgements of a classification, estimates of a regression, each with what made it."""

from pydantic import BaseModel, Field


class Judgement(BaseModel):
    probability: float = Field(description="Of the positive outcome, between 0 and 1.", examples=[0.31])
    label: int = Field(description="1 where the probability is at or above the threshold, else 0.", examples=[1])


class Estimate(BaseModel):
    value: float = Field(description="The estimated outcome, in its unit.", examples=[12.5])


class Source(BaseModel):
    model: str
    version: str = Field(description="The digest of the bundle that answered.")
    request_id: str = Field(description="The caller's `x-request-id`, or a new one.")


class Cut(BaseModel):
    threshold: float = Field(description="From this probability on the label is 1.")


class Measure(BaseModel):
    unit: str | None = Field(description="Of the value.")


class JudgementAnswer(Source, Cut, Judgement):
    """One judgement, and what made it."""


class JudgementAnswers(Source, Cut):
    """Judgements in the order of the rows."""

    predictions: list[Judgement]


class EstimateAnswer(Source, Measure, Estimate):
    """One estimate, and what made it."""


class EstimateAnswers(Source, Measure):
    """Estimates in the order of the rows."""

    predictions: list[Estimate]


JUDGEMENTS = JudgementAnswer, JudgementAnswers
ESTIMATES = EstimateAnswer, EstimateAnswers
