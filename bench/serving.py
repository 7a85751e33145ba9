"""`make bench-serve`: measure this server and its peers with the same model, in turns; write docs/benchmarks.md.

Every server has one worker on the first core, wrk has the second. `mlflow` serves the registered champion, and `mlflow
(scikit-learn)` serves the same pipeline as MLflow's own scikit-learn flavour logs it. BentoML and a hand-written
FastAPI app (bench/peer_*.py) serve that pipeline too. `bare` is bench/bare.py. The benchmark needs wrk
(`apt install wrk`), a trained champion, a quiet machine, and about ten minutes.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import psutil

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
BIN = Path(sys.executable).parent
PEERS = ROOT / ".venv-peers/bin"
MODELS = ROOT / "models/flights"
ROUNDS = 5
SECONDS = 4  # of one measurement
CLOSE = 2e-6  # servers round a probability in two ways


class Server(NamedTuple):
    name: str
    process: subprocess.Popen[bytes]
    port: int
    path: str
    bodies: dict[int, bytes]  # by the number of rows


class Load(NamedTuple):
    rows: int
    clients: int


LOADS = [Load(1, 8), Load(1, 64), Load(100, 8)]


def main() -> None:
    """Start all servers, check that their predictions agree, measure them in turns, and write the page."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt install wrk")

    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = start(Path(folder), stack)
        check_agreement(servers)
        results: dict[tuple[str, Load], list[dict[str, float]]] = {}
        for turn in range(ROUNDS):
            for load in LOADS:
                for server in servers:
                    if load.rows in server.bodies:
                        results.setdefault((server.name, load), []).append(measure(server, load, Path(folder)))
            print(f"round {turn + 1} of {ROUNDS}", flush=True)

    write(table(servers, results))


