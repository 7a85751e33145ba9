"""The page that a training leaves: its values, and the page of each task."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from pipeline.candidates.linear import Linear
from pipeline.config.config import Config, load
from pipeline.evaluation.bootstrap import Interval
from pipeline.runtime.arrays import Examples, Tensors
from pipeline.training.fold_results import CandidateResult
from pipeline.training.report_page.charts import axis, interval_axis, lines, named_axis, number, series
from pipeline.training.report_page.fits import fit_for_page
from pipeline.training.report_page.holdout import calibration, dependence, errors, labels, most_confused, thinned
from pipeline.training.report_page.page import environment
from pipeline.training.report_page.values import (
    extremes,
    mean_interval,
    missing_values,
    months_of,
    outcome_groups,
    search_losses,
)
from pipeline.training.train import prepare
from tests.support import ROOT
from tests.support.parcels import Parcels
from tests.support.penguins import Penguins
from tests.support.toy import Toy

EVERY = ["data", "candidates", "holdout", "rows", "features", "slices", "missing", "leaks", "gates", "lineage"]
NUMBER = [
    "task=regression", "target=later", "costs=null",
    "gates={holdout: {mae: {low: 0, high: 5}}, slices: {columns: [colour], min_rows: 100, metrics: {mae: {low: 0, high: 5}}}}",
]  # fmt: skip


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)">', page)


def titles(page: str) -> list[str]:
    return re.findall(r"<h3>(.+?)</h3>", page)


def is_whole(page: str) -> bool:
    """Nothing of the template is left, and nothing is loaded: every address leads to a place in the page."""
    addresses = re.findall(r'(?:src|href)="(.*?)"|url\((.*?)\)', page)
    return not re.search(r"{[{%#]|[#%}]}", page) and all(place.startswith("#") for place, _ in addresses)


# --- pages ----------------------------------------------------------------------------------------------------------


def test_the_page_of_a_binary_task_has_every_section(parcels: Parcels) -> None:
    page = (parcels.bundle / "report.html").read_text()
    assert sections(page) == EVERY
    assert is_whole(page)
    expected = {"ROC curve", "Precision and recall", "Calibration", "Confusion matrix"}
    assert expected | {"Cost by threshold", "Learning curve", "Folds", "Search"} <= set(titles(page))
    assert "Random against time-ordered split" in titles(page)


def drawn_kinds(page: str, title: str) -> tuple[bool, bool]:
    """Whether the picture with this title has lines, and dots."""
    picture = page.partition(f"<h3>{title}</h3>")[2].partition("</figure>")[0].partition("</ul>")[2]
    return 'class="line"' in picture, 'class="dot"' in picture


def test_a_line_joins_folds_only_where_they_follow_each_other(parcels: Parcels, penguins: Penguins) -> None:
    assert drawn_kinds((parcels.bundle / "report.html").read_text(), "Folds") == (True, True)
    assert drawn_kinds((penguins.bundle / "report.html").read_text(), "Folds") == (False, True)


def test_the_page_of_several_classes_leaves_out_what_they_lack(penguins: Penguins) -> None:
    """There is no time, no threshold and no slice."""
    page = (penguins.bundle / "report.html").read_text()
    assert sections(page) == [name for name in EVERY if name != "slices"]
    assert is_whole(page)
    assert {"ROC curves, each class against the rest", "Confusion matrix"} <= set(titles(page))
    assert not {"Cost by threshold", "Calibration by month", "Random against time-ordered split"} & set(titles(page))
    assert "Adélie" in page


def test_the_page_of_a_number_has_errors_in_place_of_labels(toy: Toy) -> None:
    outcome = toy.train(*NUMBER)
    assert outcome.bundle is not None
    page = (outcome.bundle / "report.html").read_text()
    assert sections(page) == EVERY
    assert is_whole(page)
    assert {"Errors", "Calibration"} <= set(titles(page))
    assert page.count("<figcaption>") == page.count("<figure")
    assert not {"ROC curve", "Confusion matrix", "Cost by threshold"} & set(titles(page))


def test_where_the_holdout_is_closed_the_page_ends_with_the_candidates(toy: Toy) -> None:
    toy.train("split.test=none")
    page = (toy.folder / "reports/tiny/report.html").read_text()
    assert sections(page) == ["data", "candidates", "rows", "lineage"]
    assert "The holdout is closed." in page
    before = int(page.split('<th scope="row">used by this training</th><td>')[1].partition("<")[0].replace(",", ""))
    assert before == 3000  # of 4000: the outcomes of the last two days stay unseen


def test_a_refused_model_has_a_page_that_names_the_gate(toy: Toy) -> None:
    from pipeline.errors import RefusedError

    with pytest.raises(RefusedError):
        toy.train("gates.holdout={roc_auc: {low: 0.99, high: 1}}")
    (page,) = toy.folder.glob("models/tiny/*/report.html")
    assert "1 of " in page.read_text()
    assert "roc_auc on the holdout" in page.read_text().partition("</header>")[0]


def test_the_numbers_of_the_page_are_those_of_the_bundle(parcels: Parcels) -> None:
    """The page is in the reports too. It decides no prediction, so it has no part in the bundle's name."""
    page = (parcels.bundle / "report.html").read_text()
    manifest = json.loads((parcels.bundle / "bundle.json").read_text())
    head = page.partition("</header>")[0]
    assert f'<span class="big">{manifest["metrics"]["roc_auc"]["value"]:.3f}</span>' in head
    assert parcels.bundle.name in head
    assert (Path(parcels.config.paths.reports) / "parcels/report.html").read_text() == page
    assert "report.html" not in manifest["files"]


