"""Keep MLflow's artifact paths valid after its folder was moved or copied: the SQLite file stores absolute paths.

This module opens the SQLite file directly and does not import MLflow. The store of an MLflow server is left alone: the
server has its own place for artifacts.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

SQLITE = "sqlite:///"
FOLDER = "mlruns"  # beside the SQLite file
COLUMNS = {  # table: its column with the address of artifacts
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


def local_file(uri: str) -> Path | None:
    """The SQLite file of a tracking URI; None where the URI names a server."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def artifact_folder(file: Path) -> Path:
    return file.parent / FOLDER


def follow_move(file: Path) -> str | None:
    """Rewrite the artifact addresses of a moved or copied store, so that they start with the `mlruns` beside `file`.

    Addresses that somebody chose elsewhere stay as they are. All addresses stay where the artifacts were not moved
    along. Returns a message about the change, or None where nothing changed.
    """
    here = artifact_folder(file)
    if not file.exists() or not here.exists():
        return None

    with closing(sqlite3.connect(file, timeout=30)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables >= set(COLUMNS):
            return None  # MLflow has not created the tables yet, or another version of MLflow created them

        places = [place for (place,) in database.execute("SELECT DISTINCT artifact_location FROM experiments")]
        old = [place for place in places if place != here.as_uri() and has_moved(database, place, here)]
        with database:
            for place in old:
                for table, column in COLUMNS.items():
                    replace_prefix(database, table, column, place, here.as_uri())

    if not old:
        return None
    return f"MLflow's record looked for its files in {path_of(old[0])}; it finds them in {here} now"


def has_moved(database: sqlite3.Connection, place: str | None, here: Path) -> bool:
    """Whether this project created the artifact folder `place`, and its files are in `here` now, moved or copied."""
    if not place or not place.startswith("file:///") or path_of(place).name != FOLDER:
        return False

    addresses = [uri for (uri,) in database.execute("SELECT artifact_uri FROM runs") if uri.startswith(f"{place}/")]
    if not addresses:
        return not path_of(place).exists()
    return any((here / path_of(uri).relative_to(path_of(place))).exists() for uri in addresses)


def path_of(place: str) -> Path:
    return Path(unquote(urlsplit(place).path))


def replace_prefix(database: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    """Replace `old` by `new` in every address that is `old` or lies below it."""
    database.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 -- reason: both names are ours
        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
    )
