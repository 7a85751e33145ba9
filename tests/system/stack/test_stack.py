"""The whole of compose.yaml, for real, beside whatever else runs here: a project and ports of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import httpx2
import mlflow
import pytest
import yaml

from pipeline.runtime.predictor import load
from tests.support.parcels import CONFIG, make

ROOT = Path(__file__).parent.parent.parent.parent
MODEL = os.environ.get("MODEL", "flights")
PORTS = {"API_PORT": "18080", "MLFLOW_PORT": "15000", "PROMETHEUS_PORT": "19091"}
API, MLFLOW, PROMETHEUS = (f"http://127.0.0.1:{port}" for port in PORTS.values())
PROJECT = "mlops-reference-test"
ENVIRONMENT = {**os.environ, **PORTS, "MODEL": MODEL, "DOCKER_BUILDKIT": "1"}
SERVICES = ["api", "mlflow", "postgres", "prometheus"]


def compose(*words: str) -> str:
    command = ["docker", "compose", "--project-name", PROJECT, *words]
    said = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


@pytest.fixture(scope="session", autouse=True)
def stack() -> Iterator[None]:
    subprocess.run([sys.executable, "deploy/secrets_for_compose.py"], cwd=ROOT, check=True)
    compose("up", "--build", "--detach", "--wait")
    yield
    compose("down", "--volumes")


def container(service: str) -> Any:
    return docker.from_env().containers.get(compose("ps", "--quiet", "--all", service).strip())


def eventually(found: Callable[[], Any]) -> Any:
    """The first answer that is something; services need a moment after they were ended."""
    deadline, error = time.monotonic() + 60, None
    while time.monotonic() < deadline:
        try:
            if answer := found():
                return answer
        except (httpx2.HTTPError, ValueError) as failed:
            error = failed
    raise AssertionError(error)


@pytest.fixture(scope="session")
def trained(stack: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the parcels model, trained into the stack's MLflow server."""
    folder = tmp_path_factory.mktemp("trained")
    data = folder / "parcels.csv"
    make(data)
    overrides = [f"data.path={data}", f"paths.models={folder}/models", f"paths.reports={folder}/reports"]
    words = [word for override in overrides for word in ("--set", override)]
    command = [sys.executable, "-m", "pipeline", "train", str(CONFIG), *words]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": MLFLOW}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    return (folder / "models/parcels/champion").read_text().strip()


def registered() -> str:
    """The digest of the version that MLflow's champion alias stands for."""
    version = mlflow.MlflowClient(MLFLOW).get_model_version_by_alias("parcels", "champion")
    return str(version.tags["digest"])


def answers() -> list[float]:
    predictor = load(ROOT / "models" / MODEL)
    said = httpx2.post(f"{API}/predict/batch", json={"rows": predictor.golden.rows[:48]}).raise_for_status().json()
    found = [each.get("probability", each.get("value")) for each in said["predictions"]]
    assert found == pytest.approx(predictor.golden.predictions[:48].tolist(), rel=1e-5, abs=1e-6)
    return found


def query(expression: str) -> list[Any]:
    said = httpx2.get(f"{PROMETHEUS}/api/v1/query", params={"query": expression}).raise_for_status().json()
    return list(said["data"]["result"])


def test_a_training_is_recorded_with_version_and_alias_in_the_database(trained: str) -> None:
    """It is recorded in the MLflow of the stack."""
    assert registered() == trained
    rows = compose(
        "exec", "-T", "postgres", "psql", "--username", "mlflow", "--host", "127.0.0.1", "--no-align", "--tuples-only", "--command",
        "select a.alias, v.version from registered_model_aliases a join model_versions v using (name, version) where name = 'parcels'",
        "postgresql://mlflow:" + secret("POSTGRES_PASSWORD") + "@127.0.0.1/mlflow",
    )  # fmt: skip
    assert sorted(rows.split()) == ["challenger|1", "champion|1"]


def secret(name: str) -> str:
    lines = (ROOT / ".env").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))


def test_the_artifacts_went_through_the_server_and_come_back(trained: str, tmp_path: Path) -> None:
    client = mlflow.MlflowClient(MLFLOW)
    version = client.get_model_version_by_alias("parcels", "champion")
    got = Path(client.download_artifacts(version.run_id, "bundle", str(tmp_path)))
    assert load(next(path.parent for path in got.rglob("bundle.json"))).version == trained


