"""Engines of the two databases that a prediction log may lie in: SQLite and PostgreSQL."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from pipeline.errors import ConfigError

PATIENCE = 5  # seconds that a connection to SQLite waits for a lock


def engine(url: str) -> Engine:
    """An engine on the database at this address; SQLite's folder is made.

    Raises ConfigError for an address that means nothing.
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
        made = sql.create_engine(address, pool_pre_ping=True, connect_args=patience)
    except (sql.exc.ArgumentError, sql.exc.NoSuchModuleError, ImportError) as error:
        raise ConfigError(f"LOG_URL: is no database that can be written to: {error}") from None
    if made.dialect.name == "sqlite":
        if address.database:
            Path(address.database).absolute().parent.mkdir(parents=True, exist_ok=True)
        sql.event.listen(made, "connect", _settle)
        sql.event.listen(made, "begin", _begin)
    return made


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: whole or not at all, tables included, whoever else writes."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def _begin(connection: Connection) -> None:
    """SQLite takes the lock at once: two that read first and then both want to write could not both go on."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _settle(connection: Any, _: Any) -> None:
    """SQLite, so that readers and one writer do not wait for each other; transactions begin where we say so."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=NORMAL")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:  # for this lock alone SQLite does not wait by itself
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
