"""SQLAlchemy engines for the prediction log, in SQLite or PostgreSQL. This module knows nothing of the log's tables."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from pipeline.errors import ConfigError, DataError, PipelineError

PATIENCE = 5  # seconds that a connection to SQLite waits for a lock


def engine(url: str) -> Engine:
    """Create an engine for a database URL. The folder of a SQLite file is created where it does not exist.

    Raises ConfigError for a URL that is invalid or names another kind of database.
    """
    try:
        address = sql.make_url(url)
        if address.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError(
                "LOG_URL: should be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, and begins with "
                f"{address.drivername!r}"
            )

        remote = address.get_backend_name() == "postgresql"
        if remote:
            address = address.set(drivername="postgresql+psycopg2")
        patience = {"connect_timeout": 3} if remote else {"timeout": PATIENCE}
        created = sql.create_engine(address, pool_pre_ping=True, connect_args=patience)
    except (sql.exc.ArgumentError, sql.exc.NoSuchModuleError, ImportError) as error:
        raise ConfigError(f"LOG_URL: is no database that can be written to: {error}") from None

    if created.dialect.name == "sqlite":
        if address.database:
            Path(address.database).absolute().parent.mkdir(parents=True, exist_ok=True)
        sql.event.listen(created, "connect", _configure_sqlite)
        sql.event.listen(created, "begin", _begin)
    return created


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open one write transaction: it is committed completely or not at all, including the creation of tables."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def reported(error: Exception, url: str) -> PipelineError:
    """The error to report for one of the database: its first line, without statement and password."""
    cause = getattr(error, "orig", None) or error
    reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    name = without_password(url)
    if isinstance(error, sql.exc.OperationalError | sql.exc.InterfaceError | sqlite3.OperationalError):
        return ConfigError(f"{name}: the prediction log cannot be used: {reason}. Is the database there, with room?")
    return DataError(f"{name}: is no prediction log, or a broken one: {reason}. Restore it, or name another: LOG_URL")


def without_password(url: str) -> str:
    """The address of a database as it can be shown."""
    return sql.make_url(url).render_as_string()


def _begin(connection: Connection) -> None:
    """Begin a SQLite transaction; a write transaction takes the lock at once.

    If two transactions read first and then both write, SQLite can let only one of them go on.
    """
    statement = "BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN"
    connection.exec_driver_sql(statement)


def _configure_sqlite(connection: Any, _: Any) -> None:
    """Set a SQLite connection to write-ahead logging, so that readers and one writer do not wait for each other.

    `isolation_level = None` stops the driver from beginning transactions by itself; `_begin` does that.
    """
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=NORMAL")

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:  # SQLite's own timeout does not cover this lock
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
