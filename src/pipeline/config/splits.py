"""The config's `split` section: how rows are divided into folds and a holdout. `pipeline.data.split` divides them."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.durations import Span
from pipeline.runtime.contract import Frozen

Share = Annotated[float, Field(gt=0, lt=1)]
Opened = Annotated[
    Literal["once", "none"], Field(description="none: compare the candidates and leave the holdout unopened.")
]


class TimeSplit(Frozen):
    """Forward chaining: the model of each fold is trained on all days before it. The holdout is the end of the data."""

    by: Literal["time"] = Field(description="Rows are divided by their time.")
    time: str = Field(description="The column with the date and time.")
    holdout: Span = Field(description="Length of the holdout, at the end, such as 2 months.")
    folds: int = Field(3, ge=1, description="Number of folds before it.")
    fold_length: Span = Field(description="Length of the validation part of a fold, such as 1 month.")
    test: Opened = "once"


class RowSplit(Frozen):
    """For rows without time: a stable hash of the row's key decides its fold or the holdout, so it never moves."""

    by: Literal["row"] = Field(description="Rows are divided by a hash of their key.")
    holdout: Share = Field(description="Share of the rows, such as 0.2.")
    folds: int = Field(5, ge=2, description="Number of folds.")
    test: Opened = "once"


class GroupSplit(Frozen):
    """For rows in groups, such as several rows of one patient: a stable hash of the group keeps its rows together."""

    by: Literal["group"] = Field(description="Groups are divided by a hash of their name.")
    group: str = Field(description="The column that names the group.")
    holdout: Share = Field(description="Share of the groups, such as 0.2.")
    folds: int = Field(5, ge=2, description="Number of folds.")
    test: Opened = "once"


Plan = TimeSplit | GroupSplit | RowSplit
