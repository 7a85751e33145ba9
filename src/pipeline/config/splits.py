"""How rows are divided into folds and a holdout, as it stands in the config; `split` divides them."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.durations import Span
from pipeline.runtime.contract import Frozen

Share = Annotated[float, Field(gt=0, lt=1)]
Opened = Annotated[
    Literal["once", "none"], Field(description="none: compare the candidates and leave the holdout unopened.")
]


class TimeSplit(Frozen):
    """Forward chaining: each fold is trained on all days before it; the end of the data is the holdout."""

    by: Literal["time"]
    time: str = Field(description="The column with the date and time.")
    holdout: Span
    folds: int = Field(3, ge=1)
    fold_length: Span
    test: Opened = "once"


class RowSplit(Frozen):
    """For rows without time: a stable hash of the row's key decides where it belongs, so that it stays there."""

    by: Literal["row"]
    holdout: Share
    folds: int = Field(5, ge=2)
    test: Opened = "once"


class GroupSplit(Frozen):
    """For rows that come in groups, such as several of one patient: a stable hash keeps each group together."""

    by: Literal["group"]
    group: str = Field(description="The column that names the group.")
    holdout: Share
    folds: int = Field(5, ge=2)
    test: Opened = "once"


Plan = TimeSplit | GroupSplit | RowSplit
