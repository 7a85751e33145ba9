"""From what a table is to a config: its split, the kinds of model that fit its size, and the text of the file."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from pipeline.onboarding.columns import Guess, field_name
from pipeline.onboarding.look import Table
from pipeline.onboarding.outcome import Outcome

HOLDOUT = 0.2
FEWEST_DAYS = 20  # of a split by time
REPEATED = (0.02, 0.8)  # different values of a column that names groups, as a share of the rows
GROUP = re.compile(r"(^|_)(id|customer|user|patient|client|account|household|session|device)(_?id)?$|[a-z]Id$", re.IGNORECASE)
SHORT = 8_000  # rows up to which trials take little time


class Split(NamedTuple):
    """The keys of `split:`, the column that the rows' time or group is in, and a sentence about it."""

    keys: dict[str, Any]
    column: str
    note: str


def split_of(table: Table, guesses: list[Guess]) -> Split:
    """By time where there is one, by group where an identifier repeats, else by row."""
    for guess in guesses:
        if guess.keys["kind"] == "datetime" and not guess.keys.get("nullable") and "birth" not in guess.name.lower():
            days = pd.to_datetime(table.frame[guess.header], format=guess.keys.get("format", "ISO8601"))
            length = (days.max() - days.min()) / timedelta(days=1)
            if length >= FEWEST_DAYS and days.dt.normalize().nunique() >= FEWEST_DAYS:
                keys = {"by": "time", "time": guess.name, "holdout": span(length * HOLDOUT)}
                keys |= {"folds": 3, "fold_length": span(length * HOLDOUT)}
                note = f"by time ({guess.name}): the model is judged on rows that are newer than those it learnt from"
                return Split(keys, guess.name, note)

    rows = len(table.frame)
    for guess in guesses:
        values = table.frame[guess.header]
        share = values.nunique() / rows
        if GROUP.search(guess.name) and (values != "").all() and REPEATED[0] < share < REPEATED[1]:
            keys = {"by": "group", "group": guess.name, "holdout": HOLDOUT, "folds": 5}
            return Split(keys, guess.name, f"by group ({guess.name}): the rows of one {guess.name} stay together")

    note = "by row: fine where rows have nothing to do with one another; if they have a time or belong together, say so"
    return Split({"by": "row", "holdout": HOLDOUT, "folds": 5}, "", note)


def span(days: float) -> str:
    return f"{max(1, round(days))} days"


