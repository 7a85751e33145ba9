"""An answer in words, for people: what it is, what it rests on, what really happened, how good the model is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.runtime.arrays import Columns, to_columns
from pipeline.runtime.predictor import Example
from serve.model import LoadedModel
from serve.page import form
from serve.protocols.explain import NOTHING


class ReasonBar(NamedTuple):
    """One reason in words, and how far its bar reaches from the middle, in hundredths of the longest."""

    field: str
    label: str
    value: str
    text: str
    reach: float
    up: bool


class AnswerText(NamedTuple):
    """An answer as the page tells it; `gauge` has the probability and the threshold in percent."""

    headline: str
    sentence: str
    gauge: tuple[float, float] | None
    base: str
    bars: list[ReasonBar]
    sure: str
    version: str
    swapped: bool
    happened: str | None


def answer_text(
    served: LoadedModel, row: Mapping[str, Any], found: Mapping[str, Any], given: Mapping[str, str]
) -> AnswerText:
    """The answer in words."""
    target = served.contract.columns[served.contract.target]
    unit = f" {target.unit}" if target.unit else ""
    longest = max((abs(each["contribution"]) for each in found["contributions"]), default=0) or 1
    bars = [reason_bar(served, each, longest) for each in found["contributions"]]
    widest = max((each["standard_error"] for each in found["contributions"]), default=0)
    if served.task == "regression":
        headline, gauge = f"{format_number(found['value'])}{unit}", None
        off = f"{format_number(served.predictor.manifest.metrics['mae']['value'] or 0)}{unit}"
        sentence, base = (
            f"{target.meaning}. Such answers were {off} off on average.",
            f"{format_number(found['base'])}{unit}",
        )
        sure = f"{format_number(widest)}{unit}"
    else:
        share, cut = found["probability"], served.scoring.cut
        headline, gauge = f"{percent(share)} likely", (share * 100, cut * 100)
        sentence = f"That counts as a {'yes' if found['label'] else 'no'}: a yes begins at {percent(cut)}."
        base, sure = percent(found["base"]), f"{widest * 100:.1f} points"
    return AnswerText(
        headline=headline,
        sentence=sentence,
        gauge=gauge,
        base=base,
        bars=bars,
        sure=sure,
        version=served.version,
        swapped=given.get("_version", served.version) != served.version,
        happened=actual_outcome(served, row, example_at(served, given.get("_example", ""))),
    )


def format_number(number: float) -> str:
    """As many digits as a person reads."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def reason_bar(served: LoadedModel, reason: Mapping[str, Any], longest: float) -> ReasonBar:
    column, change = served.contract.request[reason["field"]], reason["contribution"]
    value = "not given" if reason["value"] is None else form.format_value(reason["value"])
    if column.kind == "datetime" and reason["value"] is not None:
        value = datetime.fromisoformat(value).strftime("%a %d %b %Y, %H:%M")
    if column.kind == "category":
        value = served.predictor.choices.get(reason["field"], {}).get(value, value)
    unit = f" {column.unit}" if column.unit and reason["value"] is not None else ""
    if served.task == "regression":
        of = served.contract.columns[served.contract.target].unit or ""
        words = f"{'adds' if change > 0 else 'takes off'} {format_number(abs(change))} {of}".strip()
    else:
        words = f"{'raises' if change > 0 else 'lowers'} it by {abs(change) * 100:.1f} points"
    label, said = form.field_label(column), value + unit
    if told := reason.get("text"):  # of what is remembered; where something is, its words are enough
        label, said = (label, told) if told.startswith(NOTHING) else (told[:1].upper() + told[1:], "")
    return ReasonBar(reason["field"], label, said, words, abs(change) / longest * 100, change > 0)


def example_at(served: LoadedModel, number: str) -> Example | None:
    """The bundle's example of that number, counted round and round."""
    examples = served.predictor.examples
    return examples[int(number) % len(examples)] if number.isdecimal() and len(number) < 10 and examples else None


def actual_outcome(served: LoadedModel, row: Mapping[str, Any], example: Example | None) -> str | None:
    """What became of an example, if that is what was asked."""
    if example is None or not is_same_row(*(to_columns([each], served.contract) for each in (row, example.row))):
        return None
    target = served.contract.columns[served.contract.target]
    if isinstance(example.outcome, bool):
        return "yes" if example.outcome else "no"
    return f"{format_number(example.outcome)}{f' {target.unit}' if target.unit else ''}"


def is_same_row(one: Columns, other: Columns) -> bool:
    """Whether two rows say the same; missing values are equal."""
    pairs = [(one[name], other[name]) for name in one]
    return all(((a == b) | ((a != a) & (b != b))).all() for a, b in pairs)


def model_quality(served: LoadedModel) -> list[str]:
    """How good the model is, in sentences, from its own bundle."""
    record, figures = served.predictor.record, served.predictor.manifest.metrics

    def figure(name: str) -> dict[str, float]:
        return {end: value for end, value in figures[name].items() if value is not None}

    judged = f"was judged on {record['judged_on']:,} cases ({record['holdout']}) that it had not seen"
    learnt = f"It learnt from {record['judged_fit']:,} cases and {judged}."
    if record["trained_on"] > record["judged_fit"]:
        learnt += " Then it learnt from those too."
    if served.task == "regression":
        unit = served.contract.columns[served.contract.target].unit or ""
        error = figure("mae")
        return [learnt, f"There it was {format_number(error['value'])} {unit} off on average ({format_number(error['low'])} to "
                f"{format_number(error['high'])})."]  # fmt: skip
    order, gap = figure("roc_auc"), figure("ece")
    return [
        learnt,
        f"Of a yes and a no it gave the yes the higher probability {percent(order['value'])} of the time "
        f"({percent(order['low'])} to {percent(order['high'])}); a coin does in 50 %.",
        f"Its probabilities were {gap['value'] * 100:.1f} points off what really happened on average.",
    ]
