"""The kinds of model to compare, simplest first, with their settings, and the search over these settings."""

from typing import Any

from pydantic import Field, ValidationError, create_model

from pipeline.candidates.kind import KINDS, Kind, Range, Trials
from pipeline.runtime.contract import Frozen

FIELDS: dict[str, Any] = {}
for _name, _kind in KINDS.items():
    FIELDS[_name] = (_kind | None, Field(None, description=(_kind.__doc__ or "").partition("\n\n")[0]))
Fields = create_model("Fields", __base__=Frozen, **FIELDS)


class Candidates(Fields):
    """The kinds of model to compare, simplest first. A kind that is not named is not trained.

    Where none is named, `defaults.with_candidates` chooses by the number of rows.
    """

    def named(self) -> dict[str, Kind]:
        """The settings of each named kind, simplest first."""
        named = {}
        for name in KINDS:
            settings = getattr(self, name)
            if settings is not None:
                named[name] = settings
        return named


class Search(Frozen):
    """The search over settings, on a sample of the rows. Each kind's best settings are then trained on all rows."""

    sample: float = Field(
        1.0, gt=0, le=1, description="Share of the days, groups or rows that trials are evaluated on."
    )
    batch: int = Field(4, ge=1, description="Trials that are proposed at once. Another number gives another result.")
    kinds: dict[str, Trials | None] = Field(
        {}, description="The search space by kind. A kind that is not named is tried once, as configured."
    )

    def plan(self, kind: str) -> Trials:
        """The trials of a kind: a single one, with the configured settings, where the search does not name it."""
        return self.kinds.get(kind) or Trials(trials=1)


def faults(search: Search, candidates: Candidates) -> list[str]:
    """List the faults of a search: unknown kinds and settings, ranges without the configured value, invalid ends."""
    named = candidates.named()
    errors = [f"{kind} is no kind of model. Known:  {', '.join(KINDS)}" for kind in search.kinds if kind not in KINDS]

    for kind, settings in named.items():
        for key, tried in search.plan(kind).space.items():
            errors += [f"{kind}.{key}: {fault}" for fault in _range_faults(settings, key, tried)]
    return errors


def _range_faults(settings: Kind, key: str, tried: Range) -> list[str]:
    configured = getattr(settings, key, None)
    if not isinstance(configured, int | float):
        return [f"is no setting that can be searched. Known:  {', '.join(type(settings).model_fields)}"]
    if not tried.low <= configured <= tried.high:
        span = f"{tried.low:g} to {tried.high:g}"
        return [f"the range {span} leaves out the configured {configured:g}, which is tried first"]

    try:
        for end in (tried.low, tried.high):
            settled(settings, {key: type(configured)(end)})
    except ValidationError as error:
        return [error.errors()[0]["msg"]]
    return []


def settled(settings: Kind, drawn: dict[str, Any]) -> Kind:
    """Replace some settings by drawn values and validate the result. Raises ValidationError for an invalid value."""
    return type(settings).model_validate({**settings.model_dump(), **drawn})
