"""Starts this project's server in a process of its own, sends it requests over HTTP, and waits for its log events.

The server ends when the process that started it ends, for whatever reason.

This module must not know what is replayed.
"""

import http.client
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from pipeline.errors import PipelineError

# Environment variables that the server inherits; a person's settings, such as MODEL_DIR, are not among them.
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "SYSTEMROOT")
TIMEOUT = 30.0  # seconds
# Runs `serve`, and ends when its standard input closes, which happens when the process that started it ends.
ATTENDED = """
import os, runpy, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
runpy.run_module("serve", run_name="__main__")
"""


class ServerPredictions(NamedTuple):
    """The id of a request, the version of the model that answered it, and one prediction for each row."""

    id: str
    version: str
    predictions: list[float]


class ServerProcess:
    """A running `serve` on a free port.

    Its log lines go to the file `log`. `answered` counts its responses by status. `settings` are environment variables.
    Raises PipelineError if the server does not start.
    """

    def __init__(self, models: Path, log: Path, **settings: str) -> None:
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment |= {"MODEL_DIR": str(models), "PORT": "0", "RELOAD_SECONDS": "0.02", **settings}
        self.answered = Counter[int]()
        self._log = log
        self._events = queue.Queue[dict[str, Any]]()

        self._process = subprocess.Popen(
            [sys.executable, "-c", ATTENDED], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

        if self._process.stdout is None:
            raise PipelineError("a server has no output to read its address from")
        lines = [self._process.stdout.readline() for _ in range(2)]
        address = next((word for word in lines[1].split() if word.startswith("http://")), None)
        if address is None:
            self._process.wait(TIMEOUT)
            raise PipelineError(f"the server of {models} did not start: see {log}")
        self.address = address.removeprefix("http://")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(TIMEOUT)

    def predict(self, rows: Sequence[dict[str, Any]]) -> ServerPredictions:
        """The predictions for a batch of rows: probabilities of a class or of several, values of a regression."""
        response = self.post("/predict/batch", {"rows": rows})
        predictions = [next(iter(prediction.values())) for prediction in response["predictions"]]
        if "classes" in response:
            predictions = [list(of_class.values()) for of_class in predictions]  # in the order of the classes
        return ServerPredictions(response["request_id"], response["version"], predictions)

    def send_labels(self, labels: Sequence[dict[str, Any]]) -> None:
        """Send the labels of earlier predictions. Raises PipelineError if the server does not know one of these."""
        response = self.post("/feedback", labels)
        if response["unknown"]:
            raise PipelineError(f"the server of {self.address} has no prediction for {response['unknown'][0]}")

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """The JSON of the response. Raises PipelineError without a response, or with a status other than 200 or 202."""
        content = json.dumps(body).encode()
        # A new connection for every request, because the server closes an idle one.
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT)
        try:
            connection.request("POST", path, content, {"content-type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise PipelineError(f"{path} of {self.address}: {error!r}. See {self._log}") from error
        finally:
            connection.close()

        self.answered[response.status] += 1
        if response.status not in (200, 202):
            raise PipelineError(f"{path} of {self.address}: {response.status}: {text[:500].decode(errors='replace')}")
        result: dict[str, Any] = json.loads(text)
        return result

    def wait(self, event: str, **facts: str) -> None:
        """Wait until the server logs this event with these fields. Raises PipelineError if it does not in `TIMEOUT`."""
        deadline = time.monotonic() + TIMEOUT
        refused = ""
        while (left := deadline - time.monotonic()) > 0:
            try:
                logged = self._events.get(timeout=left)
            except queue.Empty:
                break
            if logged["event"] == event and all(logged.get(name) == value for name, value in facts.items()):
                return
            refused = logged.get("reason", refused)

        wanted = ", ".join(f"{name} {value}" for name, value in facts.items())
        raise PipelineError(f"{self.address} has not logged {event!r} ({wanted}). {refused} See {self._log}")

    def _read(self) -> None:
        """Copy every log line to the file, and queue the events other than requests."""
        if self._process.stderr is None:
            return

        with self._log.open("w", encoding="utf-8") as file:
            for line in self._process.stderr:
                file.write(line)
                file.flush()
                try:
                    logged = json.loads(line)
                except ValueError:  # a traceback
                    continue
                if isinstance(logged, dict) and logged.get("event", "request") != "request":
                    self._events.put(logged)


@contextmanager
def explaining_meanwhile(address: str, row: dict[str, Any]) -> Iterator[list[int]]:
    """Request explanations one after the other until the body ends; the value is the list of their statuses.

    Explanations are not in the prediction log, so they do not change the replay. Raises PipelineError at the end if a
    request failed or had a status other than 200.
    """
    ended = threading.Event()
    statuses: list[int] = []
    faults: list[str] = []

    def ask() -> None:
        connection = http.client.HTTPConnection(address, timeout=30)
        while not ended.wait(0.1):
            try:
                connection.request("POST", "/explain", json.dumps(row), {"content-type": "application/json"})
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)
            except (OSError, http.client.HTTPException) as error:
                faults.append(repr(error))
                return
        connection.close()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        thread.join(30)

    if faults or set(statuses) - {200}:
        raise PipelineError(f"{address}: a request failed while the champion changed: {faults or set(statuses)}")
