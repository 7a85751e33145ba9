"""A small network with embeddings, trained with PyTorch on a config's rows and exported to ONNX.

`make bundle ONNX=…` takes the file through the gates. PyTorch is in no lock of this project: see requirements.txt.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper
from rich.console import Console
from torch import nn

from pipeline.config.config import Config, load
from pipeline.data.masking import with_copies
from pipeline.runtime.arrays import Tensors
from pipeline.training.estimators import frequent_categories
from pipeline.training.train import prepare

OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
SEED = 0


class Network(nn.Module):
    """Categories as embeddings, numbers scaled, two hidden layers.

    Of each number the network gets the value, 0 where it is missing, and whether it is missing.
    """

    def __init__(self, sizes: list[int], mean: torch.Tensor, deviation: torch.Tensor, hidden: int) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(size, min(16, (size + 1) // 2)) for size in sizes)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        width = sum(layer.embedding_dim for layer in self.embeddings) + 2 * len(mean)
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, codes: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Return the log odds, shape [rows, 1], of codes [rows, categories] and numbers [rows, numbers]."""
        missing = torch.isnan(numbers)
        scaled = torch.where(missing, torch.zeros_like(numbers), (numbers - self.mean) / self.deviation)
        embedded = [layer(codes[:, position]) for position, layer in enumerate(self.embeddings)]
        return self.layers(torch.cat([*embedded, scaled, missing.to(numbers.dtype)], dim=1))


class Probability(nn.Module):
    """The network as it is exported: it answers with probabilities."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, codes: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.network(codes, numbers))


def fit(data: Tensors, target: np.ndarray, known: list[list[str]], epochs: int) -> Network:
    """Fit the network to boolean outcomes [rows]. `known` has the values of each category."""
    torch.manual_seed(SEED)
    numbers = torch.from_numpy(data.numbers)
    codes = torch.from_numpy(encode(data.strings, known))
    outcome = torch.from_numpy(target.astype(np.float32))[:, None]

    mean = torch.from_numpy(np.nanmean(data.numbers, axis=0))
    deviation = torch.from_numpy(np.nanstd(data.numbers, axis=0)).clamp(min=1e-6)
    network = Network([len(values) + 1 for values in known], mean, deviation, hidden=64)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    loss = nn.BCEWithLogitsLoss()

    for epoch in range(epochs):
        network.train()
        total = 0.0
        for batch in torch.randperm(len(outcome)).split(1024):
            optimiser.zero_grad()
            value = loss(network(codes[batch], numbers[batch]), outcome[batch])
            value.backward()
            optimiser.step()
            total += float(value.detach()) * len(batch)
        print(f"epoch {epoch + 1} of {epochs}: log loss {total / len(outcome):.4f} on the training rows")
    return network.eval()


def encode(strings: np.ndarray, known: list[list[str]]) -> np.ndarray:
    """Return the codes [rows, categories]: 0 for an unknown or missing value, then the known ones in order."""
    codes = np.zeros(strings.shape, dtype=np.int64)
    for position, values in enumerate(known):
        number = {value: code for code, value in enumerate(values, 1)}
        codes[:, position] = [number.get(value, 0) for value in strings[:, position]]
    return codes


def to_onnx(network: Network, known: list[list[str]], data: Tensors) -> onnx.ModelProto:
    """Export the network, and put the encoding of the text before it. Its inputs are those of the contract."""
    rows = torch.export.Dim("rows", min=2)
    inputs = (torch.zeros(2, len(known), dtype=torch.int64), torch.from_numpy(data.numbers[:2]))
    program = torch.onnx.export(
        Probability(network).eval(),
        inputs,
        input_names=["codes", "numbers"],
        output_names=["probability"],
        dynamic_shapes=({0: rows}, {0: rows}),
        opset_version=18,
        dynamo=True,
    )
    exported = program.model_proto
    encoder = helper.make_model(encoder_graph(known), opset_imports=OPSETS, ir_version=exported.ir_version)
    exported.opset_import.extend(opset for opset in OPSETS if opset.domain)
    return compose.merge_models(encoder, exported, io_map=[("codes", "codes")], name="pytorch")


def encoder_graph(known: list[list[str]]) -> onnx.GraphProto:
    """A graph that does what `encode` does: text [rows, categories] in, codes out."""
    nodes = []
    for position, values in enumerate(known):
        nodes.append(helper.make_node("Constant", [], [f"column_{position}"], value_ints=[position]))
        nodes.append(helper.make_node("Gather", ["strings", f"column_{position}"], [f"text_{position}"], axis=1))
        nodes.append(
            helper.make_node(
                "LabelEncoder",
                [f"text_{position}"],
                [f"code_{position}"],
                domain="ai.onnx.ml",
                keys_strings=values,
                values_int64s=list(range(1, len(values) + 1)),
                default_int64=0,
            )
        )
    nodes.append(helper.make_node("Concat", [f"code_{position}" for position in range(len(known))], ["codes"], axis=1))
    text = helper.make_tensor_value_info("strings", TensorProto.STRING, ["rows", len(known)])
    codes = helper.make_tensor_value_info("codes", TensorProto.INT64, ["rows", len(known)])
    return helper.make_graph(nodes, "encoder", [text], [codes])


def train(config: Config, path: Path, epochs: int) -> None:
    """Train on the rows before the holdout, and on their copies without optional columns, and write the ONNX file."""
    if config.task != "binary" or not config.contract.strings or not config.contract.numbers:
        sys.exit("error: this example is for a binary task with categories and numbers among its features")
    with tempfile.TemporaryDirectory() as reports:
        prepared = prepare(config, Path(reports), Console())
    _, data, target = with_copies(prepared.train, prepared.copies, prepared.parts.search)

    known = [frequent_categories(values, rare=50) for values in data.strings.T]
    network = fit(data, target, known, epochs)
    onnx.save(to_onnx(network, known, data), path)
    print(f"Written to {path}. Next: make bundle MODEL={config.name} ONNX={path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], help="a setting of the config, as in python -m pipeline")
    given = parser.parse_args()
    train(load(given.config, given.set), given.onnx, given.epochs)
