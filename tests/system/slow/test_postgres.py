"""The prediction log in a real PostgreSQL, of Debian's packages: written under load, stopped, and there again."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.monitoring import refresh
from pipeline.runtime import prediction_log
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import serving, wait_for

HOMES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Database:
    """A cluster in a folder of its own, on a port of its own, for the user postgres where we are root."""

    def __init__(self, folder: Path) -> None:
        assert HOMES, "apt install postgresql"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.data, self.port = folder / "data", port
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            for place in (folder, *list(folder.parents)[:3]):
                place.chmod(0o755)
            shutil.chown(folder, "postgres")
        self.run("initdb", "-D", str(self.data), "-U", "postgres", "--auth", "trust", "--no-sync")

    def run(self, tool: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", self.user, "--"] if os.geteuid() == 0 else []
        subprocess.run([*as_user, str(HOMES[-1] / tool), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self.run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.data / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-w", "-m", "immediate", "stop")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path)
    made.start()
    yield made
    if (made.data / "postmaster.pid").exists():
        made.stop()


def test_two_servers_write_into_one_database(
    database: Database, parcels: Parcels, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The labels find their predictions there."""
    with serving(parcels.store, LOG_URL=database.url) as one, serving(parcels.store, LOG_URL=database.url) as other:
        for client, name in ((one, "a"), (other, "b")):
            client.post("/predict/batch", json={"rows": [REQUIRED] * 500}, headers={"x-request-id": name})
        wait_for(one, "logged_rows_total 500.0")
        wait_for(other, "logged_rows_total 500.0")
        told = [{"request_id": name, "row": n, "label": n % 3 == 0} for name in "ab" for n in range(500)]
        assert one.post("/feedback", json=[*told, *told, {"request_id": "c", "label": 1}]).json() == {
            "taken": 1000, "unknown": [{"request_id": "c", "row": 0}]
        }  # fmt: skip
    engine = prediction_log.connect(database.url)
    assert len(prediction_log.read_labelled(engine, "parcels").at) == 1000
    assert prediction_log.prune(engine, "parcels", None, 10) == 990
    models = tmp_path_factory.mktemp("models") / "parcels"
    shutil.copytree(parcels.store, models)
    assert refresh.run(models, database.url, None).as_of == "2014-01-01"


def test_a_database_that_goes_away_stops_no_answer(database: Database, parcels: Parcels) -> None:
    """The database is written to when it is back."""
    with serving(parcels.store, LOG_URL=database.url) as client:
        ask(client, "before")
        wait_for(client, "logged_rows_total 1.0")
        database.stop()
        for n in range(20):
            ask(client, f"meanwhile {n}".replace(" ", "-"))
        wait_for(client, "log_waiting_rows 20.0")
        assert client.post("/feedback", json={"request_id": "before", "label": 1}).status_code == 503
        database.start()
        wait_for(client, "logged_rows_total 21.0")
        assert client.post("/feedback", json={"request_id": "before", "label": 1}).json()["taken"] == 1
        assert "log_dropped_rows_total 0.0" in client.get("/metrics").text


def test_servers_that_start_at_once_make_the_tables_once(database: Database) -> None:
    code = f"from pipeline.runtime import prediction_log as log; log.connect({database.url!r}).dispose()"
    with ThreadPoolExecutor(6) as pool:
        ended = list(pool.map(lambda _: subprocess.run([sys.executable, "-c", code], check=False).returncode, range(6)))
    assert ended == [0] * 6


def ask(client: Any, name: str) -> None:
    assert client.post("/predict", json=REQUIRED, headers={"x-request-id": name}).status_code == 200
