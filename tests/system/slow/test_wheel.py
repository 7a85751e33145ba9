"""The wheel has all that runs, and runs without this folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.parcels import Parcels
from tests.support.server import serving

BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel brings, built from a copy, since building leaves files behind."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("src", "serve"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-c", BUILD, str(target)], cwd=source, check=True, capture_output=True)
    (wheel,) = target.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    return target


def test_every_file_of_the_packages_is_in_the_wheel(installed: Path) -> None:
    for root, package in ((ROOT / "src", "pipeline"), (ROOT, "serve")):
        files = [path for path in (root / package).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert [path for path in files if not (installed / path.relative_to(root)).exists()] == []


def test_the_installed_server_answers_and_shows_its_page(parcels: Parcels, installed: Path, tmp_path: Path) -> None:
    with serving(parcels.store, cwd=tmp_path, PYTHONPATH=str(installed)) as client:
        page = client.get("/", headers={"accept": "text/html"}).raise_for_status().text
        assert client.get("/web/style.css").status_code == 200
    assert "<form" in page


def test_the_installed_monitor_has_its_page(installed: Path, tmp_path: Path) -> None:
    code = "from pipeline.monitoring import report; print(report.__file__); print(report.template().name)"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(installed)}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    file, template = ended.stdout.splitlines()
    assert (Path(file).is_relative_to(installed), template) == (True, "monitor.html")
