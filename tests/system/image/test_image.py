"""The image as platforms run it. `make image` has built it; IMAGE and MODEL say which it is."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import httpx2
import numpy as np
import pytest
from conftest import IMAGE, MODEL, ROOT, Run, ready
from docker.models.containers import Container

from pipeline.runtime import bundle_store, predictor

BUILD = {**os.environ, "DOCKER_BUILDKIT": "1"}


def version(address: str) -> str:
    return str(httpx2.get(f"{address}/readyz").json()["version"])


def inside(container: Container, code: str) -> Any:
    """What Python in the container says to some code, as JSON."""
    status, said = container.exec_run(["python", "-c", code])
    assert status == 0, said.decode()
    return json.loads(said)


def test_locked_down_it_gives_the_answers_of_the_host(container: Container, champion: predictor.Predictor) -> None:
    answer = httpx2.post(
        f"{ready(container)}/predict/batch", json={"rows": champion.golden.rows[:48]}
    ).raise_for_status()
    name = "probability" if champion.contract.task == "binary" else "value"
    said = np.array([each[name] for each in answer.json()["predictions"]])
    assert np.abs(said - champion.golden.predictions[:48]).max() / champion.manifest.spread <= 1e-6
    assert answer.json()["version"] == champion.version
    assert "<main>" in httpx2.get(ready(container), headers={"accept": "text/html"}).text


def test_its_health_check_finds_it_healthy(container: Container) -> None:
    deadline = time.monotonic() + 60
    while container.attrs["State"]["Health"]["Status"] != "healthy":
        assert time.monotonic() < deadline, container.attrs["State"]["Health"]
        container.reload()


def test_sagemakers_verb_does_the_same(run: Run, champion: predictor.Predictor) -> None:
    assert version(ready(run("serve"))) == champion.version


@pytest.mark.parametrize("variable", ["PORT", "AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT"])
def test_a_platform_may_choose_the_port_and_its_health_check_follows(run: Run, variable: str) -> None:
    container = run(port=9123, environment={variable: "9123"})
    ready(container, 9123)
    assert container.exec_run(["python", "-m", "serve.healthcheck"]).exit_code == 0


@pytest.fixture(scope="session")
def other(champion: predictor.Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another bundle in a store of its own: the same model under another threshold or, for numbers, spread."""
    place = tmp_path_factory.mktemp("other")
    files = {path.name: path.read_bytes() for path in champion.folder.iterdir() if path.name != bundle_store.SUMS}
    manifest = json.loads(files["bundle.json"])
    key = "threshold" if champion.contract.task == "binary" else "spread"
    manifest[key] *= 0.9
    files["bundle.json"] = json.dumps(manifest).encode()
    bundle = bundle_store.write(place, files)
    bundle_store.point(place, bundle.name)
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return place


def mounted(place: Path, at: str) -> dict[str, dict[str, str]]:
    return {str(place): {"bind": at, "mode": "ro"}}


@pytest.mark.parametrize("at", ["/opt/ml/model", "/mnt/models"])
def test_what_a_platform_mounts_comes_before_what_is_baked_in(run: Run, other: Path, at: str) -> None:
    assert version(ready(run(volumes=mounted(other, at)))) == bundle_store.pointer(other)


def test_model_dir_comes_before_both_and_an_empty_mount_is_none(
    run: Run, other: Path, champion: predictor.Predictor, tmp_path: Path
) -> None:
    named = run(volumes=mounted(other, "/elsewhere"), environment={"MODEL_DIR": "/elsewhere"})
    assert version(ready(named)) == bundle_store.pointer(other)
    tmp_path.chmod(0o755)
    assert version(ready(run(volumes=mounted(tmp_path, "/opt/ml/model")))) == champion.version


def test_a_broken_bundle_ends_with_3_and_says_what_is_wrong(run: Run, other: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(bundle_store.resolve(other), tmp_path / "broken"))
    tmp_path.chmod(0o755)
    (broken / "model.onnx").write_bytes(b"no model")
    container = run(volumes=mounted(broken, "/opt/ml/model"))
    assert container.wait(timeout=30)["StatusCode"] == 3
    said = container.logs().decode()
    assert "model.onnx has been changed" in said
    assert "Traceback" not in said


def test_it_stands_load_in_256_mb(run: Run, champion: predictor.Predictor) -> None:
    container = run(mem_limit="256m", memswap_limit="256m")
    address = ready(container)
    rows = [champion.golden.rows[n % 48] for n in range(5000)]
    many = json.dumps({"rows": rows}).encode()

    def ask(_: int) -> set[int]:
        with httpx2.Client(base_url=address, timeout=60) as client:
            large = client.post("/predict/batch", content=many, headers={"content-type": "application/json"})
            return {large.status_code, *(client.post("/predict", json=rows[0]).status_code for _ in range(200))}

    with ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(ask, range(16))) == {200}
    container.reload()
    assert (container.status, container.attrs["State"]["OOMKilled"]) == ("running", False)


