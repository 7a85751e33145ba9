"""Who may import whom, by folders: read from the source, and in fresh processes."""

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support import ROOT
from tests.support.toy import Toy, in_folder

# Each may import those before it, and its own.
ROOMS = [
    {"errors", "console", "plotting"},
    {"runtime"},
    {"evaluation"},
    {"candidates"},
    {"datasets", "config"},
    {"data"},
    {"registry"},
    {"monitoring"},
    {"training"},
    {"replay", "onboarding", "scoring"},
    {"__main__"},
]
SERVER = [
    {"attempts", "accept"},
    {"errors", "settings", "schemas", "telemetry"},
    {"openapi", "messages", "healthcheck"},
    {"limits", "lanes", "browsers", "pieces"},
    {"validation"},
    {"model", "connections"},
    {"protocols", "reload"},
    {"page"},
    {"routes"},
    {"asgi"},
    {"app"},
    {"__main__"},
]
HEAVY = {
    "pandas", "sklearn", "mlflow", "scipy", "matplotlib", "skl2onnx", "onnx", "pandera", "yaml", "typer", "rich",
    "joblib", "optuna",
}  # fmt: skip
ONLY = {  # a library is the business of these
    "mlflow": {
        "pipeline/registry/mlflow_model.py",
        "pipeline/registry/mlflow_store.py",
        "pipeline/registry/mlflow_versions.py",
    },
    "skl2onnx": {"pipeline/training/export/onnx.py"},
    "onnxruntime": {"pipeline/runtime/predictor.py"},
    "pandera": {"pipeline/data/clean.py"},
    "optuna": {"pipeline/training/search.py"},
    "yaml": {"pipeline/config/yaml_reader.py", "pipeline/onboarding/write.py"},
    "typer": {"pipeline/__main__.py"},
    "matplotlib": {
        "pipeline/plotting.py",
        "pipeline/monitoring/plots.py",
        "pipeline/replay/report.py",
    },
    "sqlalchemy": {  # the record alone catches what MLflow lets through of it
        "pipeline/runtime/database.py",
        "pipeline/runtime/prediction_log.py",
        "pipeline/registry/mlflow_store.py",
    },
}


def sources() -> dict[str, ast.Module]:
    """Every module of ours by its path below its root."""
    roots = {ROOT / "src": "pipeline", ROOT: "serve"}
    paths = {path.relative_to(root): path for root, name in roots.items() for path in (root / name).rglob("*.py")}
    return {str(short): ast.parse(path.read_text()) for short, path in paths.items()}


SOURCES = sources()


def imports(module: ast.Module) -> Iterator[str]:
    """Dotted names, those inside functions too."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor(room: str, house: list[set[str]]) -> int:
    (number,) = (number for number, rooms in enumerate(house) if room in rooms)
    return number


@pytest.mark.parametrize(("package", "house"), [("pipeline", ROOMS), ("serve", SERVER)])
def test_each_room_imports_only_rooms_before_it(package: str, house: list[set[str]]) -> None:
    upwards = []
    for path, module in SOURCES.items():
        own_package, own, *_ = path.removesuffix(".py").split("/")
        if own_package != package or own == "__init__":
            continue
        for name in imports(module):
            imported_package, _, rest = name.partition(".")
            room = rest.partition(".")[0]
            if imported_package == package and room != own and floor(room, house) >= floor(own, house):
                upwards.append(f"{path} imports {name}")
    assert upwards == []


def test_the_server_imports_of_the_pipeline_what_answers_and_its_errors() -> None:
    for path, module in SOURCES.items():
        if path.startswith("serve/"):
            rooms = {".".join(name.split(".")[:2]) for name in imports(module) if name.startswith("pipeline")}
            assert rooms <= {"pipeline.runtime", "pipeline.errors"}, path


def test_few_files_lie_flat_in_the_pipeline() -> None:
    assert len(list((ROOT / "src/pipeline").glob("*.py"))) <= 8


@pytest.mark.parametrize("room", ["pipeline/runtime", "pipeline/evaluation", "pipeline/datasets", "serve"])
def test_what_serves_imports_nothing_that_trains(room: str) -> None:
    modules = [path.removesuffix(".py").replace("/", ".") for path in SOURCES if path.startswith(f"{room}/")]
    assert modules
    loaded = loaded_by(*(module.removesuffix(".__init__") for module in modules))
    assert not loaded & HEAVY
    assert "pipeline.config" not in loaded


def test_a_training_draws_its_report_without_matplotlib(toy: Toy) -> None:
    """Importing it would take a second."""
    overrides = [f"--set={text}" for text in [*in_folder(toy.folder), *toy.overrides]]
    words = ["train", str(toy.folder / "toy.yaml"), *overrides]
    code = f"import sys; from pipeline.__main__ import app; app({words!r}, standalone_mode=False); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = ended.stdout.splitlines()[-1].split()
    assert "pipeline.training.report_page.page" in loaded
    assert "matplotlib" not in loaded


def test_help_imports_nothing_heavy() -> None:
    assert not loaded_by("pipeline.__main__") & (HEAVY - {"typer", "rich"})


def loaded_by(*modules: str) -> set[str]:
    """Top-level names and our own modules that a fresh process has after importing these."""
    code = f"import sys, importlib; [importlib.import_module(name) for name in {modules!r}]; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    names = set(printed.split())
    return {name.split(".")[0] for name in names} | {name for name in names if name.startswith(("pipeline.", "serve."))}


@pytest.mark.parametrize(("library", "files"), ONLY.items())
def test_one_library_is_one_files_business(library: str, files: set[str]) -> None:
    users = {path for path, module in SOURCES.items() if library in {name.split(".")[0] for name in imports(module)}}
    assert users == files


def test_database_engines_are_made_in_one_place() -> None:
    makers = {path for path, module in SOURCES.items() if "create_engine" in ast.unparse(module)}
    assert makers == {"pipeline/runtime/database.py"}


def test_only_settings_read_the_environment_of_the_server() -> None:
    users = {
        path for path, module in SOURCES.items() if path.startswith("serve/") and "os.environ" in ast.unparse(module)
    }
    assert users == {"serve/__main__.py", "serve/healthcheck.py", "serve/settings.py"}  # the two hand it to settings
