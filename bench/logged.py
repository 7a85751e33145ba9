"""The cost of the prediction log: rows that it drops at a steady rate, and memory."""

import asyncio
import json
import time
from pathlib import Path

import psutil
from answering import MIB, serving

RATE = 2000  # requests per second
SECONDS = 20
CONNECTIONS = 8


def logged(work: Path) -> str:
    """One-row requests at a steady rate, without a log and with one: rows dropped and written, p99, memory."""
    from urllib.request import urlopen

    from pipeline.runtime.predictor import load

    body = json.dumps(load(work / "models/flights").golden.rows[0]).encode()
    held = []
    slowest = []
    counts = {}
    for url in ("", f"sqlite:///{work}/log.db"):
        with serving(work, LOG_URL=url) as process:
            took = asyncio.run(steady(body))
            held.append(psutil.Process(process.pid).memory_full_info().uss / MIB)
            slowest.append(sorted(took)[len(took) * 99 // 100] * 1000)
            time.sleep(1)  # so that rows that wait in the queue are written
            lines = urlopen("http://127.0.0.1:8765/metrics").read().decode().splitlines()
            counts = {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith(("log_d", "logged"))}

    dropped = counts["log_dropped_rows_total"]
    written = counts["logged_rows_total"]
    return (
        f"{dropped:.0f} of {dropped + written:,.0f} dropped; {held[1] - held[0]:.0f} MiB; p99 {slowest[1]:.1f} ms, "
        f"without {slowest[0]:.1f} ms"
    )


async def steady(body: bytes) -> list[float]:
    """Seconds that each request took, from the moment that it was due."""
    lines = ["POST /predict HTTP/1.1", "host: here", "content-type: application/json", f"content-length: {len(body)}"]
    request = "\r\n".join([*lines, "", ""]).encode() + body
    took = []
    begin = time.perf_counter() + 0.1

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", 8765)
        for n in range(number, RATE * SECONDS, CONNECTIONS):
            due = begin + n / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(request)

            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
    return took
