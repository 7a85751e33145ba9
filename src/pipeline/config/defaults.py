"""The kinds of model and the search for a config that names none: they follow the number of rows."""

from pipeline.candidates.kind import KINDS
from pipeline.config.candidates import Candidates, Search
from pipeline.config.config import Config


def with_candidates(config: Config, rows: int) -> Config:
    """The config with kinds of model and a search that fit so many rows, unless it names its own."""
    if config.candidates.named():
        return config
    candidates, search = candidates_for(rows)
    return config.model_copy(update={"candidates": candidates, "search": search})


def candidates_for(rows: int) -> tuple[Candidates, Search]:
    """What the kinds of model suggest for so many rows."""
    suggested = {name: suggestion for name, kind in KINDS.items() if (suggestion := kind.suggested(rows))}
    candidates = Candidates(**{name: suggestion.settings for name, suggestion in suggested.items()})
    return candidates, Search(kinds={name: suggestion.trials for name, suggestion in suggested.items()})
