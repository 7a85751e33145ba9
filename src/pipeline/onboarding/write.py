"""The text of a config for a table, as a person would write it: a line for each column, with reasons."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from pipeline.onboarding.columns import EVERYWHERE, Guess, is_missing
from pipeline.onboarding.look import Table
from pipeline.onboarding.names import field_name, spaced
from pipeline.onboarding.outcome import Outcome
from pipeline.onboarding.propose import Split

DAY_OF_WEEK = "Day of the week, Monday is 0"
MODELS = """\
# Kinds of model, the search over their settings and the gates follow the number of rows and the first champion.
# To choose them: candidates, search and gates in docs/configuration.md. What the model is for, and its limits: card."""


class Proposal(NamedTuple):
    """All that a config is written from.

    `after` has a question for each column that looks as if it were known only after the outcome.
    """

    name: str
    target: str
    table: Table
    guesses: list[Guess]
    outcome: Outcome
    split: Split
    after: Mapping[str, str]


def config_text(proposal: Proposal, folder: Path) -> str:
    """The text of a config that lies in `folder`."""
    name, target, table, _, outcome, split, _ = proposal
    features = "\n".join(f"  - {flow(feature)}" for feature in features_of(proposal))

    sections = [
        f"# Made by `make new` from {table.path.name}. It is yours: say what the columns mean, and what is known when.",
        f"name: {flow(name)}\nquestion: {flow(outcome.question)}\ntask: {outcome.task}\ndataset: table",
        f"data: {flow(data_keys(proposal, folder))}",
        "\n".join(["columns:", *column_lines(proposal), target_line(proposal)]),
        f"target: {flow(field_name(target))}\nfeatures:\n{features}",
        f"# Split {split.note}.\nsplit: {flow(split.keys)}",
    ]
    if outcome.task == "binary":
        why = "# What a missed yes costs, and what a false alarm: they decide from which probability on the label is 1."
        sections.append(f"{why}\ncosts: {flow({'miss': 1, 'false_alarm': 1})}")
    sections.append(MODELS)
    return "\n\n".join(sections) + "\n"


def is_feature(guess: Guess, proposal: Proposal) -> bool:
    """Whether the model sees the column, or the day of the week of it."""
    return not (guess.left_out or guess.name in proposal.after or guess.name == proposal.split.keys.get("group"))


def features_of(proposal: Proposal) -> Iterator[str]:
    for guess in proposal.guesses:
        if is_feature(guess, proposal):
            yield f"{guess.name}_day_of_week" if guess.keys["kind"] == "datetime" else guess.name


def data_keys(proposal: Proposal, folder: Path) -> dict[str, Any]:
    table = proposal.table
    keys: dict[str, Any] = {"path": os.path.relpath(table.path, folder), **table.written}
    if marks := [mark for mark in EVERYWHERE if (table.frame == mark).any(axis=None)]:
        keys["missing"] = marks
    if identifiers := [guess.name for guess in proposal.guesses if guess.is_key]:
        keys["key"] = identifiers[:1]
    return keys


def column_lines(proposal: Proposal) -> Iterator[str]:
    """One line for each column, a comment where the config has no use for it."""
    for guess in proposal.guesses:
        used = is_feature(guess, proposal)
        note = proposal.after.get(guess.name) or (f"left out: {guess.left_out}" if guess.left_out else guess.note)
        if not (used or guess.is_key or guess.name in proposal.after or guess.name == proposal.split.column):
            yield f"  # {guess.header}: {note}"
            continue

        known = "after" if guess.name in proposal.after else "before"
        keys = {"kind": guess.keys["kind"], "known": known, **guess.keys, "meaning": meaning_of(guess.header)}
        if used and (example := example_of(proposal.table, guess)) is not None:
            keys["example"] = example
        yield f"  {flow(guess.name)}: {flow(keys)}" + (f" # {note}" if note else "")
        if used and guess.keys["kind"] == "datetime":
            optional = {"nullable": True} if guess.keys.get("nullable") else {}
            derived = {"kind": "integer", "known": "before", "derived_from": [guess.name], **optional}
            yield f"  {guess.name}_day_of_week: {flow({**derived, 'meaning': DAY_OF_WEEK})}"


def target_line(proposal: Proposal) -> str:
    target = proposal.target
    field = field_name(target)
    keys = {"kind": "", "known": "after", **proposal.outcome.keys, "meaning": meaning_of(target)}
    if field != target:
        keys["source"] = target
    notes = "; ".join(proposal.outcome.notes)
    return f"  {flow(field)}: {flow(keys)}" + (f" # {notes}" if notes else "")


def meaning_of(header: str) -> str:
    """The header as words. A config wants three characters at least."""
    text = spaced(header).replace("_", " ").strip()
    return text.capitalize() if len(text) >= 3 else f"Column {header}".strip()


def example_of(table: Table, guess: Guess) -> Any:
    """The most frequent value of a category, a median of numbers; None for a date."""
    kind = guess.keys["kind"]
    values = table.frame[guess.header]
    known = values[~is_missing(values, guess.keys)]
    if kind in ("integer", "number"):
        median = float(pd.to_numeric(known, errors="coerce").quantile(0.5, interpolation="lower"))
        return int(median) if kind == "integer" else median
    return {"category": str(known.mode().iloc[0]), "boolean": True}.get(kind)


def flow(value: str | dict[str, Any]) -> str:
    """A value as YAML on one line: in quotes where YAML would read something else, as in no, on and 1e3."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