def models_for(rows: int) -> dict[str, Any]:
    """The candidates, their search and `train.rare` for so many rows: few rows need small leaves, and allow trials."""
    leaf = max(5, min(200, rows // 100))
    boosting = {"max_iter": 100, "learning_rate": 0.05, "max_leaf_nodes": 15, "min_samples_leaf": leaf}
    boosting |= {"l2_regularization": 1.0, "max_features": 0.5}
    forest = {"n_estimators": 60, "max_depth": 14, "min_samples_leaf": max(2, leaf // 4), "max_features": 0.3}
    forest |= {"max_samples": 0.8 if rows < SHORT else 0.3}
    leaves = {"low": max(2, leaf // 3), "high": leaf * 3, "log": True}
    space = {"learning_rate": {"low": 0.03, "high": 0.2, "log": True}, "min_samples_leaf": leaves}
    kinds = {
        "linear": {"trials": 3, "space": {"C": {"low": 0.01, "high": 10, "log": True}}},
        "boosting": {"trials": 6, "space": space},
    }
    return {
        "candidates": {"linear": {"C": 1.0}, "forest": forest, "boosting": boosting},
        "search": {"kinds": kinds},
        "train": {"rare": max(2, min(50, rows // 100))},
    }


def config_text(
    name: str, target: str, table: Table, guesses: list[Guess], outcome: Outcome, split: Split, after: dict[str, str],
    configs: Path,
) -> str:  # fmt: skip
    """The config file. `after` has a question by column that looks as if it were known only after the outcome."""
    features = []
    lines = []
    for guess in guesses:
        used = not guess.left_out and guess.name not in after and guess.name != split.column
        note = after.get(guess.name) or (f"left out: {guess.left_out}" if guess.left_out else guess.note)
        needed = used or guess.name == split.column or guess.is_key or guess.name in after
        if used and guess.keys["kind"] != "datetime":
            features.append(guess.name)
        keys = {"kind": guess.keys["kind"], "known": "after" if guess.name in after else "before"}
        keys |= {key: value for key, value in guess.keys.items() if key != "kind"}
        keys["meaning"] = meaning_of(guess.header)
        if used and (example := example_of(table, guess)) is not None:
            keys["example"] = example
        line = f"  {word(guess.name)}: {flow(keys)}" + (f" # {note}" if note else "")
        lines.append(line if needed else f"  # {guess.header}: {note}")
        if used and guess.keys["kind"] == "datetime" or guess.name == split.column and split.keys["by"] == "time":
            derived = f"{guess.name}_day_of_week"
            features.append(derived)
            keys = {"kind": "integer", "known": "before", "derived_from": [guess.name]}
            keys |= {"nullable": True} if guess.keys.get("nullable") else {}
            lines.append(f"  {derived}: {flow({**keys, 'meaning': 'Day of the week, Monday is 0'})}")

    field, source = target_field(target)
    target_keys = {**outcome.keys, "known": "after", "meaning": meaning_of(target), **source}
    data: dict[str, Any] = {"path": os.path.relpath(table.path, configs), **table.written}
    words = [mark for mark in ("?", "-", "--") if (table.frame == mark).any(axis=None)]
    if words:
        data["missing"] = words
    if keys_of_rows := [guess.name for guess in guesses if guess.is_key][:1]:
        data["key"] = keys_of_rows

    sections = [
        f"# Made by `make new` from {table.path.name}. It is yours: say better what the columns mean, and what is known when.",
        f"name: {name}\nquestion: {word(outcome.question)}\ntask: {outcome.task}\ndataset: table",
        f"data: {flow(data)}",
        "columns:\n" + "\n".join(lines) + f"\n  {word(field)}: {flow(target_keys)} # {'; '.join(outcome.notes)}",
        f"target: {word(field)}\nfeatures:\n" + "\n".join(f"  - {word(feature)}" for feature in features),
        f"# {split.note[0].upper()}{split.note[1:]}.\nsplit: {flow(split.keys)}",
    ]
    if outcome.task == "binary":
        sections.append("# What a missed yes costs, and what a false alarm: they decide from which probability on it is a yes.\n"
                        "costs: {miss: 1, false_alarm: 1}")  # fmt: skip
    sections.append(f"# For {outcome.rows:,} rows.\n" + block(models_for(outcome.rows)))
    return "\n\n".join(sections) + "\n"


def target_field(target: str) -> tuple[str, dict[str, str]]:
    name = field_name(target, set())
    return name, {} if name == target else {"source": target}


def meaning_of(header: str) -> str:
    text = header.replace("_", " ").strip()
    text = text[:1].upper() + text[1:]
    return text if len(text) >= 3 else f"Column {header or 'without a name'}"


def example_of(table: Table, guess: Guess) -> Any:
    """The most frequent value of a category, the median of numbers; None for a date."""
    kind = guess.keys["kind"]
    marks = ["", "?", "-", "--", *map(str, guess.keys.get("missing", []))]
    known = table.frame.loc[~table.frame[guess.header].isin(marks), guess.header]
    if kind == "category":
        return str(known.mode().iloc[0])
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        middle = float(pd.to_numeric(known, errors="coerce").quantile(0.5, interpolation="lower"))
        return int(middle) if kind == "integer" else middle
    return None


def word(value: str) -> str:
    """A text as YAML: in quotes where YAML would read something else, as in no, on and 1e3."""
    return yaml.safe_dump(value, width=10**6, allow_unicode=True).removesuffix("\n").removesuffix("\n...").strip()


def flow(value: dict[str, Any]) -> str:
    dumped = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True)
    return dumped.strip()


def block(tree: dict[str, Any]) -> str:
    """A section for each key, one line for each entry."""
    sections = []
    for section, entries in tree.items():
        lines = []
        for key, value in entries.items():
            if key == "kinds":
                lines += ["  kinds:", *(f"    {kind}: {flow(trials)}" for kind, trials in value.items())]
            else:
                lines.append(f"  {key}: {flow(value) if isinstance(value, dict) else value}")
        sections.append(f"{section}:\n" + "\n".join(lines))
    return "\n\n".join(sections)