def test_the_same_seed_gives_the_same_bundle_whatever_is_on_its_page(toy: Toy) -> None:
    first = toy.train().bundle
    page = first and (first / "report.html").read_text()
    second = toy.train("paths.models=" + str(toy.folder / "others")).bundle
    assert first is not None
    assert second is not None
    assert first.name == second.name
    assert page != (second / "report.html").read_text()  # the run in MLflow is another one


def test_the_page_tells_what_each_rule_removed(parcels: Parcels) -> None:
    page = (parcels.bundle / "report.html").read_text()
    removed = page.partition("What each rule removed")[2].partition("</table>")[0]
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t", removed.partition("<tbody>")[2])
    assert cells == ["temp", "range", "value set to missing", "1", "0.0\u00a0%"]


# --- values ---------------------------------------------------------------------------------------------------------


def test_an_axis_has_room_around_its_values_and_none_beyond_zero() -> None:
    scale = axis([0, 10])
    assert (scale.low, scale.at(0), scale.at(10.4)) == (0, 0, 100)
    assert [text for _, text in scale.ticks] == ["0", "2", "4", "6", "8", "10"]
    assert axis([7, np.nan]).low < 7 < axis([7]).high


def test_one_day_is_too_few_for_an_interval() -> None:
    mean = mean_interval([np.array([1.0, 3.0])], [np.zeros(2)])
    assert mean.value == 2
    assert np.isnan([mean.low, mean.high]).all()


@pytest.mark.parametrize(
    ("ends", "ticks"),
    [((0.4589, 0.4662), [0.46, 0.462, 0.464, 0.466]), ((-3, 40), [0, 10, 20, 30, 40])],
)
def test_the_ticks_of_an_axis_are_round_numbers(ends: tuple[float, float], ticks: list[float]) -> None:
    assert [place for place, _ in axis(ends).ticks] == pytest.approx(ticks)


def test_an_axis_of_intervals_has_room_for_their_ends() -> None:
    scale = interval_axis([Interval(2, 1, 4), Interval(3, np.nan, np.nan)], 5)
    assert scale.low < 1 < 5 < scale.high


def test_a_series_has_the_colour_of_its_place_in_the_order() -> None:
    drawn = lines({"tree": [(0, 1)], "linear": [(0, 2)]}, "dots", ["linear", "tree"])
    assert drawn == [series("dots", [(0, 1)], "c1", "tree"), series("dots", [(0, 2)], "c0", "linear")]


def test_the_lowest_loss_so_far_falls_in_steps_and_failures_have_none() -> None:
    trials = [
        CandidateResult("linear", Linear(), {"a": {"mae": 3.0}}),
        CandidateResult("linear", Linear(), {}, "MemoryError"),
        CandidateResult("tree", Linear(), {"a": {"mae": 1.0}}),
        CandidateResult("tree", Linear(), {"a": {"mae": 2.0}}),
    ]
    assert search_losses(trials, "mae") == {
        "points": {"linear": [(1, 3.0)], "tree": [(3, 1.0), (4, 2.0)]},
        "lowest": [(1, 3.0), (3, 3.0), (3, 1.0), (4, 1.0)],
        "trial": 3, "loss": 1.0, "kind": "tree",
    }  # fmt: skip


