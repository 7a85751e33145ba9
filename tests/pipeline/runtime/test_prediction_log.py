"""The prediction log: what is asked and answered is there, what came of it finds it, and nothing waits for it."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sql

from pipeline.errors import ConfigError
from pipeline.runtime import prediction_log
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import serving, wait_for

WHEN = datetime(2013, 7, 1, 17, 30)


def prediction(name: str, answer: float = 0.5, row: int = 0, **changes: Any) -> dict[str, Any]:
    made = {"request_id": name, "row": row, "time": prediction_log.now(), "at": WHEN, "model": "m", "version": "v"}
    return {**made, "inputs": "{}", "answer": answer, **changes}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Any]:
    made = prediction_log.connect(f"sqlite:///{tmp_path}/deep/log.db")
    yield made
    made.dispose()


def test_labels_find_their_predictions_in_any_order(engine: Any) -> None:
    """They also do so where they come twice, and where some come for unknown ids."""
    assert prediction_log.store_labels(engine, [("early", 0, 1.0), ("never", 0, 1.0)], prediction_log.now()) == [
        ("early", 0),
        ("never", 0),
    ]
    prediction_log.write(engine, [prediction("early", 0.8), prediction("late", 0.1), prediction("late", 0.2, row=1)])
    assert prediction_log.store_labels(engine, [("late", 1, 0.0)], prediction_log.now()) == []
    assert prediction_log.store_labels(engine, [("late", 1, 0.0), ("late", 1, 0.0)], prediction_log.now()) == []
    found = prediction_log.read_labelled(engine, "m")
    assert list(zip(found.prediction, found.label, strict=True)) == [(0.8, 1.0), (0.2, 0.0)]


def test_the_same_label_again_changes_nothing_and_another_one_corrects_it(engine: Any) -> None:
    prediction_log.write(engine, [prediction("a")])
    first = prediction_log.now()
    for label, later in ((1.0, 0), (1.0, 60), (0.0, 120)):
        prediction_log.store_labels(engine, [("a", 0, label)], first + timedelta(seconds=later))
        if later < 100:
            assert prediction_log.read_labelled(engine, "m").delay[0] < 30
    assert prediction_log.read_labelled(engine, "m").label == [0.0]
    assert 100 < prediction_log.read_labelled(engine, "m").delay[0] < 130


def test_of_an_id_that_came_twice_the_later_prediction_counts(engine: Any) -> None:
    prediction_log.write(engine, [prediction("a", 0.1), prediction("a", 0.9)])
    prediction_log.store_labels(engine, [("a", 0, 1.0)], prediction_log.now())
    assert prediction_log.read_labelled(engine, "m").prediction == [0.9]


def test_a_span_of_time_ends_before_its_last_moment(engine: Any) -> None:
    """A version can be asked for alone."""
    prediction_log.write(engine, [prediction(str(day), at=WHEN + timedelta(days=day)) for day in range(10)])
    prediction_log.write(engine, [prediction("b", at=WHEN, version="b" * 16)])
    prediction_log.store_labels(
        engine, [*((str(day), 0, 1.0) for day in range(8)), ("b", 0, 0.0)], prediction_log.now()
    )
    since, until = WHEN + timedelta(days=2), WHEN + timedelta(days=5)
    assert [at - WHEN for at in prediction_log.read_labelled(engine, "m", since=since, until=until).at] == [
        timedelta(days=day) for day in (2, 3, 4)
    ]
    assert prediction_log.read_labelled(engine, "m", version="b" * 16).label == [0.0]
    assert len(prediction_log.read_labelled(engine, "m").at) == 9
    assert prediction_log.read_labelled(engine, "another") == ([], [], [], [], [])


def test_what_was_asked_tells_of_each_row_whether_its_outcome_is_known(engine: Any) -> None:
    prediction_log.write(engine, [prediction(str(day), at=WHEN + timedelta(days=day)) for day in range(4)])
    prediction_log.store_labels(engine, [("1", 0, 1.0)], prediction_log.now())
    found = prediction_log.read_requests(engine, "m", WHEN, WHEN + timedelta(days=3))
    assert found.labelled == [False, True, False]
    assert found.at == [WHEN + timedelta(days=day) for day in range(3)]
    assert prediction_log.read_requests(engine, "another", WHEN, WHEN + timedelta(days=3)) == ([], [], [], [], [])
    assert prediction_log.newest_time(engine, "m") == WHEN + timedelta(days=3)
    assert prediction_log.newest_time(engine, "m", known=True) == WHEN + timedelta(days=1)
    assert prediction_log.newest_time(engine, "another") is None


def test_pruning_removes_what_is_old_and_what_is_too_much_with_the_labels(engine: Any) -> None:
    old = prediction_log.now() - timedelta(days=40)
    prediction_log.write(engine, [prediction("old", time=old), *(prediction(str(n)) for n in range(5))])
    prediction_log.write(engine, [prediction("other", model="another", time=old)])
    prediction_log.store_labels(engine, [("old", 0, 1.0), ("nobody", 0, 1.0)], old)
    assert prediction_log.prune(engine, "m", 30, None) == 1
    assert prediction_log.prune(engine, "m", None, 3) == 2
    assert prediction_log.prune(engine, "m", 30, 3) == 0
    prediction_log.write(engine, [prediction("old"), prediction("nobody")])
    assert prediction_log.read_labelled(engine, "m").at == []
    prediction_log.store_labels(engine, [("other", 0, 1.0), ("4", 0, 1.0)], prediction_log.now())
    assert (
        len(prediction_log.read_labelled(engine, "another").at)
        == len(prediction_log.read_labelled(engine, "m").at)
        == 1
    )


def stored_labels(engine: Any) -> set[str]:
    with engine.connect() as connection:
        return {request_id for (request_id,) in connection.execute(sql.select(prediction_log.labels.c.request_id))}


@pytest.mark.parametrize(("days", "most"), [(None, 2), (30, None), (30, 2)])
def test_labels_go_with_their_predictions(engine: Any, days: int | None, most: int | None) -> None:
    """Labels of another model's predictions stay, and those of an id that was used again since."""
    old = prediction_log.now() - timedelta(days=31)
    prediction_log.write(engine, [prediction("again", time=old), prediction("old", time=old)])
    prediction_log.write(engine, [prediction("other", model="another", time=old)])
    prediction_log.write(engine, [prediction("new"), prediction("again")])
    ids = ("again", "old", "other", "new")
    prediction_log.store_labels(engine, [(name, 0, 1.0) for name in ids], prediction_log.now())
    assert prediction_log.prune(engine, "m", days, most) == 2
    assert stored_labels(engine) == {"again", "other", "new"}


