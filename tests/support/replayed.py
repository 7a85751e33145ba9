"""A whole replay of the tiny problem."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.replay import replay, report
from tests.support.timed import config_in, made

TURNS = 36  # the day from which on there are more of the good ones


class Replayed:
    """A replay of a world that turns round, what it printed and what it wrote."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        config = config_in(folder, made(TURNS))
        self.printed = StringIO()
        out = Console(file=self.printed, width=80)
        self.played = replay.run(config, None, out)
        report.publish(config, self.played, out)
        self.told: dict[str, Any] = json.loads((self.played.folder / "replay.json").read_text())

    def happened(self) -> list[str]:
        return [event.kind for event in self.played.events]
