"""The config's sections `retrain`, `monitor` and `replay`: after a champion is in service."""

from pydantic import Field

from pipeline.config.candidates import Candidates
from pipeline.config.durations import Span
from pipeline.config.gates import Bounds
from pipeline.runtime.contract import Frozen


class Retrain(Frozen):
    """How a retrained model is compared with the champion: on the newest days, on which neither was trained."""

    compare_on: Span = Field(
        description="The newest days: the holdout on which the new model is compared with the champion."
    )
    folds: int = Field(1, ge=1, description="Folds before those days.")
    fold_length: Span = Field(description="Length of a fold.")
    max_increase: float = Field(0.0, ge=0, description="How much higher than the champion's loss the new loss may be.")
    holdout: dict[str, Bounds] = Field(
        min_length=1, description="Limits by metric. They replace `gates.holdout`, whose limits are for another window."
    )


class Monitor(Frozen):
    """How predictions are monitored. A model is degraded if `min_bad` of the last `out_of` windows are bad, including
    the latest.
    """

    window_days: int = Field(7, ge=1, description="Length of one window in days.")
    pooled_windows: int = Field(
        4, ge=1, description="Windows that are evaluated together, because one has too few days."
    )
    min_days: int = Field(14, ge=2, description="Days with labels that a verdict needs.")
    min_rows: int = Field(
        500,
        ge=20,
        description="Labelled rows that a verdict needs, and rows that a day needs to be checked for column faults.",
    )
    min_bad: int = Field(2, ge=1, description="Degraded windows, including the latest, at which the monitor fires ...")
    out_of: int = Field(3, ge=1, description="... out of this many latest windows.")
    max_constant_share: float = Field(
        0.95,
        gt=0.5,
        le=1,
        description="A day has a column fault if a larger share of its rows lacks the column's "
        "value, or has the same value.",
    )
    max_skew: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="For `make skew`: a column is skewed if a larger share (0 to 1) of its logged rows differs from "
        "the same rows in the data.",
    )


class Replay(Frozen):
    """The part of the data that a replay sends through a running server, and the candidates that it trains: fast ones,
    without a search.
    """

    learn: Span | None = Field(
        None, description="The time that the first champion is trained on. Default: the first quarter of the data."
    )
    play: Span | None = Field(None, description="The time that is replayed after it. Default: the rest of the data.")
    candidates: Candidates | None = Field(
        None, description="Candidates that replace those of a training and its search."
    )
