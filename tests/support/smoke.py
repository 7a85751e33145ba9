"""One training of configs/smoke.yaml."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT
from tests.support.toy import in_folder


class Smoke:
    """One training of configs/smoke.yaml by its command: its config, what it printed, and where it wrote."""

    def __init__(self, folder: Path) -> None:
        from pipeline.config.config import load

        self.folder = folder
        self.config = load(ROOT / "configs" / "smoke.yaml", in_folder(folder))
        printed = folder / "printed.txt"
        if not printed.exists():
            printed.write_text(trained("configs/smoke.yaml", folder), encoding="utf-8")
        self.printed = printed.read_text(encoding="utf-8")
        self.store = folder / "models" / self.config.name
        self.bundle = self.store / (self.store / "champion").read_text().strip()


def trained(config: str, folder: Path, *overrides: str, **environment: str) -> str:
    """What a training by command prints."""
    words = [word for override in [*in_folder(folder), *overrides] for word in ("--set", override)]
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", "train", config, *words],
        env={**os.environ, "COLUMNS": "160", **environment}, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
