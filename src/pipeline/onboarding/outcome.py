"""What a table's target asks for: the task, and which of its values is the positive one."""

from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.data.notation import positive_of
from pipeline.errors import DataError
from pipeline.onboarding.columns import UNKNOWN, alike, as_numbers, marks_of, too_large
from pipeline.runtime.contract import CLASSES

if TYPE_CHECKING:
    import pandas as pd

UNDERSTOOD = {"1": "0", "1.0": "0.0", "true": "false", "yes": "no"}  # by a boolean without lists: a yes and its no
PLAIN_YES = (*UNDERSTOOD, "y", "t")
FEW_VALUES = 10  # whole numbers with no more values are classes
LEAST_ROWS = 50
LEAST_OF_A_CLASS = 20
LEAST_OF_SEVERAL = 10  # rows of each of three classes or more


class Outcome(NamedTuple):
    """The task and its question, the keys of the target's column, and sentences about it."""

    task: str
    question: str
    keys: dict[str, Any]
    notes: list[str]


def outcome_of(target: str, text: "pd.Series[str]", positive: str | None, decimal: str) -> Outcome:
    """The task by the target's values. `positive` names the value that is a yes, where it is not to be found out.

    Raises DataError where there is nothing to learn: too few rows, or one value only.
    """
    values = text.str.strip()
    is_known = ~values.isin(UNKNOWN)
    known = values[is_known]
    notes = []
    if len(known) < len(values):
        notes.append(f"{len(values) - len(known):,} rows without {target} are left out")
    if len(known) < LEAST_ROWS:
        raise DataError(f"{target}: {len(known)} rows have an outcome; folds and a holdout need {LEAST_ROWS} at least")

    folded = known.str.casefold()  # yes, Yes and YES are one value
    counts = folded.value_counts()
    if len(counts) == 1:
        raise DataError(f"{target}: is {known.iloc[0]!r} in every row: there is nothing to learn")

    marks = marks_of(text, [""])
    missing: dict[str, Any] = {"missing": marks} if marks else {}
    numbers = as_numbers(known.str.replace(decimal, ".", regex=False))
    if positive is None and numbers is not None and len(counts) > FEW_VALUES:
        refuse_too_large(target, numbers)
        whole = bool((numbers % 1 == 0).all())
        keys = {"kind": "integer" if whole else "number", **missing}
        return Outcome("regression", f"What is {target}?", keys, notes)
    if positive is None and len(counts) > 2:
        return several_classes(target, text[is_known], notes, missing)

    spelled = {str(name): str(known[folded == name].mode().iloc[0]) for name in sorted(counts.index)}
    yes = positive_of([*spelled], counts) if positive is None else positive.strip().casefold()
    if yes not in spelled:
        raise DataError(f"{target}: {positive!r} is none of its values: {', '.join(spelled.values())[:300]}")

    rows = int(counts[yes])
    if min(rows, len(known) - rows) < LEAST_OF_A_CLASS:
        raise DataError(
            f"{target}: {min(rows, len(known) - rows)} of {len(known):,} rows have the rarer outcome; folds and a "
            f"holdout need {LEAST_OF_A_CLASS} at least"
        )

    title = target.rstrip("?! ")
    question = f"Is {title} true?" if yes in PLAIN_YES else f"Is {title} {spelled[yes].rstrip('?! ')}?"
    if names := alike(known):
        notes.append(f"{names} count as one value")
    notes.append(f"yes is {spelled[yes]!r}, {rows:,} of {len(known):,} rows ({rows / len(known):.0%})")
    keys = {"kind": "boolean", **missing}
    if spelled.keys() != {yes, UNDERSTOOD.get(yes)}:
        keys["positive"] = sorted(known[folded == yes].unique())
        keys["negative"] = sorted(known[folded != yes].unique())
    return Outcome("binary", question, keys, notes)


def refuse_too_large(target: str, numbers: "pd.Series[float]") -> None:
    beyond = too_large(numbers)
    if len(beyond):
        raise DataError(
            f"{target}: {len(beyond):,} rows have an outcome that is infinite or too large for a float32, such as "
            f"{beyond.iloc[0]:g}: leave these rows out, or write its logarithm or another unit"
        )


def several_classes(target: str, known: "pd.Series[str]", notes: list[str], missing: dict[str, Any]) -> Outcome:
    """The outcome of a target with three values or more. Raises DataError for too many of them, or too few rows."""
    counts = known.value_counts()
    names = sorted(map(str, counts.index), key=lambda name: (len(name), name) if name.isdecimal() else (0, name))
    rarest = str(counts.idxmin())
    one = f"or predict one of them against the rest with POSITIVE={rarest!r}"
    if len(names) > CLASSES[1]:
        raise DataError(
            f"{target}: has {len(names)} values, and a model tells {CLASSES[1]} classes apart at most: merge them, "
            f"{one}"
        )
    if counts.min() < LEAST_OF_SEVERAL:
        raise DataError(
            f"{target}: {counts.min()} of {len(known):,} rows are {rarest!r}; folds and a holdout need "
            f"{LEAST_OF_SEVERAL} of each class at least. Merge it with another, leave these rows out, {one}"
        )
    notes.append(
        f"{len(names)} classes: {counts.max():,} rows of {counts.idxmax()!r} to {counts.min():,} of {rarest!r}"
    )
    if same := alike(known):
        notes.append(f"{same} count as different classes: write them alike in the file if they are one")
    question = f"Which {target.rstrip('?! ')} is it?"
    return Outcome("multiclass", question, {"kind": "category", **missing, "values": {n: n for n in names}}, notes)