VERSION_1 = """
CREATE TABLE predictions (id INTEGER PRIMARY KEY AUTOINCREMENT, request_id VARCHAR(128) NOT NULL, "row" INTEGER NOT NULL,
    time DATETIME NOT NULL, "at" DATETIME NOT NULL, model VARCHAR NOT NULL, version VARCHAR(16) NOT NULL,
    inputs TEXT NOT NULL, answer FLOAT NOT NULL);
CREATE TABLE labels (request_id VARCHAR(128), "row" INTEGER, label FLOAT NOT NULL, received DATETIME NOT NULL,
    PRIMARY KEY (request_id, "row"));
CREATE TABLE log_version (version INTEGER NOT NULL);
INSERT INTO log_version VALUES (1);
INSERT INTO predictions VALUES (1, 'old', 0, '2013-07-01 10:00:00', '2013-07-01 17:30:00', 'm', 'v', '{}', 0.25);
"""


def test_a_log_of_version_1_is_upgraded_and_keeps_its_rows(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "log.db") as connection:
        connection.executescript(VERSION_1)
    for _ in range(2):
        engine = prediction_log.connect(f"sqlite:///{tmp_path}/log.db")
    prediction_log.write(engine, [prediction("new", 0.75, memory="2013-07-01")])
    prediction_log.store_labels(engine, [("old", 0, 0.0), ("new", 0, 1.0)], prediction_log.now())
    assert sorted(prediction_log.read_labelled(engine, "m").prediction) == [0.25, 0.75]
    assert [row["memory"] for row in stored(tmp_path / "log.db")] == [None, "2013-07-01"]


