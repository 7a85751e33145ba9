"""The model card and the data card: what they say of each task, what they do not know, and what stays text in them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.runtime import bundle_store
from pipeline.training.cards import are_outdated, cards
from pipeline.training.run_record import ORIGIN
from serve.page.card import sections
from tests.support.parcels import Parcels
from tests.support.penguins import Penguins
from tests.support.toy import TINY, Toy

HOSTILE = (
    "# Approved | <script>alert(1)</script>\n\n![x](http://a.example) [y](javascript:z) `q` *b* _i_ &lt; \\ \u202e~"
)
SHOWN = "# Approved | <script>alert(1)</script> ![x](http://a.example) [y](javascript:z) `q` *b* _i_ &lt; \\ ~"
TASKS: dict[str, dict[str, Any]] = {  # the target and its metrics by task
    "binary": {"good": {"kind": "boolean"}, "metrics": ["log_loss", "roc_auc", "ece"], "rule": {"threshold": 0.25}},
    "multiclass": {
        "good": {"kind": "category", "values": {"a": "A", "b": "B", "c": "C"}},
        "metrics": ["log_loss", "roc_auc", "ece"],
        "rule": {},
    },
    "regression": {"good": {"kind": "number", "unit": "cm"}, "metrics": ["mae", "bias"], "rule": {"spread": 2.0}},
}


def files_of(task: str = "binary", **record: Any) -> dict[str, bytes]:
    """The three files of a bundle that the cards are made from, as small as can be."""
    about = TASKS[task]
    tiny = yaml.safe_load(TINY)
    contract = {name: tiny[name] for name in ("name", "question", "dataset", "columns", "target", "features")}
    contract["task"] = task
    contract["columns"]["good"] = {"known": "after", "meaning": "Whether it was", **about["good"]}
    contract["columns"]["size"]["private"] = True
    figures = {name: {"value": 0.5, "low": 0.4, "high": 0.61234} for name in about["metrics"]}
    manifest = {"contract": contract, "metrics": figures, "files": {}, **about["rule"]}

    number = {"missing": 0.25, "quantiles": [0.0, 1.0, 5.0, 9.0, 10.0]}
    columns = {
        "colour": {"missing": 0, "values": {"red": 3, "blue": 5}},
        "shape": {"missing": 0, "values": {"round": 8}},
        "when": {"missing": 0, "first": "2013-01-01", "last": "2013-01-08"},
        **dict.fromkeys(("size", "legs", "hour"), number),
    }
    reference = {"rows": 80, "columns": columns, "target": {**number, "mean": 0.3}}

    rows = {"loaded": 101, "rejected": 1, "without_outcome": 0, "valid": 100, "same_key": 0}
    data = {"files": {"toy.csv": "ab" * 32}, "licence": None, "counts": {"dropped": 4}, "rules": []}
    facts = {
        "data": data, "rows": rows, "candidate": "linear", "candidates": {"linear": {"day 6": {}, "day 7": {}}},
        "holdout": "day 8", "trained_on": 80, "train_rows": 80, "holdout_rows": 20, "created": "2026-01-01", "commit": None,
        "config": "c0", "dataset_module": "d0", "machine": {"python": "3.13"}, "libraries": {"numpy": "2"}, "run_id": "r0",
        "slices": [{"column": "shape", "value": "round", "rows": 20, "figures": figures}],
        "missing": [{"group": "sizes", "columns": ["size"], "holdout": dict.fromkeys(about["metrics"], 0.7)}],
        "gates": [{"gate": "ece", "value": "0.1", "limit": "0 to 1", "passed": True, "why": "so", "warning": False}],
        "warnings": [], "restart": None, "compared_with": None, "card": {},
    }  # fmt: skip
    contents = {"bundle": manifest, "reference": reference, "record": {**facts, **record}}
    return {f"{name}.json": json.dumps(content).encode() for name, content in contents.items()}


def texts(files: dict[str, bytes]) -> tuple[str, str]:
    both = cards(files)
    return both["MODEL_CARD.md"].decode(), both["DATA_CARD.md"].decode()


@pytest.mark.parametrize(
    ("task", "prediction", "outcome"),
    [
        ("binary", "From 0.25 on the label is 1: a missed yes costs 3 times as much as a false alarm.", "30.0% yes"),
        ("multiclass", "a probability for each of 3 classes. Its label is the class that is most probable", "a, b, c"),
        ("regression", "a number. Its unit: cm", "1 to 9, median 5"),
    ],
)
def test_the_cards_of_each_task_say_how_good_and_for_whom(task: str, prediction: str, outcome: str) -> None:
    model, data = texts(files_of(task))
    assert prediction in model
    first, *_ = TASKS[task]["metrics"]
    assert f"| {first} | 0.5 | 0.4 to 0.6123 |" in model
    assert f"| column | group | rows | {' | '.join(TASKS[task]['metrics'])} |\n" in model
    assert "| shape | round, Round | 20 | 0.5 (0.4 to 0.6123) |" in model
    assert "| sizes | size | 0.7 |" in model
    assert "- later, left out: known only after the prediction: Known afterwards" in model
    assert "It passes 1 of 1 gates." in model
    assert f"| good | outcome | {TASKS[task]['good']['kind']} |" in data
    assert f"| {outcome} | Whether it was |" in data


def test_what_nobody_declared_is_said_plainly() -> None:
    model, data = texts(files_of(card={"not_for": "Games", "contest": " \n"}))
    assert "- For: not declared (card.intended_use in the config)" in model
    assert "- Not for: Games\n" in model
    assert "- Declared: not declared (card.contest in the config)" in model
    assert "- Source: not declared (card.data_source in the config)" in data
    assert "- Licence: not declared (data.licence in the config)" in data


def test_a_private_column_shows_no_values() -> None:
    _, data = texts(files_of())
    assert "| size | feature | number, private | cm | 25.00% | – | Size of it |" in data
    assert "| colour | feature | category | – | 0.00% | 2 values, most often blue, red | Colour of it |" in data


def test_a_refused_model_says_so_at_the_top() -> None:
    gate = {"gate": "ece", "value": "0.9", "limit": "0 to 1", "passed": False, "why": "far away", "warning": False}
    model, _ = texts(files_of(gates=[gate]))
    assert "Refused: 1 of its gates did not let this model pass" in model.split("## Intended use")[0]
    assert "- Refused, ece: 0.9, allowed 0 to 1; far away" in model
    assert "Refused" not in texts(files_of())[0]


def test_hostile_text_stays_text_in_markdown_and_on_the_page() -> None:
    """Of a config, of a value in the data, and of a file's name; a slice's value is the data's own."""
    undefined = {"value": None, "low": None, "high": None}
    figures = dict.fromkeys(TASKS["binary"]["metrics"], undefined)
    part = {"column": "colour", "value": HOSTILE, "rows": 20, "figures": figures}
    data = json.loads(files_of()["record.json"])["data"] | {"files": {HOSTILE: "00"}}
    files = files_of(card={"contest": HOSTILE}, slices=[part], data=data)
    escaped = r"\# Approved \| \<script\>alert(1)\</script\> \!\[x\](http://a.example) \[y\](javascript:z) \`q\` \*b\* \_i\_ \&lt; \\ \~"
    model, about = texts(files)
    assert f"- Declared: {escaped}\n" in model
    assert f"| colour | {escaped} | 20 | – (– to –) |" in model
    assert f"| {escaped} | 00 |" in about

    shown = dict(sections(model))
    assert shown["How to contest an answer"][0][1][0] == [f"Declared: {SHOWN}"]
    assert shown["Groups"][1][1][1][1] == SHOWN
    assert len(shown) == model.count("\n## ") + 1


