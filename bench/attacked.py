"""The requests of `make test SUITE=hostile`, against the flights: how long, how much memory, and how others fare."""

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "models/flights"


def attacked(work: Path) -> str:
    """The slowest refusal, the most memory of one request, and the slowest request of somebody else meanwhile."""
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    from pipeline.runtime import predictor
    from serve.settings import Settings
    from tests.support.server import serving_process
    from tests.system.hostile.attacks import attacks
    from tests.system.hostile.test_hostile import Server, other_requests

    row = predictor.load(MODEL).golden.rows[0]
    seconds, megabytes, others = [], [], []
    with serving_process(MODEL, LOG_URL=f"sqlite:///{work}/attacked.db") as (client, process):
        server = Server(client, process.pid, row)
        for attack in attacks("flights", row, Settings().max_rows).values():
            body = attack.build()
            before = server.memory("VmRSS")
            server.forget_peak()
            with other_requests(server) as meanwhile:
                began = time.monotonic()
                status = server.send(attack, body).status_code
                seconds.append(time.monotonic() - began)
            assert status in attack.statuses, status
            megabytes.append(server.memory("VmHWM") - before)
            others.append(max(meanwhile))
        kept = server.memory("VmRSS") - server.idle

    slowest, most, waited = 1000 * max(seconds), max(megabytes), 1000 * max(others)
    figures = f"{waited:.0f} ms, {most:.0f} MB; refused within {slowest:.0f} ms"
    return f"{figures}; after all of them {kept:.0f} MB more than idle"