def test_a_log_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    prediction_log.connect(url).dispose()
    with sqlite3.connect(tmp_path / "log.db") as connection:
        connection.execute("UPDATE log_version SET version = 99")
    with pytest.raises(ConfigError, match=rf"{tmp_path}/log.db: is a log of version 99, and this project knows"):
        prediction_log.connect(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nothing", "is no database that can be written to"),
        ("postgres://me:hidden@there/db", "should be sqlite:///FILE or postgresql://.* and begins with 'postgres'"),
        ("mysql+none://a/b", "should be sqlite:///FILE or postgresql://.* and begins with 'mysql"),
    ],
)
def test_an_address_that_means_nothing_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"LOG_URL: {said}") as refused:
        prediction_log.connect(url)
    assert "hidden" not in str(refused.value)


def stored(file: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(file) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM predictions ORDER BY id")]


@pytest.fixture(scope="module")
def told(parcels: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A server with a log, of which nothing that is wrong takes anything."""
    with serving(parcels.store, LOG_URL=f"sqlite:///{tmp_path_factory.mktemp('told')}/log.db") as client:
        yield client


@pytest.fixture
def logged(parcels: Parcels, tmp_path: Path) -> Iterator[httpx2.Client]:
    with serving(parcels.store, LOG_URL=f"sqlite:///{tmp_path}/log.db") as client:
        yield client


def test_every_route_that_predicts_is_logged_and_explanations_are_not(
    logged: httpx2.Client, parcels: Parcels, tmp_path: Path
) -> None:
    answer = logged.post("/predict", json=REQUIRED, headers={"x-request-id": "one"}).json()
    logged.post("/predict/batch", json={"rows": [REQUIRED, {**REQUIRED, "temp": 50}]}, headers={"x-request-id": "two"})
    logged.post("/invocations", json={"instances": [REQUIRED]}, headers={"x-request-id": "three"})
    logged.post("/explain", json=REQUIRED, headers={"x-request-id": "why"})
    logged.post("/predict", json={"nothing": 1}, headers={"x-request-id": "wrong"})
    wait_for(logged, "logged_rows_total 4.0")
    rows = stored(tmp_path / "log.db")
    assert [(row["request_id"], row["row"]) for row in rows] == [("one", 0), ("two", 0), ("two", 1), ("three", 0)]
    assert rows[0]["answer"] == pytest.approx(answer["probability"], abs=1e-6)
    assert (rows[0]["model"], rows[0]["version"]) == ("parcels", parcels.bundle.name)
    assert json.loads(rows[2]["inputs"]) == {**dict.fromkeys(json.loads(rows[2]["inputs"])), **REQUIRED, "temp": 50}
    assert rows[0]["memory"] == "2014-01-01"
    assert rows[0]["at"].startswith(REQUIRED["sent"].replace("T", " "))


def test_feedback_is_taken_and_what_is_unknown_is_told(logged: httpx2.Client) -> None:
    logged.post("/predict/batch", json={"rows": [REQUIRED] * 3}, headers={"x-request-id": "many"})
    told = [{"request_id": "many", "row": 2, "label": True}, {"request_id": "who", "label": 0}]
    answer = logged.post("/feedback", json=told)
    assert (answer.status_code, answer.json()) == (202, {"taken": 1, "unknown": [{"request_id": "who", "row": 0}]})
    answer = logged.post("/feedback", json={"request_id": "many", "row": 1, "label": False})
    assert answer.json() == {"taken": 1, "unknown": []}
    assert "labels_received_total 3.0" in logged.get("/metrics").text


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"request_id": "a"}, 422, "0.label"),
        ({"request_id": "a", "label": "yes"}, 422, "0.label"),
        ({"request_id": "a", "label": 0.3}, 422, "1 invalid value: 0.label"),
        ({"request_id": "", "label": 1}, 422, "0.request_id"),
        ({"request_id": "a\u0000b", "label": 1}, 422, "0.request_id"),
        ([{"request_id": "a", "label": 1}, {"request_id": "a", "label": 1, "more": 1}], 422, "1.more"),
        ([], 422, "1 to 10,000 labels"),
        ("text", 422, "0"),
    ],
)
def test_feedback_that_is_wrong_names_what_is(told: httpx2.Client, body: Any, status: int, words: str) -> None:
    answer = told.post("/feedback", json=body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_without_a_log_there_is_no_feedback(server: httpx2.Client) -> None:
    assert server.post("/feedback", json={"request_id": "a", "label": 1}).status_code == 404


def test_what_was_accepted_before_the_end_is_on_disk_after_it(parcels: Parcels, tmp_path: Path) -> None:
    with serving(parcels.store, LOG_URL=f"sqlite:///{tmp_path}/log.db") as client:
        for _ in range(5):
            client.post("/predict/batch", json={"rows": [REQUIRED] * 200})
    assert len(stored(tmp_path / "log.db")) == 1000


def test_a_log_that_cannot_be_written_to_drops_rows_and_counts_them(parcels: Parcels, tmp_path: Path) -> None:
    """It recovers once its database can be written to."""
    place = tmp_path / "there"
    place.write_text("a file where a folder should be")
    with serving(parcels.store, LOG_URL=f"sqlite:///{place}/log.db", LOG_QUEUE="4") as client:
        for n in range(6):
            assert client.post("/predict", json=REQUIRED, headers={"x-request-id": str(n)}).status_code == 200
        wait_for(client, "log_dropped_rows_total 2.0")  # and what is told there does not fail with the log
        answer = client.post("/feedback", json={"request_id": "1", "label": 1})
        assert (answer.status_code, "No label was stored" in answer.text) == (503, True)
        place.unlink()
        wait_for(client, "logged_rows_total 4.0")
        assert client.post("/feedback", json={"request_id": "1", "label": 1}).json() == {"taken": 1, "unknown": []}
    assert [row["request_id"] for row in stored(place / "log.db")] == ["0", "1", "2", "3"]


def test_a_server_ends_in_time_though_its_log_is_dead(parcels: Parcels, tmp_path: Path) -> None:
    place = tmp_path / "there"
    place.write_text("")
    with serving(parcels.store, LOG_URL=f"sqlite:///{place}/log.db") as client:
        client.post("/predict", json=REQUIRED)
        began = time.monotonic()
    assert time.monotonic() - began < 15


def test_a_password_in_the_address_is_not_repeated(parcels: Parcels) -> None:
    environment = {"MODEL_DIR": str(parcels.store), "LOG_URL": "mysql://me:hidden@there/db", "PATH": ""}
    ended = subprocess.run(
        [sys.executable, "-m", "serve"], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, "LOG_URL" in ended.stderr, "hidden" in ended.stderr) == (2, True, False)


def test_what_is_private_is_never_written(parcels: Parcels, tmp_path: Path) -> None:
    from pipeline.runtime.predictor import load
    from serve.telemetry.log_process import LogSource, PredictionBatch, message

    contract = load(parcels.bundle).contract
    columns = {**contract.columns, "city": contract.columns["city"].model_copy(update={"private": True})}
    hidden = contract.model_copy(update={"columns": columns})
    hidden.__dict__.pop("request", None)
    _, inputs = message([PredictionBatch("a", 0.0, LogSource.of(hidden, "v"), [REQUIRED], [0.5])]).split(b"\n")
    assert set(json.loads(inputs)) == set(REQUIRED) - {"city"}


OPEN_AT_ONCE = """
import sys
from multiprocessing import get_context
import sqlalchemy.dialects.sqlite
from pipeline.runtime import prediction_log
fork = get_context("fork")
gate = fork.Barrier(12)
def open_it():
    gate.wait()
    prediction_log.connect(sys.argv[1]).dispose()
started = [fork.Process(target=open_it) for _ in range(12)]
for process in started:
    process.start()
for process in started:
    process.join()
print([process.exitcode for process in started])
"""


def test_a_log_that_many_open_at_once_is_made_once(tmp_path: Path) -> None:
    for _ in range(3):
        opening = [sys.executable, "-c", OPEN_AT_ONCE, f"sqlite:///{tmp_path}/log.db"]
        ended = subprocess.run(opening, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (0, f"{[0] * 12}\n"), ended.stderr
        with sqlite3.connect(tmp_path / "log.db") as connection:
            assert connection.execute("SELECT count(*) FROM log_version").fetchone() == (1,)
        for file in tmp_path.glob("log.db*"):
            file.unlink()


def test_the_disk_is_shared_by_two_servers(parcels: Parcels, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    with serving(parcels.store, LOG_URL=url) as one, serving(parcels.store, LOG_URL=url) as other:
        for client, name in ((one, "a"), (other, "b")) * 5:
            assert client.post("/predict", json=REQUIRED, headers={"x-request-id": name}).status_code == 200
        wait_for(one, "logged_rows_total 5.0")
        wait_for(other, "logged_rows_total 5.0")
        assert one.post("/feedback", json={"request_id": "b", "label": 1}).json()["taken"] == 1
