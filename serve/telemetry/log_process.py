"""The process that writes the prediction log, and the server's handle on it.

Records, statements and commits cost more than a fifth of a prediction. In a thread they would also take the
interpreter's lock from the requests that are being answered. The two talk JSON over a pair of sockets; the process ends
when the server's end is closed, however the server ends. It knows nothing about HTTP.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pipeline.runtime.contract import Contract

PIECE_ROWS = 200  # of one message: while the server makes it, nothing else runs there
PATIENCE = 5.0  # seconds that the process has to end by itself
START = "import sys; sys.path[:] = {path}; from serve.telemetry.log_process import main; main({descriptor})"


class LogSource(NamedTuple):
    """The model whose predictions are logged. `private` columns are not written, `time_column` may be empty."""

    model: str
    version: str
    time_column: str
    private: Sequence[str]

    @classmethod
    def of(cls, contract: "Contract", version: str) -> "LogSource":
        timing = contract.timing
        return cls(contract.name, version, timing.time if timing else "", sorted(contract.private))


class PredictionBatch(NamedTuple):
    """The predictions for one request and their rows.

    `time` is in seconds since 1970; `rolling_day` is the day of the rolling features; `first` is the number of the
    first row in its request.
    """

    id: str
    time: float
    source: LogSource
    rows: Sequence[Mapping[str, Any]]
    predictions: Sequence[Any]
    rolling_day: str | None = None
    first: int = 0


class LogWriteError(Exception):
    """The database refused what the process tried to write. The process works on."""


class LogProcess:
    """The server's handle.

    A method raises LogWriteError with the database's reason, and OSError or EOFError where the process has died.
    """

    def __init__(self, url: str) -> None:
        """Start the process. `url` is the database's; it is not passed on the command line, which others can read."""
        ours, theirs = socket.socketpair()
        self._connection = Connection(ours.detach())
        with theirs:
            number = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-c", START.format(path=sys.path, descriptor=number)],
                pass_fds=[number],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._connection.send_bytes(url.encode())

    def write(self, batches: Iterable[PredictionBatch]) -> None:
        """Write predictions in one transaction: all of them or none."""
        for piece in pieces(batches):
            self._connection.send_bytes(message(piece))
        self._finish()

    def store_labels(self, labels: Sequence[tuple[str, int, float]]) -> list[tuple[str, int]]:
        """Store labels as (request id, row, label). Returns the (request id, row) without a prediction."""
        self._connection.send_bytes(json.dumps({"labels": labels}).encode())
        return [(request_id, row) for request_id, row in self._finish()]

    def close(self) -> None:
        """Let the process end what it writes, and end it after PATIENCE."""
        with suppress(OSError):
            self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End the process at once. Its transaction is lost."""
        self._process.kill()
        self._process.wait()

    def _finish(self) -> list[Any]:
        self._connection.send_bytes(b"")
        reply = json.loads(self._connection.recv_bytes())
        if "failure" in reply:
            raise LogWriteError(reply["failure"])
        unknown: list[Any] = reply["unknown"]
        return unknown


def pieces(batches: Iterable[PredictionBatch]) -> Iterator[list[PredictionBatch]]:
    """The batches in lists of about PIECE_ROWS rows. A larger batch is cut."""
    piece: list[PredictionBatch] = []
    rows = 0
    for batch in batches:
        for part in parts(batch):
            piece.append(part)
            rows += len(part.rows)
            if rows >= PIECE_ROWS:
                yield piece
                piece = []
                rows = 0
    if piece:
        yield piece


def parts(batch: PredictionBatch) -> Iterator[PredictionBatch]:
    """A batch in parts of PIECE_ROWS rows at most."""
    if len(batch.rows) <= PIECE_ROWS:
        yield batch
        return
    for first in range(0, len(batch.rows), PIECE_ROWS):
        rows = batch.rows[first : first + PIECE_ROWS]
        predictions = batch.predictions[first : first + PIECE_ROWS]
        yield batch._replace(rows=rows, predictions=predictions, first=first)


def message(batches: Sequence[PredictionBatch]) -> bytes:
    """A line with all but the inputs, and a line of JSON for each row's inputs, which is stored as it is.

    The values of private columns are not in it.
    """
    from pydantic_core import to_json  # six times as fast as json; the process does without its 6 MB

    heads = []
    inputs = []
    for batch in batches:
        source = batch.source
        times = [row.get(source.time_column) for row in batch.rows]
        fields = (batch.id, batch.time, source.model, source.version, batch.rolling_day, batch.first)
        heads.append((*fields, times, batch.predictions))
        for row in batch.rows:
            sent = {name: row[name] for name in row if name not in source.private} if source.private else row
            inputs.append(to_json(sent))
    return b"\n".join([to_json({"predictions": heads}), *inputs])


def main(descriptor: int) -> None:
    """The process: write what arrives at the socket until its other end is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server ends first, and what it still sends is written

    with suppress(EOFError, OSError), Connection(descriptor) as connection:
        answer(connection)


def answer(connection: Connection) -> None:
    """Write each transaction that arrives and reply. Raises EOFError when the other end is closed."""
    from pipeline.runtime import prediction_log

    os.nice(5)  # where cores are few, requests go first
    url = connection.recv_bytes().decode()
    engine: Any = None
    while True:
        records, labels = receive(connection)
        try:
            engine = engine or prediction_log.connect(url)
            prediction_log.write(engine, records)
            unknown = prediction_log.store_labels(engine, labels, prediction_log.now()) if labels else []
            reply: dict[str, Any] = {"unknown": unknown}
        except Exception as error:  # noqa: BLE001 -- reason: the server decides, whatever the error
            reply = {"failure": f"{type(error).__name__}: {error}"}
        connection.send_bytes(json.dumps(reply).encode())


def receive(connection: Connection) -> tuple[list[dict[str, Any]], list[tuple[str, int, float]]]:
    """The records and labels of the next transaction, which an empty message ends."""
    records: list[dict[str, Any]] = []
    labels: list[tuple[str, int, float]] = []
    while content := connection.recv_bytes():
        head, *inputs = content.decode().split("\n")
        fields = json.loads(head)
        records += log_rows(fields.get("predictions", []), iter(inputs))
        for request_id, row, label in fields.get("labels", []):
            labels.append((request_id, row, label))
    return records, labels


def log_rows(heads: Iterable[Sequence[Any]], inputs: Iterator[str]) -> list[dict[str, Any]]:
    """The rows of the log's table for the batches of a message."""
    records = []
    for request_id, seconds, model, version, rolling_day, first, times, predictions in heads:
        predicted_at = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
        same = {"request_id": request_id, "time": predicted_at, "model": model, "version": version}
        same["memory"] = rolling_day

        for number, (time, prediction) in enumerate(zip(times, predictions, strict=True), start=first):
            at = datetime.fromisoformat(time) if time else predicted_at
            answer, probabilities = prediction, None
            if isinstance(prediction, list):
                answer, probabilities = prediction.index(max(prediction)), json.dumps(prediction)
            row = {"row": number, "at": at, "inputs": next(inputs), "answer": answer, "probabilities": probabilities}
            records.append(same | row)
    return records