def test_cards_are_outdated_once_something_else_is_declared(tmp_path: Path) -> None:
    files = {**files_of(card={"contest": "Write"}), "model.onnx": b""}
    bundle = bundle_store.write(tmp_path, files)
    assert not are_outdated(bundle, {"contest": "Write"}, ["model.onnx"])
    assert are_outdated(bundle, {"contest": "Write"}, ["model.onnx", "report.html"])
    assert are_outdated(bundle, {"contest": "Call"}, [])
    assert not are_outdated(tmp_path / "absent", {}, [])
    (bundle / "record.json").write_text("{")
    assert not are_outdated(bundle, {"contest": "Call"}, [])


def test_a_bundle_of_an_older_version_is_renewed(tmp_path: Path) -> None:
    """Its record has other names, which whoever reads it as a file does not know."""
    for names, is_outdated in (({"judged_fit": 80}, True), ({"train_rows": 80}, False)):
        record = json.dumps({"card": {}, **names}).encode()
        bundle = bundle_store.write(tmp_path, {"bundle.json": b"{}", "record.json": record}, renew=True)
        assert are_outdated(bundle, {}, []) == is_outdated


def test_what_is_declared_later_renews_the_cards_of_the_same_champion(toy: Toy) -> None:
    """The name of the bundle stays, since a card decides no prediction. Without a change the champion stays as it is."""
    first = toy.train().bundle
    assert first is not None
    card = (first / "MODEL_CARD.md").read_text()
    assert toy.train().bundle == first
    assert (first / "MODEL_CARD.md").read_text() == card

    record = json.loads((first / "record.json").read_text())
    assert toy.train("card.contest=Write to us").bundle == first
    assert "- Declared: Write to us\n" in (first / "MODEL_CARD.md").read_text()
    renewed = json.loads((first / "record.json").read_text())
    assert [renewed[name] for name in ORIGIN] == [record[name] for name in ORIGIN]
    assert bundle_store.damage(first) is None


def test_a_training_writes_both_cards_into_bundle_and_report(parcels: Parcels) -> None:
    record = json.loads((parcels.bundle / "record.json").read_text())
    figures = json.loads((parcels.bundle / "bundle.json").read_text())["metrics"]
    model, data = ((parcels.bundle / f"{name}_CARD.md").read_text() for name in ("MODEL", "DATA"))
    for name, figure in figures.items():
        assert f"| {name} | {figure['value']:.4g} | {figure['low']:.4g} to {figure['high']:.4g} |" in model
    assert model.count("\n| depot | ") + model.count("\n| carrier | ") == len(record["slices"])
    assert f"{record['run_id']}, {record['created']}" in model
    assert f"| parcels.csv | {record['data']['files']['parcels.csv']} |" in data
    assert f"| temp | range | nullify | {1} |" in data
    reports = Path(parcels.config.paths.reports) / "parcels"
    assert (reports / "MODEL_CARD.md").read_text() == model
    assert (reports / "DATA_CARD.md").read_text() == data


def test_the_cards_of_several_classes_have_each_class(penguins: Penguins) -> None:
    model = (penguins.bundle / "MODEL_CARD.md").read_text()
    assert "a probability for each of 3 classes" in model
    assert "| recall Chinstrap | " in model
    assert "species, left out" not in model
    assert (
        "| species | outcome | category | – | – | Adelie, Chinstrap, Gentoo |"
        in (penguins.bundle / "DATA_CARD.md").read_text()
    )
