"""The cost of the prediction log: rows that it drops, memory, CPU and p99 beside the same server without it."""

import asyncio
import json
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import psutil
from answering import MIB, serving

BURSTS = 20
SECONDS = 2
CONNECTIONS = 8
PORTS = (8765, 8766)


def logged(work: Path) -> str:
    """Two servers, without a log and with one, get bursts of one-row requests in turn at half of the largest rate.

    Returns rows dropped and written, memory that the log takes, the median of the ratios of CPU seconds of the
    answering process with the quartiles of those ratios, and p99.
    """
    from pipeline.runtime.predictor import load

    body = json.dumps(load(work / "models/flights").golden.rows[0]).encode()
    cpu: dict[int, list[float]] = {port: [] for port in PORTS}
    took: dict[int, list[float]] = {port: [] for port in PORTS}
    with ExitStack() as servers:
        processes = {}
        for port, url in zip(PORTS, ("", f"sqlite:///{work}/log.db"), strict=True):
            server = servers.enter_context(serving(work, LOG_URL=url, PORT=str(port)))
            processes[port] = psutil.Process(server.pid)
            asyncio.run(burst(port, body, 0))
        rate = len(asyncio.run(burst(PORTS[0], body, 0))) / SECONDS / 2

        for turn in range(BURSTS):
            for port in PORTS if turn % 2 else PORTS[::-1]:
                before = sum(processes[port].cpu_times()[:2])  # of the answering process
                took[port] += asyncio.run(burst(port, body, rate))
                time.sleep(1)  # so that rows that wait in the queue are written
                cpu[port].append(sum(processes[port].cpu_times()[:2]) - before)

        memory = [whole_memory(process) for process in processes.values()]
        lines = urlopen(f"http://127.0.0.1:{PORTS[1]}/metrics").read().decode().splitlines()

    counts = {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith(("log_d", "logged"))}
    dropped = counts["log_dropped_rows_total"]
    rows = dropped + counts["logged_rows_total"]
    ratios = [with_log / without for without, with_log in zip(*cpu.values(), strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    p99 = [statistics.quantiles(seconds, n=100)[-1] * 1000 for seconds in took.values()]
    return (
        f"{dropped:.0f} of {rows:,.0f} dropped; {memory[1] - memory[0]:.0f} MiB; at {rate:,.0f} requests/s "
        f"CPU {middle:.2f} of without (quartiles {low:.2f} to {high:.2f}), p99 {p99[1]:.1f} ms, without {p99[0]:.1f} ms"
    )


def whole_memory(server: psutil.Process) -> float:
    """The memory of a server and of the process that writes its log, in MiB, without what they share with others."""
    return float(sum(process.memory_full_info().uss for process in [server, *server.children()]) / MIB)


async def burst(port: int, body: bytes, rate: float) -> list[float]:
    """Seconds that each request of SECONDS took, from the moment that it was due; rate 0 is as fast as it goes."""
    lines = ["POST /predict HTTP/1.1", "host: here", "content-type: application/json", f"content-length: {len(body)}"]
    request = "\r\n".join([*lines, "", ""]).encode() + body
    took = []
    begin = time.perf_counter() + 0.1

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = 0
        while True:
            due = begin + (number + sent * CONNECTIONS) / rate if rate else max(begin, time.perf_counter())
            if due >= begin + SECONDS:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(request)
            sent += 1

            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
    return took
