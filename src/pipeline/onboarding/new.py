"""`make new`: from a table and the name of its target to a config that trains."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from pipeline.config.config import load
from pipeline.data.read import read
from pipeline.errors import ConfigError, DataError
from pipeline.onboarding.columns import Guess, describe
from pipeline.onboarding.look import Table, look
from pipeline.onboarding.outcome import Outcome, outcome_of
from pipeline.onboarding.propose import Split, config_text, split_of
from pipeline.runtime.contract import Contract
from pipeline.training import leaks

LEAK = 0.99  # ROC AUC or rank correlation, from which on a column looks like the outcome itself


class Created(NamedTuple):
    """The new config file, and what it was made from."""

    file: Path
    table: Table
    guesses: list[Guess]
    outcome: Outcome
    split: Split
    after: dict[str, str]


def new(name: str, path: Path, target: str, configs: Path, positive: str | None = None) -> Created:
    """Write `configs/NAME.yaml`, completely or not at all.

    Raises ConfigError where it exists already or the name cannot be one, DataError where the table cannot be used.
    """
    file = configs / f"{name}.yaml"
    if file.exists():
        raise ConfigError(f"{file}: is there already, and is not overwritten; remove it or choose another NAME")

    table = look(path, target)
    outcome = outcome_of(target, table.frame[target], positive)
    guesses = describe(table.frame, target)
    split = split_of(table, guesses)

    after: dict[str, str] = {}
    text = config_text(name, target, table, guesses, outcome, split, after, configs)
    with tempfile.TemporaryDirectory(dir=configs) as folder:
        draft = Path(folder) / file.name
        draft.write_text(config_text(name, target, table, guesses, outcome, split, after, Path(folder)), "utf-8")
        after = suspicious(draft, Path(folder))
        if after and after.keys() >= {guess.name for guess in guesses if not guess.left_out}:
            reasons = "; ".join(f"{column} {question}" for column, question in after.items())
            raise DataError(f"{path}: every column looks like a leak of {target}, and nothing is left to learn from: {reasons}")
        if after:
            text = config_text(name, target, table, guesses, outcome, split, after, configs)

    with file.open("x", encoding="utf-8") as out:
        out.write(text)
    return Created(file, table, guesses, outcome, split, after)


def suspicious(draft: Path, folder: Path) -> dict[str, str]:
    """A question for each feature that says too much of the outcome to be known before it."""
    config = load(draft, ["data.max_rejected=0.05"])
    rows = read(config, folder).examples
    contract = config.contract
    seed = config.train.seed

    found: dict[str, str] = {}
    for name, score in leaks.single_feature_scores(contract, rows.data, rows.target, seed).items():
        if score > LEAK:
            found[name] = f"tells the outcome by itself ({score:.3f}): is it known before? Then say so, and add it to features"
    for name in leaks.present_for_one_outcome(contract, rows.data, rows.target):
        found[name] = "is missing only, or there only, with one outcome: is it known before? Then say so, and add it to features"
    pair = leaks.best_pair(contract, rows.data, rows.target, seed)
    if pair and pair.score > LEAK and not found.keys() & set(pair.names):
        both = " and ".join(pair.names)
        found |= dict.fromkeys(pair.names, f"{both} together tell the outcome ({pair.score:.3f}): are both known before it?")
    return {origin_of(name, contract): question for name, question in found.items()}


def origin_of(name: str, contract: Contract) -> str:
    """The column of the file that a feature comes from."""
    return (contract.columns[name].derived_from or [name])[0]
