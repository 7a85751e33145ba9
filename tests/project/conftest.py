"""Scripts of `.ci/` in a folder of their own, with a `gh` that says what GitHub would."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

MODEL = "flights"
Script = Callable[..., Any]


def module_of(path: str) -> Any:
    """A script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs one of our scripts in an empty folder; `gh` is a shell script that is given."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "deploy").mkdir()
    (tmp_path / "reports").mkdir()
    for name in ("git", "gh"):
        (tmp_path / "bin" / name).write_text("#!/usr/bin/env bash\n")
        (tmp_path / "bin" / name).chmod(0o755)

    def run(name: str, gh: str, model: str = MODEL) -> Any:
        (tmp_path / "bin/gh").write_text(f'#!/usr/bin/env bash\necho "gh $*" >>said\n{gh}\n')
        for copied in (name, "model", "pull-request"):
            shutil.copy(ROOT / ".ci" / copied, tmp_path / copied)
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            "MODEL": model,
            "GITHUB_REPOSITORY": "me/mine",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_RUN_ID": "17",
        }
        return subprocess.run([f"./{name}"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run
