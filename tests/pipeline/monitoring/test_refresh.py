"""Rolling features from the log's own labels: by command, into a server that runs."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.monitoring import refresh
from pipeline.runtime import bundle_store, prediction_log, predictor, rolling_features
from tests.support import ROOT
from tests.support.command import Command
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import serving, wait_for
from tests.support.toy import Toy

pytestmark = pytest.mark.usefixtures("blank_pictures")

Flight = dict[str, Any]


def flights(day: str, late: int, of: int) -> list[tuple[Flight, bool]]:
    return [({**REQUIRED, "sent": f"{day}T17:30"}, n < late) for n in range(of)]


@pytest.fixture
def models(parcels: Parcels, tmp_path: Path) -> Path:
    shutil.copytree(parcels.store, tmp_path / "models/parcels")
    return tmp_path / "models/parcels"


def test_yesterdays_labels_are_what_is_remembered_today(models: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    assert predictor.load(models).rolling.day == "2014-01-01"
    with serving(models, LOG_URL=url, RELOAD_SECONDS="0.05") as client:
        told = flights("2014-01-01", 31, 100) + flights("2014-01-02", 90, 100)
        client.post("/predict/batch", json={"rows": [row for row, _ in told]}, headers={"x-request-id": "a"})
        labels = [{"request_id": "a", "row": n, "label": label} for n, (_, label) in enumerate(told[:150])]
        assert client.post("/feedback", json=labels).json()["taken"] == 150
        command = [sys.executable, "-m", "pipeline", "refresh", "tests/support/parcels.yaml", "--as-of", "2014-01-02"]
        said = subprocess.run(
            [*command, "--log-url", url, "--set", f"paths.models={tmp_path}/models"],
            capture_output=True, text=True, check=True, cwd=ROOT,
        ).stdout  # fmt: skip
        assert said == (
            "The rolling features of parcels are of 2014-01-02 now, with 100 labelled rows of the log, 2014-01-01 to 2014-01-01.\n"
        )
        wait_for(client, 'rolling_features_reloads_total{outcome="taken"} 1.0')
        asked = {**REQUIRED, "sent": "2014-01-02T20:00"}
        reasons = {each["field"]: each for each in client.post("/explain", json=asked).json()["contributions"]}
        by_both = reasons["late_1d_depot_carrier"]
        assert by_both["text"].startswith("the day before, 31 % of B6 parcels from NTH were late (100 known")
        prior = predictor.load(models).manifest.prior["late_1d_depot_carrier"]
        assert by_both["value"] == round((31 + 10 * prior) / 110, 4)
    assert refresh.run(models, url, None)[:2] == ("2014-01-03", 150)


def test_the_champions_own_days_stay_and_the_logs_come_after_them(models: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    champion = predictor.load(models)
    own, _ = rolling_features.load_counts((champion.folder / rolling_features.FILE).read_bytes(), champion.contract)
    engine = prediction_log.connect(url)
    made = {"request_id": "a", "time": prediction_log.now(), "model": "parcels", "version": "v", "answer": 0.5}
    for row, day in enumerate(("2013-12-31", "2014-01-01")):
        asked, _ = flights(day, 1, 1)[0]
        prediction_log.write(
            engine, [{**made, "row": row, "inputs": json.dumps(asked), "at": datetime.fromisoformat(day)}]
        )
    prediction_log.store_labels(engine, [("a", 0, 1.0), ("a", 1, 1.0)], prediction_log.now())
    assert refresh.run(models, url, None) == ("2014-01-02", 1, ["2014-01-01"])
    found, day = rolling_features.load_counts((models / rolling_features.FILE).read_bytes(), champion.contract)
    first, last = rolling_features.day_number("2013-12-31"), rolling_features.day_number("2014-01-01")
    assert day == last + 1
    route = found["late_7d_route"]
    assert route[first] == own["late_7d_route"][first]
    assert route[last] == {(last + 1, ("NTH", "ROM")): (1, 1.0)}


def test_a_day_before_the_champions_own_is_refused(models: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    prediction_log.connect(url).dispose()
    with pytest.raises(ConfigError, match="the champion's own counts are of 2014-01-01 already"):
        refresh.run(models, url, date(2013, 12, 1))
    assert refresh.run(models, url, None) == ("2014-01-01", 0, [])


def test_what_is_being_refreshed_is_not_taken_for_something_that_was_left(models: Path, tmp_path: Path) -> None:
    """Whoever tidies up holds the store's lock; until then nothing is written."""
    prediction_log.connect(f"sqlite:///{tmp_path}/log.db").dispose()
    with ThreadPoolExecutor(1) as pool:
        with bundle_store.locked(models):
            waiting = pool.submit(refresh.run, models, f"sqlite:///{tmp_path}/log.db", None)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=2)
            assert not (models / rolling_features.FILE).exists()
        assert waiting.result(timeout=20).as_of == "2014-01-01"


