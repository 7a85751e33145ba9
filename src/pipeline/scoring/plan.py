"""What a scoring is asked for: the bundle, the files, and the hidden folder in which it works."""

from glob import glob, has_magic
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config.config import Config
from pipeline.errors import ConfigError
from pipeline.registry import mlflow_store, mlflow_versions, promotion
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import json_bytes


class Plan(NamedTuple):
    """What decides the results: the bundle, the files with their sizes and times, and how they are read."""

    bundle: str
    files: dict[str, tuple[int, int]]
    written: dict[str, Any]
    rows: int
    explain: bool


def bundle_folder(config: Config, bundle: str | None) -> Path:
    """The champion, the bundle with a digest, or that of a version in MLflow, such as models:/NAME@challenger."""
    home = promotion.home(config)
    if bundle is None:
        return bundle_store.resolve(home)
    if bundle.startswith("models:/"):
        mlflow_store.connect(config.name, config.paths.tracking)
        return mlflow_versions.bundle_of(bundle)
    if not (home / bundle / "bundle.json").exists():
        raise ConfigError(f"{home}: has no bundle {bundle}")
    return home / bundle


def source_files(source: str) -> tuple[list[Path], bool]:
    """The files that are named, sorted, and whether they are those of a folder or a glob.

    Raises ConfigError where there is none.
    """
    place = Path(source)
    if place.is_file():
        return [place], False
    names = glob(source, recursive=True) if has_magic(source) else map(str, place.glob("*"))
    files = sorted(Path(name) for name in names if Path(name).is_file() and not Path(name).name.startswith("."))
    if not files:
        raise ConfigError(f"{source}: there is no such file, and no file in such a folder")
    if len({path.name for path in files}) < len(files):
        raise ConfigError(f"{source}: two of the files have one name, and would have one result")
    return files, True


def begin(work: Path, plan: Plan, targets: list[Path]) -> None:
    """Make the hidden folder with the plan, or go on in the one that is there.

    Raises ConfigError where a result exists already, or where another scoring has left that folder.
    """
    file = work / "plan.json"
    content = json_bytes(plan._asdict())
    if not file.exists():
        for target in targets:
            if target.exists():
                raise ConfigError(f"{target}: exists already; remove it, or name another place with OUT")
        work.mkdir(parents=True, exist_ok=True)
        bundle_store.replace(file, content)
    elif file.read_bytes() != content:
        raise ConfigError(
            f"{work}: is of another scoring that did not end: of another bundle, other files or settings. Run that one "
            "again, or remove the folder"
        )
