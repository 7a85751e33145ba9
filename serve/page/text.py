"""The sentences of the page: the answer with its reasons, the actual outcome of an example, and the model's quality.

It makes plain values for the templates and knows nothing of HTML or HTTP.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.runtime.arrays import Columns, to_columns
from pipeline.runtime.contract import Column
from pipeline.runtime.predictor import Example
from serve.model import LoadedModel
from serve.page import form
from serve.protocols.explain import NOTHING

MOST_MISSED = 3  # optional fields that the page names
YES_NO = {True: "yes", False: "no"}


class ReasonBar(NamedTuple):
    """One field's contribution as text, and the length of its bar in percent of the longest bar."""

    field: str
    label: str
    value: str
    text: str
    bar_percent: float
    raises: bool


class ClassBar(NamedTuple):
    """One class with its probability in percent. `explained` is true for the class that the reasons are of."""

    name: str
    title: str
    percent: float
    explained: bool


class AnswerText(NamedTuple):
    """The answer as the page shows it.

    `gauge` is the probability and the threshold in percent, None for another task than a binary one, and `classes` are
    those of a multiclass task, the most probable first. `base` is the mean answer to rows of the training, and `about`
    names the class that the reasons are of, or is empty. `standard_error` is the largest of the contributions.
    `model_changed` is true if the form came from another version of the model. `outcome` is the actual one, known for
    an unchanged example only.
    """

    headline: str
    sentence: str
    gauge: tuple[float, float] | None
    classes: list[ClassBar]
    about: str
    base: str
    bars: list[ReasonBar]
    standard_error: str
    version: str
    model_changed: bool
    outcome: str | None


def answer_text(
    model: LoadedModel, row: Mapping[str, Any], explanation: Mapping[str, Any], form_values: Mapping[str, str]
) -> AnswerText:
    """The text of one answer. `row` is validated, and `explanation` is the result of `explain_row` for it."""
    contributions = explanation["contributions"]
    longest = max((abs(reason["contribution"]) for reason in contributions), default=0) or 1
    largest_error = max((reason["standard_error"] for reason in contributions), default=0)
    bars = [reason_bar(model, reason, longest) for reason in contributions]

    target = model.contract.columns[model.contract.target]
    unit = f" {target.unit}" if target.unit else ""
    gauge: tuple[float, float] | None = None
    if model.task == "regression":
        mae = model.predictor.manifest.metrics["mae"]["value"] or 0
        headline = f"{format_number(explanation['value'])}{unit}"
        sentence = f"{target.meaning}. On average, predictions differ from the outcome by {format_number(mae)}{unit}."
        base = f"{format_number(explanation['base'])}{unit}"
        standard_error = f"{format_number(largest_error)}{unit}"
    else:
        base = percent(explanation["base"])
        standard_error = f"{largest_error * 100:.1f} percentage points"
    if model.task == "binary":
        probability = explanation["probability"]
        threshold = model.scoring.cut
        yes = outcome_word(model, True)
        decision = outcome_word(model, bool(explanation["label"]))
        headline = f"{percent(probability)} likely"
        sentence = f"The prediction is {decision}. It is {yes} if the probability is {percent(threshold)} or more."
        gauge = (probability * 100, threshold * 100)
    classes = class_bars(model, explanation)
    about = next((bar.title for bar in classes if bar.explained), "")
    if classes:
        label = next(bar for bar in classes if bar.name == explanation["label"])
        kind = "most probable" if label == classes[0] else "cheapest, by the costs of wrong answers,"
        headline = label.title
        sentence = f"The {kind} of {len(classes)}, with {percent(label.percent / 100)}."

    example = example_at(model, form_values.get("_example", ""))
    return AnswerText(
        headline=headline,
        sentence=sentence,
        gauge=gauge,
        classes=classes,
        about=about,
        base=base,
        bars=bars,
        standard_error=standard_error,
        version=model.version,
        model_changed=form_values.get("_version", model.version) != model.version,
        outcome=actual_outcome(model, row, example),
    )


def class_bars(model: LoadedModel, explanation: Mapping[str, Any]) -> list[ClassBar]:
    """The classes by their probability, the largest first; empty for a task without classes."""
    shares = sorted(explanation.get("probabilities", {}).items(), key=lambda item: -item[1])
    chosen = explanation.get("explained")
    return [ClassBar(name, class_title(model, name), share * 100, name == chosen) for name, share in shares]


