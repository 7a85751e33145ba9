"""Models that are trained for these tests and real servers over them. The server runs in the project's environment."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

ROOT = Path(__file__).parent.parent.parent.parent
PYTHON = ROOT / ".venv/bin/python"


@contextmanager
def serving(place: Path, **settings: str) -> Iterator[str]:
    """HOST:PORT of a server, which ends with 0 when it is told to stop."""
    environment = {**os.environ, "MODEL_DIR": str(place), "PORT": "0", **settings}
    server = subprocess.Popen(
        [str(PYTHON), "-m", "serve"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        said = [server.stdout.readline() for _ in range(2)][1]
        yield next(word for word in said.split() if word.startswith("http://")).removeprefix("http://")
    finally:
        server.terminate()
        assert server.wait(timeout=20) == 0


def trained(folder: Path, config: str) -> Path:
    """The store with the champion of a config."""
    places = {"models": folder / "models", "reports": folder / "reports", "tracking": f"sqlite:///{folder}/mlflow.db"}
    overrides = [word for key, place in places.items() for word in ("--set", f"paths.{key}={place}")]
    command = [str(PYTHON), "-m", "pipeline", "train", config, *overrides]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder / "models" / Path(config).stem


@pytest.fixture(scope="session")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parcels")
    train = "import pathlib, sys; from tests.support import parcels; parcels.trained(pathlib.Path(sys.argv[1]))"
    subprocess.run([str(PYTHON), "-c", train, str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder / "models/parcels"


@pytest.fixture(scope="session")
def address(parcels: Path) -> Iterator[str]:
    with serving(parcels, LOG_URL=f"sqlite:///{parcels.parent}/log.db") as found:
        yield found


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Trains on one of scikit-learn's own tables: the frame, its target, and what the config says of the task."""

    def train(name: str, frame: Any, **config: Any) -> Path:
        folder = tmp_path_factory.mktemp(name)
        frame.columns = [column.replace(" ", "_") for column in frame.columns]
        frame.to_csv(folder / f"{name}.csv", index=False)
        columns = {
            column: {"kind": "number", "known": "before", "meaning": column.replace("_", " ") + " as measured"}
            for column in frame
        }
        columns["target"] = config.pop("target")
        said = {"name": name, "dataset": "table", "data": {"path": str(folder / f"{name}.csv")}, "columns": columns}
        features = [column for column in frame if column != "target"]
        (folder / f"{name}.yaml").write_text(json.dumps({**said, "features": features, "target": "target", **config}))
        return trained(folder, str(folder / f"{name}.yaml"))

    return train


@pytest.fixture(scope="session")
def rows(address: str) -> list[dict[str, Any]]:
    """Rows that /docs shows."""
    api = httpx2.get(f"http://{address}/openapi.json").json()
    body = api["paths"]["/predict/batch"]["post"]["requestBody"]["content"]["application/json"]
    return list(body["examples"]["rows"]["value"]["rows"])
