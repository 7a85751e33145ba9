"""The kinds of model and the search for a config that names none: they follow the number of rows."""

from pipeline.config.candidates import Boosting, Candidates, Forest, Linear, Range, Search, Trials
from pipeline.config.config import Config

MANY = 10_000  # rows from which on trees are larger, and each of a forest is trained on fewer of the rows


def with_candidates(config: Config, rows: int) -> Config:
    """The config with kinds of model and a search that fit so many rows, unless it names its own."""
    if config.candidates.named():
        return config
    candidates, search = candidates_for(rows)
    return config.model_copy(update={"candidates": candidates, "search": search})


def candidates_for(rows: int) -> tuple[Candidates, Search]:
    """Few rows need small trees with small leaves: a leaf of boosting has about 1 % of the rows.

    Settings that are not named here keep their defaults.
    """
    many = rows >= MANY
    leaf = max(5, min(50, rows // 100))
    forest = Forest(min_samples_leaf=max(2, leaf // 4), max_samples=0.3 if many else 0.8)
    boosting = Boosting(
        max_iter=150 if many else 100,
        learning_rate=0.1 if many else 0.05,
        max_leaf_nodes=31 if many else 15,
        min_samples_leaf=leaf,
        l2_regularization=1.0,
    )

    space = {
        "learning_rate": Range(low=0.03, high=0.3, log=True),
        "max_leaf_nodes": Range(low=7, high=63, log=True),
        "min_samples_leaf": Range(low=max(2, leaf // 3), high=leaf * 3, log=True),
    }
    penalties = {"C": Range(low=0.01, high=10, log=True)}
    search = Search(kinds={"linear": Trials(trials=3, space=penalties), "boosting": Trials(trials=8, space=space)})
    return Candidates(linear=Linear(), forest=forest, boosting=boosting), search