def test_the_extremes_of_values_have_their_names() -> None:
    assert extremes(["a", "b", "c"], [2, 1, 3]) == (1, "b", 3, "c")


@pytest.mark.parametrize(("size", "counted"), [(2, True), (3, True), (20, True), (21, False), (50, False)])
def test_a_confusion_matrix_names_every_class_and_counts_of_up_to_twenty(size: int, counted: bool) -> None:
    source = '{% from "macros.html" import confusion with context %}{{ confusion(counts, names) }}'
    names = [f"class {number}" for number in range(size)]
    drawn = environment().from_string(source).render(counts=np.full((size, size), 7).tolist(), names=names)
    assert drawn.count("<rect") == size**2
    assert drawn.count(">class ") == 2 * size
    assert drawn.count(">7<") == (size**2 if counted else 0)


def test_an_axis_of_many_names_shows_some_of_them() -> None:
    assert [text for _, text in named_axis([str(month) for month in range(1, 13)]).ticks] == ["1", "4", "7", "10"]


def test_numbers_are_written_with_the_digits_that_they_need() -> None:
    assert [number(value) for value in (0.71658, 21.34567, 12345.6, np.nan)] == ["0.717", "21.35", "12,346", "–"]


def test_rows_are_grouped_by_month_and_keys_without_time_are_not() -> None:
    days = np.array(["2013-01-31", "2013-02-01", "2013-01-01"], dtype="datetime64[s]")
    assert {name: rows.tolist() for name, rows in months_of(days).items()} == {"2013-01": [0, 2], "2013-02": [1]}
    assert months_of(np.array([1, 2], dtype=np.uint64)) == {}


def test_missing_values_are_shared_out_by_outcome(tiny_config: Config) -> None:
    profile = {"raw": {"rows": 5, "missing": {"size": 1}}, "valid": {"rows": 4, "missing": {"size": 2}}}
    target = np.array([False, False, True, True])
    request = {"size": np.array([1, 2, np.nan, np.nan]), "legs": np.ones(4)}
    examples: Any = Examples(request, cast("Any", None), target)  # the shares are counted without tensors
    rows: Any = SimpleNamespace(about={"data": {"profile": profile}}, examples=examples)
    assert missing_values(rows, outcome_groups(tiny_config, target)) == [
        {"name": "size", "before": 0.2, "after": 0.5, "by_outcome": [0, 1]}
    ]