def format_number(number: float) -> str:
    """Three significant digits; from 1,000 on all digits before the decimal point."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def reason_bar(model: LoadedModel, reason: Mapping[str, Any], longest: float) -> ReasonBar:
    """One contribution of an explanation as text. `longest` is the largest absolute contribution."""
    column = model.contract.request[reason["field"]]
    contribution = reason["contribution"]
    label = form.field_label(column)
    value = value_text(model, column, reason)

    rolling_text = reason.get("text")  # rolling features have one
    if rolling_text and rolling_text.startswith(NOTHING):
        value = rolling_text
    elif rolling_text:  # this sentence names the feature and its value
        label = rolling_text[:1].upper() + rolling_text[1:]
        value = ""

    return ReasonBar(
        field=reason["field"],
        label=label,
        value=value,
        text=change_text(model, contribution),
        bar_percent=abs(contribution) / longest * 100,
        raises=contribution > 0,
    )


def value_text(model: LoadedModel, column: Column, reason: Mapping[str, Any]) -> str:
    """The value of a field with its unit. A category has its name, where the bundle knows one."""
    if reason["value"] is None:
        return "unknown"

    value = form.format_value(reason["value"])
    if column.kind == "boolean":
        value = YES_NO[reason["value"]]
    if column.kind == "datetime":
        value = datetime.fromisoformat(value).strftime("%a %d %b %Y" if column.is_date else "%a %d %b %Y, %H:%M")
    if column.kind == "category":
        value = model.predictor.choices.get(reason["field"], {}).get(value, value)

    unit = f" {column.unit}" if column.unit else ""
    return value + unit


def change_text(model: LoadedModel, contribution: float) -> str:
    """The direction and the size of a contribution: in the target's unit, or in points of probability."""
    if model.task == "regression":
        verb = "adds" if contribution > 0 else "subtracts"
        unit = model.contract.columns[model.contract.target].unit or ""
        return f"{verb} {format_number(abs(contribution))} {unit}".strip()
    verb = "raises" if contribution > 0 else "lowers"
    return f"{verb} it by {abs(contribution) * 100:.1f} percentage points"


def outcome_word(model: LoadedModel, outcome: bool) -> str:
    """Yes or no, or the data's own words for them."""
    return model.contract.no_and_yes[outcome] if model.contract.no_and_yes else YES_NO[outcome]


def class_title(model: LoadedModel, name: str) -> str:
    """The name of a class for people, from the contract."""
    return (model.contract.columns[model.contract.target].values or {}).get(name, name)


def example_at(model: LoadedModel, number: str) -> Example | None:
    """The bundle's example with this number; after the last example the count begins again. None for other text."""
    examples = model.predictor.examples
    if not examples or not number.isdecimal() or len(number) >= 10:
        return None
    return examples[int(number) % len(examples)]


def actual_outcome(model: LoadedModel, row: Mapping[str, Any], example: Example | None) -> str | None:
    """The outcome of the example with its unit. None where `row` is not the example's row."""
    if example is None:
        return None
    row_columns = to_columns([row], model.contract)
    example_columns = to_columns([example.row], model.contract)
    if not is_same_row(row_columns, example_columns):
        return None

    if isinstance(example.outcome, str):
        return class_title(model, example.outcome)
    if isinstance(example.outcome, bool):
        return outcome_word(model, example.outcome)
    target = model.contract.columns[model.contract.target]
    unit = f" {target.unit}" if target.unit else ""
    return f"{format_number(example.outcome)}{unit}"


def is_same_row(one: Columns, other: Columns) -> bool:
    """Whether two rows have equal values; missing values are equal."""
    pairs = [(one[name], other[name]) for name in one]
    return all(((a == b) | ((a != a) & (b != b))).all() for a, b in pairs)


def missing_effects(model: LoadedModel) -> list[str]:
    """The optional fields that change the prediction most when they are left empty, each with its mean change."""
    effects = sorted(model.missing_effects.items(), key=lambda item: -item[1])
    target = model.contract.columns[model.contract.target]
    texts = []
    for name, change in effects[:MOST_MISSED]:
        label = form.field_label(model.contract.request[name]).lower()
        amount = f"{change * 100:.1f} percentage points" if model.task != "regression" else format_number(change)
        unit = f" {target.unit}" if model.task == "regression" and target.unit else ""
        texts.append(f"{label} ({amount}{unit})")
    return texts


def model_quality(model: LoadedModel) -> list[str]:
    """Sentences on the model's training and its holdout metrics, from the bundle."""
    record = model.predictor.record
    metrics = model.predictor.manifest.metrics

    def interval(name: str) -> dict[str, float]:
        return {end: value for end, value in metrics[name].items() if value is not None}

    holdout = f"was tested on {record['holdout_rows']:,} others ({record['holdout']})"
    training = f"The model was trained on {record['train_rows']:,} {model.contract.noun}s and {holdout}."
    if record["trained_on"] > record["train_rows"]:
        training += " Then it was trained again, with those too."

    if model.task == "regression":
        unit = model.contract.columns[model.contract.target].unit or ""
        mae = interval("mae")
        return [
            training,
            f"On average, its predictions there differ from the outcome by {format_number(mae['value'])} {unit} "
            f"({format_number(mae['low'])} to {format_number(mae['high'])}).",
        ]

    roc_auc = interval("roc_auc")
    ece = interval("ece")
    calibrated = f"differ from the observed shares by {ece['value'] * 100:.1f} percentage points."
    if model.contract.classes:
        accuracy = interval("accuracy")
        return [
            training,
            f"Of these, its label is right for {percent(accuracy['value'])} "
            f"({percent(accuracy['low'])} to {percent(accuracy['high'])}).",
            f"On average, the probabilities of the most probable class {calibrated}",
        ]
    return [
        training,
        f"Among pairs of {model.contract.noun}s with different outcomes, it gives the higher probability to the one "
        f"with yes in {percent(roc_auc['value'])} of the pairs ({percent(roc_auc['low'])} to "
        f"{percent(roc_auc['high'])}); "
        "random guessing gets 50 %.",
        f"On average, its probabilities {calibrated}",
    ]
