"""The config's sections `retrain`, `monitor` and `replay`: after a champion is in service."""

from pydantic import Field

from pipeline.config.candidates import Candidates
from pipeline.config.durations import Span
from pipeline.config.gates import Bounds
from pipeline.runtime.contract import Frozen


class Retrain(Frozen):
    """How a retrained model is compared with the champion: on the newest days, on which neither was trained."""

    judge: Span = Field(description="The newest days, which compare the new model with the champion.")
    folds: int = Field(1, ge=1, description="Folds before those days.")
    fold_length: Span = Field(description="Length of a fold.")
    worse: float = Field(0.0, ge=0, description="How much higher than the champion's the loss may be.")
    holdout: dict[str, Bounds] = Field(
        min_length=1, description="Instead of `gates.holdout`, whose limits are those of another window."
    )


class Monitor(Frozen):
    """How predictions are monitored. A model is degraded if `min_bad` of the last `out_of` windows are bad, including
    the latest.
    """

    days: int = Field(7, ge=1, description="Length of one window in days.")
    pooled_windows: int = Field(4, ge=1, description="Windows that are judged together, since one has too few days.")
    min_days: int = Field(14, ge=2, description="Days with labels that a judgement needs.")
    rows: int = Field(500, ge=20, description="Labelled rows that a judgement needs, or rows of a day that is checked.")
    min_bad: int = Field(2, ge=1, description="Degraded windows that make the monitor fire, the latest among them ...")
    out_of: int = Field(3, ge=1, description="... of so many last ones.")
    max_constant_share: float = Field(
        0.95, gt=0.5, le=1, description="Share of a day's rows without a column's value, or with one and the same."
    )


class Replay(Frozen):
    """The part of the data that a replay sends through a running server, and the candidates that it trains: fast ones,
    without a search.
    """

    learn: Span | None = Field(None, description="What the first champion learns from. Default: the first quarter.")
    play: Span | None = Field(None, description="What is played after it. Default: all other days.")
    candidates: Candidates | None = Field(None, description="Instead of those of a training and their search.")