def test_a_model_that_remembers_nothing_has_nothing_to_refresh(toy: Toy, tmp_path: Path) -> None:
    toy.train()
    with pytest.raises(ConfigError, match="this model has no rolling features"):
        refresh.run(Path(toy.config().paths.models) / "tiny", f"sqlite:///{tmp_path}/log.db", None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["refresh"], "there is no prediction log"),
        (["log", "prune", "--days", "3"], "there is no prediction log"),
        (["log", "prune"], "nothing says what to keep"),
        (["refresh", "--log-url", "nothing"], "LOG_URL: is no database"),
    ],
)
def test_a_mistake_ends_with_one_message(
    models: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)  # where no log is
    ended = command(*arguments, str(ROOT / "tests/support/parcels.yaml"), "--set", f"paths.models={tmp_path}/models")
    assert (ended.code, words in ended.stderr) == (2, True), ended.stderr


@pytest.mark.parametrize(("name", "file"), [("refresh", "rolling_features.json"), ("monitor", "monitor.json")])
def test_what_servers_read_goes_to_the_state_folder(
    models: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, name: str, file: str
) -> None:
    prediction_log.connect(f"sqlite:///{tmp_path}/log.db")
    monkeypatch.setenv("LOG_URL", f"sqlite:///{tmp_path}/log.db")
    monkeypatch.setenv("STATE_DIR", f"{tmp_path}/trusted/state")
    paths = [f"--set=paths.{of}={tmp_path}/{of}" for of in ("models", "reports")]
    paths.append(f"--set=paths.tracking=sqlite:///{tmp_path}/mlflow.db")

    ended = command(name, str(ROOT / "tests/support/parcels.yaml"), *paths)

    assert ended.code == 0, ended.stderr
    assert (tmp_path / "trusted/state" / file).exists()
    assert not (models / file).exists()


def test_a_state_folder_that_is_a_file_is_one_message(
    models: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction_log.connect(f"sqlite:///{tmp_path}/log.db")
    (tmp_path / "state").write_text("no folder")
    monkeypatch.setenv("STATE_DIR", f"{tmp_path}/state")

    config = str(ROOT / "tests/support/parcels.yaml")
    url = f"sqlite:///{tmp_path}/log.db"
    ended = command("refresh", config, "--log-url", url, "--set", f"paths.models={tmp_path}/models")

    assert (ended.code, "state: cannot be written to" in ended.stderr) == (2, True), ended.stderr


def test_pruning_by_command_says_how_many(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    engine = prediction_log.connect(url)
    row = {
        "row": 0,
        "time": prediction_log.now(),
        "at": prediction_log.now(),
        "version": "v",
        "inputs": "{}",
        "answer": 0.5,
    }
    prediction_log.write(engine, [{"request_id": str(n), "model": "parcels", **row} for n in range(5)])
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "log",
        "prune",
        "tests/support/parcels.yaml",
        "--rows",
        "2",
        "--log-url",
        url,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said == "3 predictions of parcels removed.\n"
