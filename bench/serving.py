"""`make bench-serve`: this server and its peers over the same model, in turns, with wrk; writes docs/benchmarks.md.

Every server has one worker on the first core, wrk has the second. `mlflow` serves the registered champion, `mlflow
(scikit-learn)` the same pipeline as MLflow's own scikit-learn flavour logs it; BentoML and a hand-written FastAPI app
(bench/peer_*.py) serve that pipeline too. `bare` is bench/bare.py. Needs wrk (`apt install wrk`), a trained champion, a
quiet machine, and about ten minutes.
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
ROUNDS, SECONDS = 5, 4
CLOSE = 2e-6  # two ways to round a probability


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
    """Start everything, check that all agree, measure in turns, write the page."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt install wrk")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = started(Path(folder), stack)
        agree(servers)
        found: dict[tuple[str, Load], list[dict[str, float]]] = {}
        for turn in range(ROUNDS):
            for load in LOADS:
                for server in servers:
                    if load.rows in server.bodies:
                        found.setdefault((server.name, load), []).append(measured(server, load, Path(folder)))
            print(f"round {turn + 1} of {ROUNDS}", flush=True)
    write(table(servers, found))


def started(folder: Path, stack: ExitStack) -> list[Server]:
    """Each server, answering."""
    rows = golden()
    records = {n: json.dumps({"dataframe_records": [rows[i % len(rows)] for i in range(n)]}).encode() for n in (1, 100)}
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


def golden() -> list[dict[str, Any]]:
    """The bundle's own rows that have everything, so that every peer takes them."""
    from pipeline.runtime.predictor import load

    predictor = load(MODELS)
    return [row for row in predictor.golden.rows[:48] if len(row) == len(predictor.contract.request)]


def as_pipeline(folder: Path, rows: list[dict[str, Any]]) -> tuple[str, dict[int, bytes], dict[int, bytes]]:
    """The champion's pipeline fitted again, saved with MLflow's scikit-learn flavour and with joblib; bodies of its
    features for the one and for the other.
    """
    import joblib
    import mlflow.sklearn

    from pipeline.config.candidates import Candidates
    from pipeline.config.config import load
    from pipeline.data.read import read
    from pipeline.data.split import split
    from pipeline.runtime.arrays import tensors, to_columns
    from pipeline.runtime.dataset import find
    from pipeline.runtime.predictor import load as predictor
    from pipeline.training import estimators

    config = load(ROOT / "configs/flights.yaml")
    told = predictor(MODELS).record
    data = read(config, folder)
    seen = data.examples.take(split(data.key, config.split).search)
    settings = Candidates.model_validate({told["candidate"]: told["settings"]}).named()[told["candidate"]]
    fitted = estimators.fit(settings, seen.data, seen.target, config.train, threads=2)
    columns = to_columns([rows[n % len(rows)] for n in range(100)], config.contract)
    frame = estimators.to_frame(tensors(find("flights").derive(columns), config.contract))
    place = folder / "sklearn"
    mlflow.sklearn.save_model(
        fitted, str(place), serialization_format="cloudpickle", pyfunc_predict_fn="predict_proba",
        pip_requirements=["scikit-learn"],
    )  # fmt: skip
    joblib.dump(fitted, folder / "pipeline.joblib")
    values = frame.astype(object).to_numpy().tolist()
    split_form = {n: {"dataframe_split": {"columns": list(frame), "data": values[:n]}} for n in (1, 100)}
    instances = {n: {"instances": [dict(zip(frame, row, strict=True)) for row in values[:n]]} for n in (1, 100)}
    forms = [{n: json.dumps(body).encode() for n, body in form.items()} for form in (split_form, instances)]
    return str(place), *forms


def wait(server: Server) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            asked(server, next(iter(server.bodies)))
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{server.name} does not answer")