def test_the_server_gives_the_hosts_answers(stack: None) -> None:
    answers()


def test_mlflow_answers_its_neighbours_and_whoever_asks_on_this_machine(stack: None) -> None:
    """It answers to no other host name."""
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    ask = f"import urllib.request; print(urllib.request.urlopen('http://mlflow:5000{path}', timeout=5).status)"
    assert container("api").exec_run(["python", "-c", ask]).output.decode().strip() == "200"
    assert httpx2.get(f"{MLFLOW}{path}").status_code == 200
    assert httpx2.get(f"{MLFLOW}{path}", headers={"host": "evil.example"}).status_code == 403


def test_prometheus_scrapes_the_server_and_has_every_rule(stack: None) -> None:
    assert eventually(lambda: query('up{job="api"} == 1'))
    answers()
    assert eventually(lambda: query("predicted_rows_total > 0"))
    groups = httpx2.get(f"{PROMETHEUS}/api/v1/rules").json()["data"]["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    written = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    assert set(rules) == {rule["alert"] for group in written["groups"] for rule in group["rules"]}
    assert {name: rule["lastError"] for name, rule in rules.items() if rule.get("lastError")} == {}


def test_this_machine_cannot_reach_the_database(stack: None) -> None:
    """Asked whether it speaks TLS, PostgreSQL says S or N; here nothing does, whatever a proxy between may pretend."""
    (network,) = container("postgres").attrs["NetworkSettings"]["Networks"].values()
    said = b""
    with suppress(OSError), socket.create_connection((network["IPAddress"], 5432), timeout=2) as connection:
        connection.settimeout(2)
        connection.sendall(bytes.fromhex("0000000804d2162f"))
        said = connection.recv(1)
    assert said not in (b"S", b"N")
    assert not any(container("postgres").attrs["NetworkSettings"]["Ports"].values())


def test_all_of_it_may_take_four_gigabytes(stack: None) -> None:
    limits = {name: container(name).attrs["HostConfig"]["Memory"] for name in SERVICES}
    assert all(limits.values())
    grafana = 512 * 2**20
    assert sum(limits.values()) + grafana <= 4 * 2**30


@pytest.mark.parametrize("service", SERVICES)
def test_whatever_is_restarted_or_killed_nothing_is_lost(trained: str, service: str) -> None:
    scraped = eventually(lambda: query("count_over_time(up[1h])"))[0]["value"][1]
    container(service).restart()
    compose("up", "--detach", "--wait")
    eventually(lambda: httpx2.get(f"{MLFLOW}/health").status_code == 200)
    assert registered() == trained
    answers()
    container(service).kill()
    compose("up", "--detach", "--wait")
    eventually(lambda: httpx2.get(f"{MLFLOW}/health").status_code == 200)
    assert registered() == trained
    answers()
    assert int(eventually(lambda: query("count_over_time(up[1h])"))[0]["value"][1]) >= int(scraped)


def test_a_killed_process_is_started_again_without_anyone(stack: None) -> None:
    """Where this may kill it: the policy holds for processes that end by themselves, not for `docker kill`."""
    before = container("api").attrs["State"]
    try:
        os.kill(before["Pid"], 9)
    except PermissionError:
        pytest.skip("killing a container's process takes root")
    assert eventually(lambda: container("api").attrs["State"]["Pid"] not in (0, before["Pid"]))
    eventually(answers)


def test_the_secrets_of_the_example_are_refused(tmp_path: Path) -> None:
    for name in ("deploy/secrets_for_compose.py", ".env.example"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    command = [sys.executable, str(tmp_path / "deploy/secrets_for_compose.py")]
    assert subprocess.run(command, check=False).returncode == 0
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    (tmp_path / ".env").write_text((tmp_path / ".env.example").read_text())
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "POSTGRES_PASSWORD, GRAFANA_PASSWORD should be set to secrets of your own" in refused.stderr


def test_every_service_is_named_in_json_that_compose_understands() -> None:
    told = json.loads(compose("config", "--format", "json"))
    assert set(SERVICES) <= set(told["services"])
    assert all(each.get("mem_limit") and each.get("restart") for each in told["services"].values())
