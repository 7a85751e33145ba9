"""Does the champion still hold? Quiet, alarm and data fault, from a real log against a real bundle."""

import json
import re
from copy import copy
from datetime import date, datetime
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipeline.__main__ import app
from pipeline.config.monitoring import Monitor
from pipeline.errors import BundleError
from pipeline.monitoring import monitor
from pipeline.registry import promotion
from pipeline.runtime import prediction_log, predictor, rolling_features
from pipeline.training import retrain
from tests.support.server import serving
from tests.support.timed import LEARNT, config_in, made
from tests.support.toy import in_folder

pytestmark = pytest.mark.usefixtures("blank_pictures")


class Watched:
    """A champion that has learnt from 24 days, and the days after them with its own answers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.frame = folder, made()
        self.config = config_in(folder, self.frame)
        retrain.run(self.config, LEARNT, Console(quiet=True))
        self.models = promotion.home(self.config)
        self.champion = predictor.load(self.models)

    def days(self, count: int) -> pd.DataFrame:
        """The first days after those that were learnt from, with what the champion says of them."""
        start = pd.Timestamp(LEARNT)
        rows = self.frame[(self.frame["when"] >= start) & (self.frame["when"] < start + pd.Timedelta(days=count))]
        columns = {
            name: rows[name].to_numpy(object if name == "colour" else np.float64) for name in ("colour", "size", "legs")
        }
        columns["when"] = rows["when"].to_numpy("datetime64[s]")
        return rows.assign(answer=self.champion.predict(columns))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(tmp_path_factory.mktemp("watched"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.db"


def logged(url: str, rows: pd.DataFrame, version: str) -> str:
    """The rows as a server logs them, and all of their labels."""
    engine = prediction_log.connect(url)
    told = [
        {
            "request_id": f"{version[:4]}{number}",
            "row": 0,
            "time": prediction_log.now(),
            "at": row["when"].to_pydatetime(),
            "model": "tiny",
            "version": version,
            "inputs": json.dumps({name: None if pd.isna(row[name]) else row[name] for name in ("colour", "size", "legs")}
                                 | {"when": str(row["when"])}),
            "answer": row["answer"],
        }
        for number, row in rows.reset_index(drop=True).iterrows()
    ]  # fmt: skip
    prediction_log.write(engine, told)
    labels = [(each["request_id"], 0, float(good)) for each, good in zip(told, rows["good"], strict=True)]
    prediction_log.store_labels(engine, labels, prediction_log.now())
    engine.dispose()
    return url


def look(watched: Watched, url: str, as_of: date | None = None) -> monitor.MonitorResult:
    return monitor.check_champion(watched.models, url, watched.config.monitor, as_of)


def test_days_like_those_that_it_learnt_from_are_quiet(watched: Watched, url: str) -> None:
    found = look(watched, logged(url, watched.days(15), watched.champion.version))
    assert (found.code, found.verdict) == (0, "quiet")
    assert found.reason.startswith("no figure of the latest window is degraded")
    assert [window.rows for window in found.windows] == [240] * 5
    assert found.as_of == "2013-02-09"


def test_a_world_that_turned_round_is_an_alarm_that_says_why(watched: Watched, url: str) -> None:
    rows = watched.days(15)
    turned = rows.assign(good=np.where(rows["when"] >= "2013-01-31", ~rows["good"], rows["good"]))
    found = look(watched, logged(url, turned, watched.champion.version))
    assert (found.code, found.verdict) == (5, "retrain")
    assert re.search(r"roc_auc 0\.\d+ \(.* to .*\), expected 0\.\d+ \(.*\)", found.reason)
    assert found.reason.endswith("degraded in 3 of the last 3 windows (the monitor fires from 2 on)")


def test_what_came_later_than_the_day_that_is_named_is_not_looked_at(watched: Watched, url: str) -> None:
    rows = watched.days(15)
    turned = rows.assign(good=np.where(rows["when"] >= "2013-01-31", ~rows["good"], rows["good"]))
    found = look(watched, logged(url, turned, watched.champion.version), date(2013, 1, 31))
    assert (found.code, found.rows) == (0, 240)


@pytest.mark.parametrize(("value", "what"), [(5.0, "always 5.0"), (np.nan, "missing")])
def test_a_sensor_that_is_stuck_or_silent_is_a_data_fault(watched: Watched, url: str, value: float, what: str) -> None:
    """It is one whatever the outcomes are."""
    rows = watched.days(15)
    stuck = rows.assign(size=np.where(rows["when"] >= "2013-02-08", value, rows["size"]), good=~rows["good"])
    found = look(watched, logged(url, stuck, watched.champion.version))
    assert (found.code, found.verdict) == (6, "data fault")
    assert found.reason.startswith(f"size was {what} on 2013-02-08 (80 rows). Fix the source first")


@pytest.mark.parametrize("year", [2099, 9999])
def test_a_caller_who_asks_about_another_century_does_not_end_the_watch(watched: Watched, url: str, year: int) -> None:
    rows = watched.days(15)
    turned = rows.assign(good=np.where(rows["when"] >= "2013-01-31", ~rows["good"], rows["good"]))
    later = turned.tail(1).assign(when=pd.Timestamp(f"{year}-12-31").as_unit("s"))
    logged(url, later, "f" * 16)
    found = look(watched, logged(url, turned, watched.champion.version))
    assert (found.code, found.as_of) == (5, "2013-02-09")


def test_before_the_calendar_begins_there_is_nothing_to_look_at(watched: Watched, url: str) -> None:
    assert look(watched, logged(url, watched.days(1), watched.champion.version), date.min).code == 0


def test_rows_that_were_sent_twice_count_once(watched: Watched, url: str) -> None:
    rows = watched.days(15)
    for _ in range(2):  # the same request ids
        logged(url, rows, watched.champion.version)
    assert look(watched, url).rows == 240


def test_a_column_derived_from_a_private_one_is_in_no_log(watched: Watched, url: str) -> None:
    """For that reason it is not compared."""
    asked = prediction_log.LoggedRequests(
        [datetime(2013, 2, 1)] * 80, [0.5] * 80, ["{}"] * 80, [None] * 80, [True] * 80
    )
    champion, rule = watched.champion, watched.config.monitor
    columns = dict(champion.contract.columns)
    columns["size"] = columns["size"].model_copy(update={"derived_from": ["when"]})
    columns["when"] = columns["when"].model_copy(update={"private": True})
    hidden = copy(champion)
    hidden.contract = champion.contract.model_copy(update={"columns": columns})
    about = json.loads((champion.folder / "reference.json").read_bytes())
    compared = [
        {each.column for each in monitor.incoming_drift(who, asked, about, rule)[0]} for who in (champion, hidden)
    ]
    assert compared[0] - compared[1] == {"size"}


def test_too_little_is_quiet_and_says_what_is_needed(watched: Watched, url: str) -> None:
    found = look(watched, logged(url, watched.days(4), watched.champion.version))
    needed = "50 labelled rows on 5 days, with 17 rows in the latest window"
    had = "320 labelled rows on 4 days, with 240 rows in the latest window"
    assert (found.code, found.reason) == (
        0,
        f"not enough labels yet: the last 3 windows have {had}; the monitor needs {needed}",
    )
    empty = look(watched, f"{url}.none")
    assert (empty.code, empty.windows, empty.drifts) == (0, [], [])


def test_answers_of_another_champion_say_nothing_of_this_one(watched: Watched, url: str) -> None:
    rows = watched.days(15)
    found = look(watched, logged(url, rows.assign(good=~rows["good"]), "f" * 16))
    assert found.reason.startswith("not enough labels yet")
    assert (found.rows, found.labelled_rows) == (240, 240)


def test_incoming_rows_are_compared_with_the_weeks_of_the_reference(watched: Watched, url: str) -> None:
    """A column that lies far from those weeks is no alarm."""
    rows = watched.days(15)
    found = look(watched, logged(url, rows.assign(size=rows["size"] / 4), watched.champion.version))
    assert found.code == 0
    far = [each.column for each in found.drifts if each.is_far]
    assert far[0] == "size"
    assert "colour" not in far
    assert {each.column for each in found.drifts} == {"the answers", "size", "colour", "legs"}


def test_a_bundle_without_a_reference_of_outcomes_says_what_to_do(watched: Watched, url: str, tmp_path: Path) -> None:
    from pipeline.runtime import bundle_store

    files = {
        path.name: path.read_bytes() for path in watched.champion.folder.iterdir() if path.name != bundle_store.SUMS
    }
    about = json.loads(files["reference.json"])
    del about["outcomes"]
    files["reference.json"] = json.dumps(about).encode()
    bundle_store.point(tmp_path, bundle_store.write(tmp_path, files).name)
    with pytest.raises(BundleError, match=r"was made without a reference for the monitor. Train again"):
        monitor.check_champion(tmp_path, url, Monitor(), None)


def test_rows_answered_from_an_older_memory_than_could_be_had_are_counted(watched: Watched) -> None:
    contract = watched.config.contract
    rule = contract.columns["size"].model_copy(
        update={"rolling": {"by": ["colour"], "days": 1, "weight": 1.0, "text": "{share}"}}
    )
    asked = prediction_log.LoggedRequests(
        at=[datetime(2013, 1, 2, 12), datetime(2013, 1, 2, 12), datetime(2013, 1, 3, 2)],
        prediction=[0.5] * 3,
        inputs=["{}"] * 3,
        rolling_day=["2013-01-02", "2013-01-01", "2013-01-02"],  # the last row is asked before its day's table stands
        labelled=[True] * 3,
    )
    rolling = contract.model_copy(
        update={
            "columns": {**contract.columns, "size": rule},
            "timing": contract.timing.model_copy(update={"known_at": 3}),
        }
    )
    rolling.__dict__.pop("rolling", None)
    rolling.__dict__.pop("request", None)
    assert monitor.stale_share(asked, rolling) == pytest.approx(1 / 3)
    assert monitor.stale_share(asked, contract) == 0
    assert rolling_features.FILE == "rolling_features.json"


def run(watched: Watched, *given: str) -> Any:
    sets = [part for text in in_folder(watched.folder) for part in ("--set", text)]
    data = ["--set", f"data.path={watched.folder}/timed.csv"]
    return CliRunner().invoke(app, ["monitor", str(watched.folder / "timed.yaml"), *sets, *data, *given])


def test_the_command_ends_with_its_verdict_and_leaves_a_page(watched: Watched, url: str) -> None:
    """It also leaves a run, and a file for the server."""
    rows = watched.days(15)
    logged(url, rows.assign(good=~rows["good"]), watched.champion.version)
    ended = run(watched, "--log-url", url)
    assert ended.exit_code == 5, ended.output
    assert "retrain: " in ended.output
    page = (watched.folder / "reports/tiny.monitor.html").read_text()
    assert page.count("data:image/png;base64,") == 5  # four metrics and the drift
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    mlflow.set_tracking_uri(f"sqlite:///{watched.folder}/mlflow.db")
    recorded = mlflow.search_runs(experiment_names=["tiny"], filter_string="tags.verdict = 'retrain'")
    assert recorded["metrics.monitor.code"].tolist() == [5]
    assert recorded["metrics.monitor.roc_auc.value"][0] < 0.5
    assert re.fullmatch(r"monitor \d{4}-\d\d-\d\d, retrain", recorded["tags.mlflow.runName"][0])
    assert "retrain: " in recorded["tags.mlflow.note.content"][0]
    said = json.loads((watched.models / monitor.FILE).read_bytes())
    assert (said["version"], said["figures"]["code"]) == (watched.champion.version, 5)
    with serving(watched.models) as client:
        told = client.get("/metrics").text
    assert 'monitor{figure="code"} 5.0' in told
    assert re.search(r"^monitor_looked_timestamp_seconds 1\.\d+e\+09$", told, re.MULTILINE)


def test_the_server_tells_nothing_of_another_model_or_of_a_broken_file(watched: Watched, tmp_path: Path) -> None:
    file = tmp_path / "monitor.json"
    for content in ('{"version": "other", "looked": 5, "figures": {"code": 5}}', "[]", "{", '{"version": null}'):
        file.write_text(content)
        with serving(watched.models, MONITOR_FILE=str(file)) as client:
            assert "monitor{" not in client.get("/metrics").text


def test_an_alarm_is_heard_though_mlflow_cannot_be_reached(watched: Watched, url: str) -> None:
    rows = watched.days(15)
    nowhere = ("--set", "paths.tracking=http://127.0.0.1:9")
    ended = run(watched, "--log-url", logged(url, rows.assign(good=~rows["good"]), watched.champion.version), *nowhere)
    assert ended.exit_code == 5, ended.output
    assert "retrain: " in ended.output


def test_quiet_is_exit_code_0_and_a_log_that_is_not_there_2(watched: Watched, url: str) -> None:
    assert run(watched, "--log-url", logged(url, watched.days(15), watched.champion.version)).exit_code == 0
    missing = run(watched, "--log-url", "sqlite:///nowhere/log.db")
    assert "there is no prediction log" in str(missing.exception)
