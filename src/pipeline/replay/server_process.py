"""A server of ours in a process of its own, asked over HTTP; what it says of itself is waited for, not slept for. It
ends with whoever started it, however that one ends.
"""

import http.client
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from pipeline.errors import PipelineError

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "SYSTEMROOT")  # of the environment: no person's settings
PATIENCE = 30.0  # seconds
# `serve`, which ends when whoever started it is gone: then nobody holds the other end of its input any longer.
ATTENDED = """
import os, runpy, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
runpy.run_module("serve", run_name="__main__")
"""


class ServerPredictions(NamedTuple):
    """The id of a request, the version that answered, and an answer for each row."""

    id: str
    version: str
    predictions: list[float]


class ServerProcess:
    """`serve` on a port that the system chose. `log` takes its lines; `answered` counts requests by their status."""

    def __init__(self, models: Path, log: Path, **settings: str) -> None:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"MODEL_DIR": str(models), "PORT": "0", "RELOAD_SECONDS": "0.02", **settings}
        self.answered: dict[int, int] = {}
        self._log, self._said = log, queue.Queue[dict[str, Any]]()
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
            self._process.wait(PATIENCE)
            raise PipelineError(f"the server of {models} did not start: see {log}")
        self.address = address.removeprefix("http://")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(PATIENCE)

    def predict(self, rows: Sequence[dict[str, Any]]) -> ServerPredictions:
        """The answers to a batch of rows."""
        told = self.post("/predict/batch", {"rows": rows})
        name = "probability" if "threshold" in told else "value"
        answers = [each[name] for each in told["predictions"]]
        return ServerPredictions(told["request_id"], told["version"], answers)

    def send_labels(self, labels: Sequence[dict[str, Any]]) -> None:
        """What came of predictions."""
        told = self.post("/feedback", labels)
        if told["unknown"]:
            raise PipelineError(f"the server of {self.address} has no prediction for {told['unknown'][0]}")

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """Raises PipelineError for anything but an answer."""
        content = json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)  # a kept one would end while idle
        try:
            connection.request("POST", path, content, {"content-type": "application/json"})
            reply = connection.getresponse()
            found = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise PipelineError(f"{path} of {self.address}: {error!r}. See {self._log}") from error
        finally:
            connection.close()
        self.answered[reply.status] = self.answered.get(reply.status, 0) + 1
        if reply.status not in (200, 202):
            raise PipelineError(f"{path} of {self.address}: {reply.status}: {found[:500].decode(errors='replace')}")
        read: dict[str, Any] = json.loads(found)
        return read

    def wait(self, event: str, **facts: str) -> None:
        """Until the server has said this. Raises PipelineError where it has not within half a minute."""
        until, refused = time.monotonic() + PATIENCE, ""
        while (left := until - time.monotonic()) > 0:
            try:
                said = self._said.get(timeout=left)
            except queue.Empty:
                break
            if said["event"] == event and all(said.get(name) == value for name, value in facts.items()):
                return
            refused = said.get("reason", refused)
        wanted = ", ".join(f"{name} {value}" for name, value in facts.items())
        raise PipelineError(f"{self.address} has not said {event!r} ({wanted}). {refused} See {self._log}")

    def _read(self) -> None:
        """Every line to the file; what is no request is news."""
        if self._process.stderr is None:
            return
        with self._log.open("w", encoding="utf-8") as file:
            for line in self._process.stderr:
                file.write(line)
                file.flush()
                try:
                    said = json.loads(line)
                except ValueError:  # a traceback
                    continue
                if isinstance(said, dict) and said.get("event", "request") != "request":
                    self._said.put(said)
