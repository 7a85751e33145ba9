"""Who imports whom, each time in a fresh process or read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

HEAVY = {
    "pandas",
    "sklearn",
    "mlflow",
    "scipy",
    "matplotlib",
    "skl2onnx",
    "onnx",
    "pandera",
    "yaml",
    "typer",
    "rich",
    "joblib",
    "optuna",
}
LIGHT = [
    "schema",
    "request",
    "store",
    "workplace",
    "predict",
    "explain",
    "errors",
    "memory",
    "log",
    "refresh",
    "evaluation.metrics",
    "evaluation.bootstrap",
    "evaluation.slices",
    "datasets",
    "datasets.flights",
    "datasets.table",
]


def imported_by(module: str) -> set[str]:
    """Top-level names and our own modules that a fresh process has after importing one."""
    code = f"import sys, importlib; importlib.import_module({module!r}); print(' '.join(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    names = set(said.stdout.split())
    return {name.split(".")[0] for name in names} | {name for name in names if name.startswith(("pipeline.", "serve."))}


@pytest.mark.parametrize("module", ["serve.app", "serve.__main__", *(f"pipeline.{name}" for name in LIGHT)])
def test_what_serves_imports_nothing_that_trains(module: str) -> None:
    found = imported_by(module)
    assert not found & HEAVY
    assert "pipeline.config" not in found


def test_help_imports_nothing_heavy() -> None:
    assert not imported_by("pipeline.__main__") & (HEAVY - {"typer", "rich"})


@pytest.mark.parametrize(
    ("library", "only"),
    [
        ("mlflow", {"registry.py", "mlflow_model.py"}),
        ("skl2onnx", {"export.py"}),
        ("onnxruntime", {"predict.py"}),
        ("pandera", {"clean.py"}),
        ("matplotlib", {"pictures.py", "timelines.py"}),
        ("typer", {"__main__.py"}),
        ("sqlalchemy", {"log.py", "registry.py"}),
        ("yaml", {"yamlfile.py"}),
        ("optuna", {"search.py"}),
    ],
)
def test_one_library_is_one_files_business(library: str, only: set[str]) -> None:
    users = {path.name for path in (ROOT / "src").rglob("*.py") if library in imports(path)}
    users |= {f"serve/{path.name}" for path in (ROOT / "serve").rglob("*.py") if library in imports(path)}
    assert users == only


def test_only_settings_read_the_environment_of_the_server() -> None:
    users = {path.name for path in (ROOT / "serve").glob("*.py") if "os.environ" in path.read_text()}
    assert users == {"__main__.py", "health.py", "settings.py"}  # the others hand it over, settings read it


def test_nothing_outside_the_flights_knows_a_column_of_theirs() -> None:
    names = {
        "carrier",
        "scheduled_departure",
        "scheduled_minutes",
        "visib",
        "wind_dir",
        "dep_delay",
        "arr_delay",
        "dest",
    }
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "serve").rglob("*.py")]:
        if path.name != "flights.py":
            words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
            assert not words & names, path


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found
