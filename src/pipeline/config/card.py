"""The config's `card` section: what people say for the model card and the data card, because no training can."""

from pydantic import Field

from pipeline.runtime.contract import Frozen


class Card(Frozen):
    """What people declare of a model and its data. The cards say of each statement that is absent: not declared."""

    intended_use: str | None = Field(None, description="What the predictions are for, and who uses them.")
    not_for: str | None = Field(None, description="What they are not for.")
    conditional_on: str | None = Field(
        None, description="What holds for every row of the data but not for every case: that the flight landed."
    )
    limits: str | None = Field(None, description="Where the model is known to be weak, or was never tested.")
    contest: str | None = Field(None, description="How a person contests an answer: where, how, and what happens then.")
    data_source: str | None = Field(None, description="Who collected the data, how, and for which purpose.")