def start(folder: Path, stack: ExitStack) -> list[Server]:
    """Start every server and wait until it is ready; `stack` stops the servers."""
    rows = golden()
    records = {n: records_body(rows, n) for n in (1, 100)}
    one = {1: json.dumps(rows[0]).encode()}
    here = {"MODEL_DIR": str(MODELS), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    record = {**here, "MLFLOW_TRACKING_URI": f"sqlite:///{ROOT}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    sklearn, features, instances = as_pipeline(folder, rows)

    uvicorn = [sys.executable, "-m", "uvicorn", "bare:app", "--app-dir", str(ROOT / "bench"), "--no-access-log"]
    mlflow = [str(BIN / "mlflow"), "models", "serve", "--env-manager", "local", "--port"]
    ours = [sys.executable, "-m", "serve"]
    fastapi = [str(PEERS / "uvicorn"), "peer_fastapi:app", "--app-dir", str(ROOT / "bench"), "--no-access-log"]
    bento = [str(PEERS / "bentoml"), "serve", "peer_bentoml:Flights", "--working-dir", str(ROOT / "bench")]
    peer = {"PIPELINE": f"{folder}/pipeline.joblib", "BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": f"{folder}/bento"}
    commands = {
        "serve": (ours, {**here, "PORT": "8101"}, 8101, "/predict", one),
        "serve, with its log": (
            ours, {**here, "PORT": "8108", "LOG_URL": f"sqlite:///{folder}/log.db"}, 8108, "/predict", one
        ),
        "serve, many": (ours, {**here, "PORT": "8102"}, 8102, "/invocations", {100: records[100]}),
        "bare": ([*uvicorn, "--port", "8103"], here, 8103, "/predict", one),
        "mlflow": ([*mlflow, "8104", "-m", "models:/flights@champion"], record, 8104, "/invocations", records),
        "mlflow (scikit-learn)": ([*mlflow, "8105", "-m", sklearn], here, 8105, "/invocations", features),
        "FastAPI, scikit-learn": ([*fastapi, "--port", "8106"], peer, 8106, "/predict", instances),
        "BentoML": ([*bento, "--port", "8107"], peer, 8107, "/predict", instances),
    }  # fmt: skip

    servers = []
    for name, (command, environment, port, path, bodies) in commands.items():
        process = subprocess.Popen(
            ["taskset", "-c", "0", *command],
            cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        stack.callback(stop, process)
        servers.append(Server(name, process, port, path, bodies))
    for server in servers:
        wait(server)
    return servers


def records_body(rows: list[dict[str, Any]], count: int) -> bytes:
    """A body of so many rows in MLflow's form `dataframe_records`."""
    return json.dumps({"dataframe_records": [rows[n % len(rows)] for n in range(count)]}).encode()


def golden() -> list[dict[str, Any]]:
    """The golden rows of the bundle without a missing value, because every peer accepts those."""
    from pipeline.runtime.predictor import load

    predictor = load(MODELS)
    return [row for row in predictor.golden.rows[:48] if len(row) == len(predictor.contract.request)]


def as_pipeline(folder: Path, rows: list[dict[str, Any]]) -> tuple[str, dict[int, bytes], dict[int, bytes]]:
    """Fit the champion's pipeline again and save it with MLflow's scikit-learn flavour and with joblib.

    Returns MLflow's folder, and bodies with the pipeline's features: for MLflow, and for the peers that load joblib's
    file. The keys of the bodies are numbers of rows.
    """
    import joblib
    import mlflow.sklearn

    from pipeline.config.candidates import Candidates
    from pipeline.config.config import load
    from pipeline.data import masking
    from pipeline.data.read import read
    from pipeline.data.split import split
    from pipeline.runtime.arrays import tensors, to_columns
    from pipeline.runtime.dataset import find
    from pipeline.runtime.predictor import load as predictor
    from pipeline.training import estimators

    config = load(ROOT / "configs/flights.yaml")
    record = predictor(MODELS).record
    data = read(config, folder)
    search = split(data.key, config.split).search
    train = masking.with_copies(data.examples.take(search), masking.make_copies(config, data), search)
    settings = Candidates.model_validate({record["candidate"]: record["settings"]}).named()[record["candidate"]]
    fitted = estimators.fit(settings, train.data, train.target, config.train, threads=2)

    columns = to_columns([rows[n % len(rows)] for n in range(100)], config.contract)
    frame = estimators.to_frame(tensors(find("flights").derive(columns), config.contract))
    place = folder / "sklearn"
    mlflow.sklearn.save_model(
        fitted, str(place), serialization_format="cloudpickle", pyfunc_predict_fn="predict_proba",
        pip_requirements=["scikit-learn"],
    )  # fmt: skip
    joblib.dump(fitted, folder / "pipeline.joblib")

    values = frame.astype(object).to_numpy().tolist()
    instances = [dict(zip(frame, row, strict=True)) for row in values]
    for_mlflow = {}
    for_joblib = {}
    for n in (1, 100):
        for_mlflow[n] = json.dumps({"dataframe_split": {"columns": list(frame), "data": values[:n]}}).encode()
        for_joblib[n] = json.dumps({"instances": instances[:n]}).encode()
    return str(place), for_mlflow, for_joblib


def wait(server: Server) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            predictions(server, next(iter(server.bodies)))
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{server.name} does not answer")


def predictions(server: Server, rows: int) -> list[float]:
    """The probabilities that a server predicts for its own body of so many rows."""
    headers = {"content-type": "application/json"}
    url = f"http://127.0.0.1:{server.port}{server.path}"
    response = json.loads(urlopen(Request(url, server.bodies[rows], headers), timeout=10).read())
    items = response.get("predictions", [response])
    return [item["probability"] if isinstance(item, dict) else item[1] for item in items]


def check_agreement(servers: list[Server]) -> None:
    """Exit where two servers predict different probabilities: their speeds could not be compared."""
    for rows in (1, 100):
        by_server = {server.name: predictions(server, rows) for server in servers if rows in server.bodies}
        first, *others = by_server.values()
        for name, other in zip(list(by_server)[1:], others, strict=True):
            difference = max(abs(a - b) for a, b in zip(first, other, strict=True))
            if difference > CLOSE:
                sys.exit(f"{name} gives other probabilities than {next(iter(by_server))}: off by {difference:.2g}")


def measure(server: Server, load: Load, folder: Path) -> dict[str, float]:
    """Requests per second, the 99th percentile in ms, and CPU time of the server's processes per request in µs."""
    script = folder / "wrk.lua"
    body = server.bodies[load.rows].decode().replace("]]", "] ]")
    script.write_text(f'wrk.method="POST"\nwrk.headers["content-type"]="application/json"\nwrk.body=[[{body}]]\n')

    before = cpu(server)
    output = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", f"-c{load.clients}", f"-d{SECONDS}s", "--latency", "-s", str(script),
         f"http://127.0.0.1:{server.port}{server.path}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    spent = cpu(server) - before

    p99 = slowest(output)
    if "Non-2xx" in output or p99 is None:
        sys.exit(f"{server.name} did not answer as it should:\n{output}")
    requests = float(re.search(r"(\d+) requests in", output)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    return {"rate": rate, "p99": p99, "cpu": spent / requests * 1e6}


def slowest(output: str) -> float | None:
    """The 99th percentile that wrk prints, in ms, or None. After whole seconds or minutes wrk prints a blank."""
    match = re.search(r"99%\s+([\d.]+)(us|ms|s|m) *\n", output)
    if match is None:
        return None
    return float(match[1]) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[match[2]]


def cpu(server: Server) -> float:
    """The CPU time of a server and its child processes, in seconds."""
    main = psutil.Process(server.process.pid)
    return sum(sum(process.cpu_times()[:2]) for process in [main, *main.children(recursive=True)])


def stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, 15)
    process.wait()


def table(servers: list[Server], results: dict[tuple[str, Load], list[dict[str, float]]]) -> list[str]:
    """The lines of the page: medians, and how many times the rate of each peer this server's rate is."""
    lines = ["| server | load | requests/s | p99 ms | CPU µs/request | ours is |", "|---|---|---|---|---|---|"]
    for load in LOADS:
        rows = {s.name: median(results[s.name, load]) for s in servers if (s.name, load) in results}
        ours = next(figures for name, figures in rows.items() if name.startswith("serve"))
        for name, figures in rows.items():
            times = "" if name.startswith("serve") else f"{ours['rate'] / figures['rate']:.2g}×"
            title = f"{load.rows} row{'s' * (load.rows > 1)}, {load.clients} clients"
            numbers = f"{figures['rate']:,.0f} | {figures['p99']:.1f} | {figures['cpu']:,.0f}"
            lines.append(f"| {name} | {title} | {numbers} | {times} |")

    bare_cpu = median(results["bare", LOADS[1]])["cpu"]
    our_cpu = median(results["serve", LOADS[1]])["cpu"]
    rate_with_log = median(results["serve, with its log", LOADS[0]])["rate"]
    rate_without_log = median(results["serve", LOADS[0]])["rate"]
    return [
        *lines,
        "",
        f"CPU per request, 1 row, 64 clients, bare ÷ ours: {bare_cpu / our_cpu:.2f}. Requests per second, 1 row, "
        f"8 clients, with the prediction log ÷ without: {rate_with_log / rate_without_log:.2f}.",
    ]


def median(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure over the rounds."""
    medians = {}
    for key in rounds[0]:
        medians[key] = statistics.median(figures[key] for figures in rounds)
    return medians


def write(lines: list[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- serving -->\n).*?(<!-- /serving -->)", re.DOTALL)
    PAGE.write_text(marked.sub(lambda part: part[1] + "\n".join(lines) + "\n" + part[2], text), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
