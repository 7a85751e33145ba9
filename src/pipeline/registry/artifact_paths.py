"""MLflow's SQLite file names artifacts by absolute paths: where its folder was moved or copied, they are rewritten.

Light: the file and nothing of MLflow. Where MLflow runs as a server it has its own place, and nothing is touched.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

SQLITE = "sqlite:///"
FOLDER = "mlruns"  # beside the SQLite file
COLUMNS = {  # that hold an address of artifacts
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


def local_file(uri: str) -> Path | None:
    """The SQLite file of a store; None for one that is a server."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def artifact_folder(file: Path) -> Path:
    return file.parent / FOLDER


def follow_move(file: Path) -> str | None:
    """Have every address below the folder `mlruns` beside the file; what was mended, or None.

    Addresses elsewhere, which somebody has chosen, stay. So do all where the artifacts have not come along.
    """
    here = artifact_folder(file)
    if not file.exists() or not here.exists():
        return None

    with closing(sqlite3.connect(file, timeout=30)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables >= set(COLUMNS):
            return None  # not yet made by MLflow, or by another version of it

        places = [place for (place,) in database.execute("SELECT DISTINCT artifact_location FROM experiments")]
        old = [place for place in places if place != here.as_uri() and has_moved(database, place, here)]
        with database:
            for place in old:
                for table, column in COLUMNS.items():
                    replace_prefix(database, table, column, place, here.as_uri())
    return f"MLflow's record looked for its files in {path_of(old[0])}; it finds them in {here} now" if old else None


def has_moved(database: sqlite3.Connection, place: str | None, here: Path) -> bool:
    """Whether a place of artifacts is one that this project made, whose files are here now, moved or copied."""
    if not place or not place.startswith("file:///") or path_of(place).name != FOLDER:
        return False
    addresses = [uri for (uri,) in database.execute("SELECT artifact_uri FROM runs") if uri.startswith(f"{place}/")]
    if not addresses:
        return not path_of(place).exists()
    return any((here / path_of(uri).relative_to(path_of(place))).exists() for uri in addresses)


def path_of(place: str) -> Path:
    return Path(unquote(urlsplit(place).path))


def replace_prefix(database: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    database.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 -- reason: both names are ours
        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
    )
