"""The config's sections `data`, `train`, `masking`, `costs` and `paths`: the rows of a training, and how it works."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.gates import Bounds
from pipeline.runtime.contract import Frozen
from pipeline.runtime.dataset import DataFile


class Data(DataFile):
    """The rows to train on: their file, sample, end and key."""

    licence: str | None = Field(None, description="SPDX identifier of the data's licence, such as CC0-1.0.")
    sample: float = Field(1.0, gt=0, le=1, description="Share of the days, groups or rows to train on.")
    until: date | None = Field(None, description="Rows from this day on are left out; for a split by time.")
    key: list[str] = Field([], description="Columns that identify a row. Default: all columns that are known before.")
    max_same_key: float = Field(
        0, ge=0, lt=1, description="Share of rows with the key of another row above which training stops."
    )
    max_rejected: float = Field(0.001, ge=0, lt=1, description="Share of rejected rows above which training stops.")


class Train(Frozen):
    """Settings of a training that are independent of the kind of model."""

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of everything that is random.")
    workers: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto",
        description="Processes that fit folds side by side, one thread each; auto is one for each core. The result "
        "does not depend on it.",
    )
    backend: Literal["loky", "dask"] = Field(
        "loky", description="Where the fits run: loky is the cores of this machine, dask the workers of a cluster."
    )
    scheduler: str | None = Field(
        None,
        description="Address of the cluster's scheduler, such as tcp://10.0.0.5:8786. Default: DASK_SCHEDULER_ADDRESS.",
    )
    rare: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto",
        description="A category value with fewer training rows counts as unknown; auto is 1 % of the rows, at least 2 "
        "and at most 50.",
    )
    resamples: int = Field(500, ge=20, description="Bootstrap resamples behind each interval.")
    clip: Bounds | None = Field(
        None, description="A regression is trained on outcomes clipped to this range; it is scored on all outcomes."
    )


ENOUGH_COPIES = 500  # of rows without any optional column


class Masking(Frozen):
    """Which columns callers leave out together, and how many masked copies of training rows teach the model that."""

    groups: dict[str, list[str]] = Field({}, description="Optional columns that callers leave out together, by name.")
    all: Literal["auto"] | Annotated[float, Field(ge=0, le=0.5)] = Field(
        "auto",
        description="Share of training rows copied without any optional column; auto is 10 %, and more of few rows: up "
        "to 500 copies or half of them.",
    )
    per_group: float = Field(0.05, ge=0, le=0.1, description="Share of training rows copied for each group.")

    @model_validator(mode="after")
    def copies_no_row_twice(self) -> Self:
        shares = self.share_of_all(rows=1) + self.per_group * len(self.groups)
        if shares > 1:
            count = len(self.groups)
            raise ValueError(f"all and per_group, for {count} groups, add up to {shares:g} of the rows; 1 is the most")
        return self

    def share_of_all(self, rows: int) -> float:
        """The share of so many rows that is copied without any optional column."""
        return min(0.5, max(0.1, ENOUGH_COPIES / rows)) if self.all == "auto" else self.all


class Costs(Frozen):
    """The costs of a miss and of a false alarm. They decide the threshold: false_alarm / (false_alarm + miss)."""

    miss: float = Field(gt=0, description="Cost of a positive row without a warning.")
    false_alarm: float = Field(gt=0, description="Cost of a warning for a negative row.")

    @property
    def threshold(self) -> float:
        return self.false_alarm / (self.false_alarm + self.miss)


class Paths(Frozen):
    """Where bundles, reports and MLflow runs are stored."""

    models: str = Field("models", description="Folder of the bundles.")
    reports: str = Field("reports", description="Folder of the reports.")
    tracking: str = Field(
        "sqlite:///mlflow.db", description="MLflow's store; the command line takes MLFLOW_TRACKING_URI for it."
    )
