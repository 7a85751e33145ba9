"""Several classes by every protocol, explained, labelled by name and monitored, by a real server."""

import json
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from pipeline.runtime import bundle_store
from tests.support.command import Command
from tests.support.parcels import REQUIRED, Parcels
from tests.support.penguins import ADELIE, CONFIG, Penguins, overrides
from tests.support.server import serving

NAMES = ["Adelie", "Chinstrap", "Gentoo"]


@pytest.fixture(scope="module")
def client(penguins: Penguins) -> Iterator[httpx2.Client]:
    with serving(penguins.store) as client:
        yield client


def test_a_prediction_names_the_classes_and_the_most_probable(client: httpx2.Client) -> None:
    body = client.post("/predict", json=ADELIE).json()
    assert list(body["probabilities"]) == body["classes"] == NAMES
    assert sum(body["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert body["label"] == max(body["probabilities"], key=body["probabilities"].get) == "Adelie"


def test_every_protocol_has_the_same_probabilities(client: httpx2.Client) -> None:
    one = client.post("/predict", json=ADELIE).json()
    prediction = {"probabilities": one["probabilities"], "label": "Adelie"}
    numbers = list(one["probabilities"].values())

    assert client.post("/predict/batch", json={"rows": [ADELIE] * 2}).json()["predictions"] == [prediction] * 2
    for path in ("/invocations", "/v1/models/penguins:predict"):
        body = client.post(path, json={"instances": [ADELIE]}).json()
        assert (body["predictions"], body["metadata"]["classes"]) == ([prediction], NAMES)
    csv = client.post("/invocations", json={"instances": [ADELIE]}, headers={"accept": "text/csv"})
    assert csv.text == f"{','.join(map(str, numbers))},Adelie\n"

    kinds = {"island": "BYTES", "flipper_length_mm": "INT64"}
    inputs = [
        {"name": name, "shape": [1], "datatype": kinds.get(name, "FP64"), "data": [value]}
        for name, value in ADELIE.items()
    ]
    tensors = {
        part["name"]: part
        for part in client.post("/v2/models/penguins/infer", json={"inputs": inputs}).json()["outputs"]
    }
    assert tensors["probabilities"] == {"name": "probabilities", "datatype": "FP64", "shape": [1, 3], "data": numbers}
    assert tensors["label"] == {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["Adelie"]}
    about = client.get("/v2/models/penguins").json()["outputs"]
    assert about[0]["shape"] == [-1, 3]
    assert about[0]["parameters"] == {"classes": NAMES}

    asked = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    raw = client.post("/v2/models/penguins/infer", json=asked)
    binary = raw.content[int(raw.headers["inference-header-content-length"]) :]
    assert list(struct.unpack("<3d", binary[:24])) == numbers
    assert binary[24:] == struct.pack("<I", 6) + b"Adelie"


@pytest.mark.parametrize(("query", "explained"), [("", "Adelie"), ("?class=Gentoo", "Gentoo")])
def test_the_class_that_is_asked_for_is_explained(client: httpx2.Client, query: str, explained: str) -> None:
    body = client.post(f"/explain{query}", json=ADELIE).json()
    total = body["base"] + sum(reason["contribution"] for reason in body["contributions"])
    assert body["explained"] == explained
    assert total == pytest.approx(body["probabilities"][explained], abs=1e-6)


def test_a_class_that_is_none_is_refused_with_those_that_are(client: httpx2.Client) -> None:
    answer = client.post("/explain?class=Dodo", json=ADELIE)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "class", "message": "There is no such class. Known: Adelie, Chinstrap, Gentoo"}
    ]


def test_the_page_shows_every_class_and_the_reasons_of_the_chosen_one(client: httpx2.Client) -> None:
    form = {name: str(value) for name, value in ADELIE.items()}
    page = client.post("/answer", data={**form, "_class": "Gentoo"}).text
    assert '<p class="headline" tabindex="-1" autofocus>Adélie</p>' in page
    assert 'value="Gentoo" aria-current="true"' in page
    assert "The average prediction for Gentoo is" in page
    assert "its label is right for" in client.get("/", headers={"accept": "text/html"}).text
    assert client.get("/model", headers={"accept": "text/html"}).status_code == 200


def test_labels_by_name_are_monitored(penguins: Penguins, tmp_path: Path, command: Command) -> None:
    log = f"sqlite:///{tmp_path}/log.db"
    with serving(penguins.store, LOG_URL=log) as client:
        body = client.post("/predict/batch", json={"rows": [ADELIE] * 3}).json()
        labels = [{"request_id": body["request_id"], "row": n, "label": name} for n, name in enumerate(NAMES)]
        assert client.post("/feedback", json=labels).json() == {"taken": 3, "unknown": []}
        wrong = client.post("/feedback", json={**labels[0], "label": "Dodo"})
        assert wrong.json()["errors"][0]["message"] == "Should be 'Adelie', 'Chinstrap' or 'Gentoo'"

    with sqlite3.connect(tmp_path / "log.db") as stored:
        answer, probabilities = stored.execute("SELECT answer, probabilities FROM predictions").fetchone()
        assert (answer, len(json.loads(probabilities))) == (0, 3)
        assert stored.execute("SELECT label FROM labels ORDER BY row").fetchall() == [(0,), (1,), (2,)]

    settings = overrides(penguins.folder, f"paths.tracking=sqlite:///{tmp_path}/mlflow.db", f"paths.reports={tmp_path}")
    ended = command("monitor", str(CONFIG), *settings, "--log-url", log, "--state-dir", str(tmp_path))
    assert ended.code == 0, ended.stderr
    assert "not enough labels yet: the last 4 windows have 3 labelled rows" in ended.stdout


def in_words(bundle: Path, place: Path) -> Path:
    """The same binary model, of data that says `late` and `on time`."""
    files = {path.name: path.read_bytes() for path in bundle.iterdir() if path.name != bundle_store.SUMS}
    manifest = json.loads(files["bundle.json"])
    target = manifest["contract"]["columns"][manifest["contract"]["target"]]
    target |= {"positive": ["late"], "negative": ["on time"]}
    files["bundle.json"] = json.dumps(manifest).encode()
    return bundle_store.write(place, files)


def test_a_binary_target_with_words_answers_with_them(parcels: Parcels, tmp_path: Path) -> None:
    """The platforms' protocols keep 0 and 1."""
    with serving(in_words(parcels.bundle, tmp_path), LOG_URL=f"sqlite:///{tmp_path}/log.db") as client:
        one = client.post("/predict", json=REQUIRED).json()
        label = ["on time", "late"][one["probability"] >= one["threshold"]]
        number = int(label == "late")
        assert one["label"] == label
        assert client.post("/predict/batch", json={"rows": [REQUIRED]}).json()["predictions"][0]["label"] == label
        assert client.post("/explain", json=REQUIRED).json()["label"] == label
        assert client.post("/invocations", json={"instances": [REQUIRED]}).json()["predictions"][0]["label"] == number
        assert f"The prediction is {label}." in client.post("/answer", data=REQUIRED).text

        for sent, status in (("late", 202), (1, 202), (True, 202), ("soon", 422)):
            ref = {"request_id": one["request_id"], "label": sent}
            assert client.post("/feedback", json=ref).status_code == status
