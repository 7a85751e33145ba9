"""What `make new` says: what it found, what to look at first, and what to do next."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.onboarding.columns import is_missing
from pipeline.onboarding.write import Proposal

LISTED = 6  # columns of one list


def lines(proposal: Proposal, file: Path) -> Iterator[str]:
    """The lines, at most a screenful."""
    table = proposal.table
    written = "".join(f", {key} {value!r}" for key, value in table.written.items())
    yield f"{table.path}: {len(table.frame):,} rows, {len(table.frame.columns)} columns{written}"
    yield f"task: {'; '.join([proposal.outcome.task, *proposal.outcome.notes])}"
    yield f"split: {proposal.split.note}"

    if missing := [f"{header} {count:,}" for header, count in missing_counts(proposal).items()]:
        more = f" and {len(missing) - LISTED} more columns" if len(missing) > LISTED else ""
        yield f"missing values: {', '.join(missing[:LISTED])}{more}"

    left_out = {guess.header: guess.left_out for guess in proposal.guesses if guess.left_out}
    noted = {
        guess.header: guess.note
        for guess in proposal.guesses
        if guess.note and not guess.left_out and guess.name not in proposal.after
    }
    yield from listed("left out", left_out)
    yield from listed("look at", {**proposal.after, **noted})

    yield f"\nWritten: {file}. Next:"
    yield f"  make train MODEL={proposal.name}   train, evaluate, and promote if the gates pass"
    yield f"  make serve MODEL={proposal.name}   answer predictions over HTTP"


def missing_counts(proposal: Proposal) -> dict[str, int]:
    """The missing values of each column that is not left out, most first: blanks and the marks that stand for one."""
    counts = {}
    for guess in proposal.guesses:
        missing = int(is_missing(proposal.table.frame[guess.header], guess.keys).sum())
        if missing and not guess.left_out:
            counts[guess.header] = missing
    return dict(sorted(counts.items(), key=lambda count: -count[1]))


def listed(title: str, notes: Mapping[str, str]) -> Iterator[str]:
    """A line for each column, and how many there are more."""
    for name, note in list(notes.items())[:LISTED]:
        yield f"{title}: {name}: {note}"
    if len(notes) > LISTED:
        yield f"{title}: {len(notes) - LISTED} more, in the config"
