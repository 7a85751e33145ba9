"""How rows are divided into folds and a holdout, as it stands in the config; `split` divides them."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from pipeline.candidates import Candidates
from pipeline.limits import Bounds
from pipeline.schema import Frozen

UNITS = {"day": "days", "days": "days", "week": "weeks", "weeks": "weeks", "month": "months", "months": "months"}


class Duration(NamedTuple):
    """A span of calendar time, such as 2 months."""

    amount: int
    unit: str


def _duration(text: Any) -> Any:
    words = text.split() if isinstance(text, str) else []
    if len(words) != 2 or not words[0].isdecimal() or not 1 <= int(words[0]) <= 9999 or words[1] not in UNITS:
        raise ValueError("should be a number and a unit, such as 2 months, 3 weeks or 14 days")
    return Duration(int(words[0]), UNITS[words[1]])


Span = Annotated[
    Duration,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+ (day|week|month)s?$")]),
]
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


class Retrain(Frozen):
    """What judges a model that is trained again: the newest days, from which neither it nor the champion has learnt."""

    judge: Span
    folds: int = Field(1, ge=1)
    fold_length: Span
    worse: float = Field(0.0, ge=0, description="How much higher than the champion's the loss may be.")
    holdout: dict[str, Bounds] = Field(
        min_length=1, description="Instead of `gates.holdout`, whose limits are those of another window."
    )


class Monitor(Frozen):
    """How predictions are watched, and what is an alarm: so many of the last windows wrong, the latest among them."""

    days: int = Field(7, ge=1, description="Of one window.")
    pooled: int = Field(4, ge=1, description="Windows that are judged together, since one has too few days.")
    least: int = Field(14, ge=2, description="Days with labels that a judgement needs.")
    rows: int = Field(500, ge=20, description="Labelled rows that a judgement needs, or rows of a day that is checked.")
    alarms: int = Field(2, ge=1, description="Windows that have to be wrong, the latest among them ...")
    of: int = Field(3, ge=1, description="... of so many last ones.")
    gone: float = Field(
        0.95, gt=0.5, le=1, description="Share of a day's rows without a column's value, or with one and the same."
    )


class Replay(Frozen):
    """What of the data is played through a running server, and with which candidates: quick ones, without a search."""

    learn: Span | None = Field(None, description="What the first champion learns from; a quarter of the days.")
    play: Span | None = Field(None, description="What is played after it; all the rest.")
    candidates: Candidates | None = Field(None, description="Instead of those of a training and their search.")


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