def test_a_container_that_is_stopped_answers_what_is_in_flight(run: Run, champion: predictor.Predictor) -> None:
    """The container then ends with 0."""
    container = run()
    address = ready(container)
    body = json.dumps(champion.golden.rows[0]).encode()
    with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1]))) as connection:
        head = f"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode())
        while "http_requests_in_flight 2.0" not in httpx2.get(f"{address}/metrics").text:
            pass  # until it waits for the body
        stopping = threading.Thread(target=container.stop, kwargs={"timeout": 20})
        stopping.start()
        with suppress(httpx2.TransportError):
            while httpx2.get(f"{address}/livez").status_code == 200:
                pass  # until it has heard of it
        connection.sendall(body)
        assert connection.recv(4000).startswith(b"HTTP/1.1 200 ")
    stopping.join()
    assert container.wait()["StatusCode"] == 0


# --- what is inside -------------------------------------------------------------------------------------------------


def test_it_runs_as_nobody_in_particular_and_can_write_nowhere(container: Container) -> None:
    found = inside(
        container,
        "import json, os\n"
        "places = [p for p, _, _ in os.walk('/') if not p.startswith(('/proc', '/sys', '/dev')) and os.access(p, os.W_OK)]\n"
        "print(json.dumps([os.getuid(), os.getgid(), places]))",
    )
    assert found == [10001, 0, []]


def test_over_its_base_it_has_the_locked_packages_this_project_and_no_pip(container: Container) -> None:
    found = inside(
        container,
        "import json\nfrom importlib.metadata import distributions\n"
        "print(json.dumps(sorted(d.name.lower().replace('_', '-') for d in distributions(path=['/app/.venv/lib/python3.13/site-packages']))))",
    )
    locked = [
        line.split("==")[0] for line in (ROOT / "requirements/serve.txt").read_text().splitlines() if "==" in line
    ]
    assert set(found) <= {*locked, "mlops-reference"}
    assert {"onnxruntime", "fastapi", "mlops-reference"} <= set(found)
    assert not {"pip", "setuptools", "pandas", "scikit-learn", "mlflow"} & set(found)


def test_nothing_of_ours_is_setuid_or_writable_by_others_or_a_shell_script(container: Container) -> None:
    found = inside(
        container,
        "import json, os, stat\nbad = []\n"
        "for folder, _, files in os.walk('/app'):\n"
        "    for name in files:\n"
        "        path = os.path.join(folder, name)\n"
        "        mode = os.lstat(path).st_mode\n"
        "        script = stat.S_ISREG(mode) and open(path, 'rb').read(20).startswith((b'#!/bin/sh', b'#!/bin/bash', b'#!/usr/bin/env b')) or 'activate' in name.lower()\n"
        "        if not stat.S_ISLNK(mode) and mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH | stat.S_IWGRP) or script:\n"
        "            bad.append(path)\n"
        "print(json.dumps(bad))",
    )
    assert found == []


def test_its_labels_say_what_it_is(engine: docker.DockerClient, champion: predictor.Predictor) -> None:
    labels = engine.images.get(IMAGE).labels
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert labels["org.opencontainers.image.revision"].startswith(commit.strip())
    assert labels["model.name"] == MODEL
    assert labels["model.digest"] == labels["org.opencontainers.image.version"] == champion.version
    assert labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"


# --- how it is built ------------------------------------------------------------------------------------------------


def test_it_is_at_most_200_mb_over_its_base(engine: docker.DockerClient) -> None:
    """By its own layers, newest first, to the one that brings our files: BuildKit leaves no base image behind."""
    layers = engine.images.get(IMAGE).history()
    ours = next(n for n, layer in enumerate(layers) if "COPY /out/ /" in layer["CreatedBy"])
    assert 100e6 < sum(layer["Size"] for layer in layers[: ours + 1]) <= 200e6


def test_another_build_of_the_same_files_has_the_same_layers(engine: docker.DockerClient, tmp_path: Path) -> None:
    """Nothing is kept from the first one, and every file has another time."""
    copied = copy(tmp_path)
    for path in copied.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    build(copied, "--no-cache", "--tag", f"{IMAGE}-again", "--build-arg", f"MODEL={MODEL}")
    first, again = (engine.images.get(name).attrs["RootFS"]["Layers"] for name in (IMAGE, f"{IMAGE}-again"))
    engine.images.remove(f"{IMAGE}-again")
    assert first == again


def test_without_a_champion_the_build_stops_and_says_what_to_run(tmp_path: Path) -> None:
    copied = copy(tmp_path)
    shutil.rmtree(copied / "models")
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        build(copied)
    assert f"there is no champion of {MODEL}: run make train first" in stopped.value.stderr


def copy(folder: Path) -> Path:
    """The files of this project, without its history and environments."""
    left = shutil.ignore_patterns(".git", ".venv*", "mlruns", "mlflow.db*", "__pycache__")
    return Path(shutil.copytree(ROOT, folder / "copy", ignore=left))


def build(context: Path, *options: str) -> None:
    command = ["docker", "build", "--progress", "plain", "--build-arg", f"MODEL={MODEL}", *options, str(context)]
    subprocess.run(command, env=BUILD, check=True, capture_output=True, text=True)
