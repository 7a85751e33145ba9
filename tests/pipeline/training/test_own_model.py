"""A model that was trained elsewhere: taken through the gates as any other, or refused in a sentence."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression

from pipeline.errors import ConfigError, RefusedError
from pipeline.runtime.predictor import load
from pipeline.training import own_model
from tests.support.toy import Toy


def save(folder: Path, *, weight: float = 0.5, width: int = 2, rows: object = "rows", last: str = "Sigmoid") -> Path:
    """The larger, the likelier: sigmoid(weight * (size - 5)); a missing size counts as 5."""
    constants = {
        "five": np.float32([5]),
        "weights": np.float32([[weight]] + [[0]] * (width - 1)),
        "shift": np.float32([-5 * weight]),
    }
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["missing"]),
        helper.make_node("Where", ["missing", "five", "numbers"], ["complete"]),
        helper.make_node("Gemm", ["complete", "weights", "shift"], ["odds"]),
        helper.make_node(last, ["odds"], ["probability"]),
    ]
    graph = helper.make_graph(
        nodes,
        "own",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [rows, width])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [rows, 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path = folder / "own.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_a_model_of_ones_own_becomes_the_champion_and_answers(toy: Toy) -> None:
    outcome = own_model.run(toy.config(), save(toy.folder), Console(quiet=True))
    assert outcome.news
    assert outcome.bundle is not None

    record = json.loads((outcome.bundle / "record.json").read_text())
    assert (record["candidate"], record["settings"]["file"], record["candidates"]) == ("own model", "own.onnx", {})
    assert not [gate["gate"] for gate in record["gates"] if "folds" in gate["gate"] or "export" in gate["gate"]]

    page = (outcome.bundle / "report.html").read_text()
    assert "elsewhere, on rows that only its maker knows" in page
    assert re.findall(r'<section id="(\w+)">', page) == [
        "data", "holdout", "features", "slices", "missing", "leaks", "gates", "lineage"
    ]  # fmt: skip

    predictor = load(toy.folder / "models/tiny")
    columns = {
        "colour": np.array(["red", "blue", "red"], dtype=object),
        "size": np.array([5.0, 9.0, np.nan]),
        "legs": np.array([4.0, 4.0, 4.0]),
    }
    assert predictor.predict(columns) == pytest.approx([0.5, 1 / (1 + np.exp(-2)), 0.5], abs=1e-6)


def test_a_trained_model_is_compared_with_it_afterwards(toy: Toy) -> None:
    own_model.run(toy.config(), save(toy.folder, weight=0.1), Console(quiet=True))
    outcome = toy.train()
    assert outcome.bundle is not None
    gates = json.loads((outcome.bundle / "record.json").read_text())["gates"]
    assert any("champion" in gate["gate"] for gate in gates)


def test_a_model_that_is_worse_than_the_champion_stays_a_challenger(toy: Toy) -> None:
    champion = toy.train().bundle
    with pytest.raises(RefusedError, match="not promoted"):
        own_model.run(toy.config(), save(toy.folder, weight=0.05), Console(quiet=True))
    assert champion is not None
    assert (toy.folder / "models/tiny/champion").read_text().strip() == champion.name


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"last": "Identity"}, r"predicts -?\d.* to .*, which are no probabilities from 0 to 1"),
        ({"weight": np.nan}, "of its predictions are no number"),
        ({"width": 3}, r"numbers: tensor\(float\) \[rows, 2\]: size, legs"),
        ({"rows": 1}, "the number of rows is free"),
    ],
)
def test_what_is_no_model_of_this_contract_is_refused_in_words(toy: Toy, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        own_model.run(toy.config(), save(toy.folder, **wrong), Console(quiet=True))
    assert not list((toy.folder / "models").rglob("model.onnx"))


def test_an_export_with_a_map_of_probabilities_is_told_how_to_export(toy: Toy) -> None:
    """skl2onnx makes one for a classifier, unless it is told not to."""
    model = LogisticRegression().fit(np.float32([[0, 0], [1, 1]]), [0, 1])
    exported = to_onnx(model, initial_types=[("numbers", FloatTensorType([None, 2]))], target_opset=18)
    path = toy.folder / "map.onnx"
    path.write_bytes(exported.SerializeToString())
    with pytest.raises(ConfigError, match="Export it with zipmap=False"):
        own_model.run(toy.config(), path, Console(quiet=True))


def test_a_file_that_is_no_model_is_refused_in_words(toy: Toy) -> None:
    path = toy.folder / "toy.csv"
    with pytest.raises(ConfigError, match="toy.csv: onnxruntime cannot load it"):
        own_model.run(toy.config(), path, Console(quiet=True))
    with pytest.raises(ConfigError, match="absent.onnx: cannot be read: No such file"):
        own_model.run(toy.config(), toy.folder / "absent.onnx", Console(quiet=True))
    with pytest.raises(ConfigError, match=r"is larger than 1,000 bytes; gates.max_megabytes is 0.001"):
        own_model.run(toy.config("gates.max_megabytes=0.001"), path, Console(quiet=True))
    with pytest.raises(ConfigError, match="split.test: none keeps the holdout closed"):
        own_model.run(toy.config("split.test=none"), save(toy.folder), Console(quiet=True))
