"""`make new`: from a table and the name of its target to a config that trains."""

import re
import tempfile
from pathlib import Path

from pipeline.config.config import load
from pipeline.data.read import read
from pipeline.errors import ConfigError, DataError
from pipeline.onboarding.columns import describe
from pipeline.onboarding.look import look
from pipeline.onboarding.outcome import outcome_of
from pipeline.onboarding.propose import beside_split, split_of
from pipeline.onboarding.write import Proposal, config_text, features_of
from pipeline.training import leaks

LEAK = 0.99  # ROC AUC or rank correlation from which on a column is taken for the outcome itself
ANY_REJECTED = "data.max_rejected=0.999"  # while it is looked at: the training lists them, and what would accept them
SAY_SO = "Is it known before? Then say so, and add it to the features"


def new(name: str, path: Path, target: str, configs: Path, positive: str | None = None) -> Proposal:
    """Write `configs/NAME.yaml`, completely or not at all, and return what it was made from.

    Raises ConfigError where the file exists or the name cannot be one, DataError where the table cannot be used.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        example = near if near[:1].isalpha() else "churn_2024"
        raise ConfigError(f"NAME={name!r}: should be small letters, digits and underscores, such as {example}")
    file = configs / f"{name}.yaml"
    if file.exists():
        raise ConfigError(f"{file}: is there already, and is not overwritten; remove it or choose another NAME")
    if not configs.is_dir():
        raise ConfigError(f"{configs}: no such folder; run this in the clone's own folder")

    table = look(path, target)
    outcome = outcome_of(target, table.frame[target], positive, table.written.get("decimal", "."))
    guesses = describe(table.frame, target)
    split = split_of(table, guesses)
    proposal = Proposal(name, target, table, [*beside_split(table, guesses, split)], outcome, split, {})

    if not any(features_of(proposal)):
        reasons = "; ".join(f"{guess.header} is left out: {guess.left_out}" for guess in proposal.guesses)
        raise DataError(f"{path}: has no column to predict {target} from. {reasons[:500]}")

    with tempfile.TemporaryDirectory() as folder:
        proposal = proposal._replace(after=suspicious(proposal, Path(folder)))
    with file.open("x", encoding="utf-8") as config:
        config.write(config_text(proposal, configs))
    return proposal


def suspicious(proposal: Proposal, folder: Path) -> dict[str, str]:
    """A question for each column that says too much of the outcome to be known before it.

    Raises DataError where every column does.
    """
    draft = folder / "draft.yaml"
    draft.write_text(config_text(proposal, folder), encoding="utf-8")
    config = load(draft, [ANY_REJECTED])
    rows = read(config, folder).examples
    contract = config.contract
    seed = config.train.seed

    facts: dict[str, str] = {}
    for name, score in leaks.single_feature_scores(contract, rows.data, rows.target, seed).items():
        if score > LEAK:
            facts[name] = f"tells the outcome by itself ({score:.3f})"
    for name in leaks.present_for_one_outcome(contract, rows.data, rows.target):
        facts[name] = "is missing only, or there only, with one outcome"
    pair = leaks.best_pair(contract, rows.data, rows.target, seed)
    if pair and pair.score > LEAK and not facts.keys() & set(pair.names):
        both = " and ".join(pair.names)
        facts |= dict.fromkeys(pair.names, f"{both} together tell the outcome ({pair.score:.3f})")

    if facts.keys() >= set(contract.features):
        reasons = "; ".join(sorted(set(facts.values())))
        raise DataError(
            f"{proposal.table.path}: every column looks like a leak of {proposal.target}: {reasons}. Bring "
            "columns that are known before it"
        )
    questions = {}
    for name, fact in facts.items():
        origin = contract.columns[name].derived_from or [name]
        questions[origin[0]] = f"{fact}. {SAY_SO}"
    return questions