def test_a_mean_over_folds_has_an_interval_that_counts_blocks_not_rows() -> None:
    alternating = np.tile([0.0, 1.0], 50)
    by_row = mean_interval([alternating], [np.arange(100)])
    by_day = mean_interval([np.sort(alternating)], [np.arange(100) // 25])
    assert by_row.value == by_day.value == 0.5
    assert by_day.high - by_day.low > 3 * (by_row.high - by_row.low)


def test_calibration_compares_the_means_of_each_part() -> None:
    predicted, observed = np.array([0.2, 0.4, 0.9]), np.array([0.0, 1.0, 1.0])
    (low, high) = calibration(predicted, observed, np.arange(3), {"low": np.array([0, 1]), "high": np.array([2])})
    assert (low["name"], low["predicted"], low["observed"].value) == ("low", pytest.approx(0.3), 0.5)
    assert high["gap"] == pytest.approx(0.1)


def test_labels_are_counted_at_the_threshold_and_cost_what_the_config_says(tiny_config: Config) -> None:
    outcome, probability = np.array([False, False, True, True]), np.array([0.1, 0.3, 0.2, 0.9])
    drawn = labels(tiny_config, outcome, probability)
    assert drawn["confusion"] == [[1, 1], [1, 1]]
    assert drawn["curves"]["yes"]["roc"] == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert drawn["curves"]["yes"]["cost"] == [(0.1, 0.5), (0.2, 0.25), (0.3, 1), (0.9, 0.75)]
    at_threshold = drawn["at_threshold"]
    assert (at_threshold["true_positive_rate"], at_threshold["false_positive_rate"]) == (0.5, 0.5)
    assert (at_threshold["precision"], at_threshold["cost"], at_threshold["cost_of_constant"]) == (0.5, 1, 0.5)


def test_where_no_probability_reaches_the_threshold_precision_is_unknown(tiny_config: Config) -> None:
    shown = labels(tiny_config, np.array([False, True]), np.array([0.1, 0.2]))
    assert shown["at_threshold"]["precision"] is None


def test_the_most_frequent_confusion_of_classes_is_named() -> None:
    """By the titles that people know."""
    counts = np.array([[9, 2, 0], [0, 9, 1], [0, 0, 9]])
    worst = most_confused(load(ROOT / "configs/penguins.yaml"), counts)
    assert worst == {"right": 27, "outcome": "Adélie", "label": "Chinstrap", "rows": 2}


def test_a_thinned_curve_keeps_its_ends_and_its_steps() -> None:
    x = np.array([*np.zeros(500), *np.ones(500)])
    assert thinned(x, np.arange(1000.0)) == [(0, 0), (0, 499), (1, 500), (1, 999)]


def test_errors_are_predictions_minus_outcomes(tiny_config: Config) -> None:
    shown = errors(tiny_config, np.zeros(1000), np.linspace(-1, 3, 1000))
    assert sum(count for _, count in shown["errors"]) == pytest.approx(980, abs=2)
    assert shown["errors"][0][0] == pytest.approx(-0.96 + shown["width"] / 2, abs=0.01)


def test_partial_dependence_follows_the_feature_and_only_it(tiny_config: Config) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.random((500, 3)).astype(np.float32)
    strings = rng.choice(["red", "blue"], (500, 2), p=[0.7, 0.3]).astype(object)
    train = Examples({}, Tensors(strings, numbers), np.zeros(500, bool))

    def session(data: Tensors) -> np.ndarray:
        return data.numbers[:, 0].astype(np.float64) + (data.strings[:, 0] == "red")

    any_session: Any = session  # a function takes the place of the exported model
    size, colour = (dependence(tiny_config, train, any_session, name) for name in ("size", "colour"))
    slope = np.polyfit(*zip(*size["points"][""], strict=True), 1)[0]
    assert slope == pytest.approx(1, abs=1e-5)
    assert colour["tried"] == ["red", "blue"]
    assert colour["extremes"].high - colour["extremes"].low == pytest.approx(1)
    assert (colour["extremes"].low_name, colour["extremes"].high_name) == ("blue", "red")
    assert np.array_equal(numbers, train.data.numbers)


def test_the_fits_of_the_page_grow_and_compare_two_splits_of_one_size(toy: Toy, tmp_path: Path) -> None:
    prepared = prepare(toy.config(), tmp_path, Console(quiet=True))
    fits = fit_for_page(toy.config(), prepared, CandidateResult("linear", Linear(), {}))
    fold = prepared.parts.folds[-1]
    sizes = [point["rows"] for point in fits["curve"]]
    assert sizes == sorted(sizes)
    assert sizes[-1] == fits["random"]["rows"] == len(fold.train)
    assert fits["scored"] == len(fold.valid) // 2
    assert fits["gap"].value == pytest.approx(fits["random"]["valid"].value - fits["curve"][-1]["valid"].value)


def test_a_random_split_flatters_a_model_that_recognises_the_day(toy: Toy, tmp_path: Path) -> None:
    """Each day of the toy has its own luck. A feature that is the day tells a model that has seen some of its rows."""
    config = toy.config("split.fold_length=1 day", "candidates={boosting: {min_samples_leaf: 20, max_iter: 40}}")
    prepared = prepare(config, tmp_path, Console(quiet=True))
    rows = prepared.rows
    day = (np.arange(len(rows.key)) * 8 // len(rows.key)).astype(np.float32)
    outcome = np.random.default_rng(0).random(len(day)) < np.where(day % 2, 0.9, 0.1)
    known = rows.examples._replace(data=rows.examples.data._replace(numbers=day[:, None].repeat(2, 1)), target=outcome)
    best = CandidateResult("boosting", config.candidates.named()["boosting"], {})
    fits = fit_for_page(config, prepared._replace(rows=rows._replace(examples=known)), best)
    assert fits["gap"].value < -0.3
