"""The numbers that README and docs state of the default model are those of one run, which docs/champion.json records.

`make readme` writes that file from the champion's bundle, together with the pages' marked parts.
"""

import json
import re
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from tests.project.conftest import module_of
from tests.support import ROOT
from tests.support.pages import page, part

RUN = json.loads(page("docs/champion.json"))
RECORD = RUN["record"]
METRICS = RUN["metrics"]
LOSS = "log_loss"


def mean(metric: str, candidate: str = RECORD["candidate"]) -> float:
    folds = RECORD["candidates"][candidate].values()
    return sum(fold[metric] for fold in folds) / len(folds)


def interval(metric: str, digits: int = 3) -> str:
    value, low, high = (f"{METRICS[metric][end]:.{digits}f}" for end in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def without(group: dict[str, Any]) -> str:
    """A group of optional columns as the benchmarks state it."""
    difference = group["fold_loss"] - group["fold_loss_without"]
    return f"{group['group']}: {group['fold_loss']:.4f} ({difference:+.4f}); holdout {group['holdout'][LOSS]:.3f}"


def assert_rounded(stated: Iterable[str], numbers: Iterable[float]) -> None:
    """Four digits on a page, of six in the record: rounded twice."""
    assert [float(text) for text in stated] == pytest.approx(list(numbers), abs=6e-5)


def test_the_figures_of_readme_are_those_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs"), *sys.path])
    refresh = module_of("docs/refresh_flights.py")
    assert part(page("README.md"), "figures").rstrip() == refresh.figures(RUN)
    assert part(page("README.md"), "headline").rstrip() == refresh.headline(RUN)


def test_the_summary_in_the_page_of_ci_is_that_of_the_run() -> None:
    summary = module_of(".ci/summary.py").summary(RUN["bundle"], RECORD, {"contract": RUN["contract"]})
    assert part(page("docs/ci.md"), "summary") == f"```markdown\n{summary.rstrip()}\n```\n"


@pytest.mark.parametrize("name", ["README.md", "docs/commands.md"])
def test_the_training_that_a_page_shows_is_the_run(name: str) -> None:
    """Rows, leaderboard, gates and the name of the bundle."""
    shown = part(page(name), "train")
    (metrics,) = re.findall(r"^all rows, mean of the folds +(.*)$", shown, re.MULTILINE)
    for candidate in RECORD["candidates"]:
        star = r" \*" if candidate == RECORD["candidate"] else ""
        (means,) = re.findall(rf"^{candidate}{star} +([\d. ]+)$", shown, re.MULTILINE)
        assert_rounded(means.split(), [mean(metric, candidate) for metric in metrics.split()])
    assert f"{RECORD['rows']['valid']:,} rows, " in shown
    assert f"Evaluate the gates: all {len(RECORD['gates'])} pass\n" in shown
    assert set(re.findall(r"\b[0-9a-f]{16}\b", shown)) == {RUN["bundle"]}


def test_the_tables_of_a_whole_training_are_those_of_the_run() -> None:
    shown = part(page("docs/commands.md"), "train")
    for name, ends in METRICS.items():
        stated = re.search(rf"^{name} +([\d.]+) +([\d.]+) to ([\d.]+)$", shown, re.MULTILINE)
        assert stated is not None, name
        assert_rounded(stated.groups(), ends.values())
    for group in RECORD["missing"]:
        numbers = [group["fold_loss"], group["fold_loss_without"], group["holdout"][LOSS]]
        assert re.search(
            rf"^{group['group']} +" + " +".join(f"{number:.4f}" for number in numbers), shown, re.MULTILINE
        )
    for gate in RECORD["gates"]:
        assert f"{gate['gate']} " in shown


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("docs/benchmarks.md", f"AUC {mean('roc_auc'):.4f}, log loss {mean(LOSS):.4f} |"),
        ("docs/benchmarks.md", f"AUC {interval('roc_auc')}, log loss {interval(LOSS)} |"),
        ("docs/benchmarks.md", f"| {'; '.join(without(group) for group in RECORD['missing'])} |"),
        ("docs/benchmarks.md", f"{RECORD['holdout_rows']:,} holdout rows"),
        (
            "docs/scale.md",
            f"({RECORD['rows']['valid']:,} rows, 24 trials, {len(RECORD['candidates']['linear'])} folds)",
        ),
        ("docs/scale.md", f"| {mean(LOSS):.4f} | {mean(LOSS):.4f} |"),
        ("docs/scale.md", f"| `{RUN['bundle']}` | `{RUN['bundle']}` |"),
        ("docs/scale.md", f"A scoring of the flights, {RECORD['rows']['valid']:,} rows,"),
        ("docs/ci.md", f"the leaderboard and all {len(RECORD['gates'])} gates"),
        ("configs/flights.yaml", f"{RECORD['rows']['same_key']} of {RECORD['rows']['valid']:,}"),
    ],
)
def test_what_a_sentence_states_is_of_the_run(name: str, stated: str) -> None:
    assert stated in page(name)


def test_the_cards_in_the_docs_are_of_the_run() -> None:
    model, data = page("docs/model-card.md"), page("docs/data-card.md")
    assert f"| version | {RUN['bundle']} |" in model
    assert f"of version {RUN['bundle']}, " in data
    for name, ends in METRICS.items():
        value, low, high = (f"{end:.4g}" for end in ends.values())
        assert f"| {name} | {value} | {low} to {high} |" in model
    assert f"| valid | {RECORD['rows']['valid']:,} |" in data
    assert "not declared" not in model + data
