"""What `make new` says: what it found, what to look at first, and what to do next."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.onboarding.write import Proposal

LISTED = 6  # columns of one list


def lines(proposal: Proposal, file: Path) -> Iterator[str]:
    """The lines, at most a screenful."""
    table = proposal.table
    written = "".join(f", {key} {value!r}" for key, value in table.written.items())
    yield f"{table.path}: {len(table.frame):,} rows, {len(table.frame.columns)} columns{written}"
    yield f"task: {'; '.join([proposal.outcome.task, *proposal.outcome.notes])}"
    yield f"split: {proposal.split.note}"

    left_out = {guess.header: guess.left_out for guess in proposal.guesses if guess.left_out}
    noted = {guess.header: guess.note for guess in proposal.guesses if guess.note and not guess.left_out}
    yield from listed("left out", left_out)
    yield from listed("look at", {**proposal.after, **noted})

    yield f"\nWritten: {file}. Next:"
    yield f"  make train MODEL={proposal.name}   train, evaluate, and promote if the gates pass"
    yield f"  make serve MODEL={proposal.name}   answer predictions over HTTP"


def listed(title: str, notes: Mapping[str, str]) -> Iterator[str]:
    """A line for each column, and how many there are more."""
    for name, note in list(notes.items())[:LISTED]:
        yield f"{title}: {name or 'a column without a name'}: {note}"
    if len(notes) > LISTED:
        yield f"{title}: {len(notes) - LISTED} more, in the config"
