"""What `make new` says: what it found, what to look at first, and what to do next."""

from collections.abc import Iterator

from pipeline.onboarding.new import Created

LISTED = 8  # columns of one list


def lines(created: Created) -> Iterator[str]:
    """The lines, at most a screenful."""
    table = created.table
    written = ", ".join(f"{key} {value!r}" for key, value in table.written.items())
    yield f"{table.path}: {len(table.frame):,} rows, {len(table.frame.columns)} columns" + (f", {written}" if written else "")
    yield f"task: {created.outcome.task}. " + "; ".join(created.outcome.notes)
    yield f"split: {created.split.note}"

    left_out = [guess for guess in created.guesses if guess.left_out]
    noted = [guess for guess in created.guesses if guess.note and not guess.left_out]
    yield from listed("left out", {guess.header: guess.left_out for guess in left_out})
    yield from listed("look at", {guess.header: guess.note for guess in noted} | created.after)
    yield f"\nwritten: {created.file}. Next:"
    yield f"  make train MODEL={created.file.stem}    train, evaluate, and promote if the gates pass"
    yield f"  make serve MODEL={created.file.stem}    answer predictions over HTTP"


def listed(title: str, notes: dict[str, str]) -> Iterator[str]:
    for number, (name, note) in enumerate(notes.items()):
        if number == LISTED:
            yield f"  and {len(notes) - LISTED} more: see the config"
            return
        yield f"{title}: {name or 'a column without a name'}: {note}"