def asked(server: Server, rows: int) -> list[float]:
    """The probabilities that a server gives for its own body."""
    headers = {"content-type": "application/json"}
    url = f"http://127.0.0.1:{server.port}{server.path}"
    said = json.loads(urlopen(Request(url, server.bodies[rows], headers), timeout=10).read())
    answers = said.get("predictions", [said])
    return [each["probability"] if isinstance(each, dict) else each[1] for each in answers]


def agree(servers: list[Server]) -> None:
    """All give the same probabilities, or nothing is measured."""
    for rows in (1, 100):
        given = {server.name: asked(server, rows) for server in servers if rows in server.bodies}
        first, *others = given.values()
        for name, other in zip(list(given)[1:], others, strict=True):
            off = max(abs(a - b) for a, b in zip(first, other, strict=True))
            if off > CLOSE:
                sys.exit(f"{name} gives other probabilities than {next(iter(given))}: off by {off:.2g}")


def measured(server: Server, load: Load, folder: Path) -> dict[str, float]:
    """Requests per second, the 99th percentile, and CPU time of the server's processes per request."""
    script = folder / "wrk.lua"
    body = server.bodies[load.rows].decode().replace("]]", "] ]")
    script.write_text(f'wrk.method="POST"\nwrk.headers["content-type"]="application/json"\nwrk.body=[[{body}]]\n')
    before = cpu(server)
    said = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", f"-c{load.clients}", f"-d{SECONDS}s", "--latency", "-s", str(script),
         f"http://127.0.0.1:{server.port}{server.path}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    spent = cpu(server) - before
    p99 = slowest(said)
    if "Non-2xx" in said or p99 is None:
        sys.exit(f"{server.name} did not answer as it should:\n{said}")
    requests = float(re.search(r"(\d+) requests in", said)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
    return {"rate": rate, "p99": p99, "cpu": spent / requests * 1e6}


def slowest(said: str) -> float | None:
    """The 99th percentile that wrk prints, in milliseconds; after whole seconds and minutes it prints a blank."""
    found = re.search(r"99%\s+([\d.]+)(us|ms|s|m) *\n", said)
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[found[2]] if found else None


def cpu(server: Server) -> float:
    """Seconds that a server and its children have worked."""
    main = psutil.Process(server.process.pid)
    return sum(sum(each.cpu_times()[:2]) for each in [main, *main.children(recursive=True)])


def stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, 15)
    process.wait()


def table(servers: list[Server], found: dict[tuple[str, Load], list[dict[str, float]]]) -> list[str]:
    """Medians, and how many times as fast as each ours is."""
    lines = ["| server | load | requests/s | p99 ms | CPU µs/request | ours is |", "|---|---|---|---|---|---|"]
    for load in LOADS:
        rows = {s.name: median(found[s.name, load]) for s in servers if (s.name, load) in found}
        ours = next(figures for name, figures in rows.items() if name.startswith("serve"))
        for name, figures in rows.items():
            times = "" if name.startswith("serve") else f"{ours['rate'] / figures['rate']:.2g}×"
            what = f"{load.rows} row{'s' * (load.rows > 1)}, {load.clients} clients"
            lines.append(
                f"| {name} | {what} | {figures['rate']:,.0f} | {figures['p99']:.1f} | {figures['cpu']:,.0f} | {times} |"
            )
    bare, ours = (median(found[name, LOADS[1]])["cpu"] for name in ("bare", "serve"))
    log, off = (median(found[name, LOADS[0]])["rate"] for name in ("serve, with its log", "serve"))
    return [
        *lines,
        "",
        f"CPU per request, 1 row, 64 clients, bare ÷ ours: {bare / ours:.2f}. "
        f"Requests per second, 1 row, 8 clients, with the prediction log ÷ without: {log / off:.2f}.",
    ]


def median(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}


def write(lines: list[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- serving -->\n).*?(<!-- /serving -->)", re.DOTALL)
    PAGE.write_text(marked.sub(lambda part: part[1] + "\n".join(lines) + "\n" + part[2], text), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
