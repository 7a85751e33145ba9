"""The prediction log: what was asked and answered, and what came of it, in SQLite or PostgreSQL.

A prediction is known by its request's id and its row in it; where
an id was used twice, the later one counts. Times are UTC; `at` is the row's own time, where the contract names one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from pipeline.errors import ConfigError
from pipeline.runtime import database
from pipeline.runtime.database import writing

VERSION = 2
UPGRADES = {1: ("ALTER TABLE predictions ADD COLUMN memory VARCHAR(10)",)}  # from a version to the next
CHUNK_ROWS = 500  # ids that are asked for at once

tables = sql.MetaData()
number = sql.BigInteger().with_variant(sql.Integer, "sqlite")  # SQLite counts up by itself in an INTEGER alone
predictions = sql.Table(
    "predictions",
    tables,
    sql.Column("id", number, primary_key=True, autoincrement=True),
    sql.Column("request_id", sql.String(128), nullable=False),
    sql.Column("row", sql.Integer, nullable=False),
    sql.Column("time", sql.DateTime, nullable=False),
    sql.Column("at", sql.DateTime, nullable=False),
    sql.Column("model", sql.String, nullable=False),
    sql.Column("version", sql.String(16), nullable=False),
    sql.Column("inputs", sql.Text, nullable=False),
    sql.Column("answer", sql.Float, nullable=False),
    sql.Column("memory", sql.String(10)),  # the day of what was remembered, since version 2
    sql.Index("predictions_by_request", "request_id", "row"),
    sql.Index("predictions_by_time", "model", "at"),
)
labels = sql.Table(
    "labels",
    tables,
    sql.Column("request_id", sql.String(128), primary_key=True),
    sql.Column("row", sql.Integer, primary_key=True),
    sql.Column("label", sql.Float, nullable=False),
    sql.Column("received", sql.DateTime, nullable=False),
)
SAME_PREDICTION = sql.and_(predictions.c.request_id == labels.c.request_id, predictions.c.row == labels.c.row)
log_metadata = sql.Table("log_version", tables, sql.Column("version", sql.Integer, nullable=False))


class LabelledPredictions(NamedTuple):
    """Predictions whose outcome is known, oldest first; `inputs` are JSON, empty where they were not asked for."""

    at: list[datetime]
    prediction: list[float]
    label: list[float]
    delay: list[float]
    inputs: list[str]


class LoggedRequests(NamedTuple):
    """Predictions in the order in which they were made: the row's own time, the answer, the inputs as JSON, the day of
    what was remembered, and whether the outcome is known.
    """

    at: list[datetime]
    prediction: list[float]
    inputs: list[str]
    rolling_day: list[str | None]
    labelled: list[bool]


def connect(url: str) -> Engine:
    """A database that is ready to be written to, made or upgraded where that was needed.

    Raises ConfigError where the address means nothing, or the log was written by a newer version of this project.
    """
    engine = database.engine(url)
    with writing(engine) as connection:
        _upgrade(connection, engine.url.render_as_string())
    return engine


def _upgrade(connection: Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sql.text("SELECT pg_advisory_xact_lock(20131101)"))  # replicas start at the same time
    if not sql.inspect(connection).has_table(log_metadata.name):
        tables.create_all(connection)
        connection.execute(log_metadata.insert().values(version=VERSION))
        return
    found = int(connection.execute(sql.select(log_metadata.c.version)).scalar_one())
    if found > VERSION:
        raise ConfigError(f"{name}: is a log of version {found}, and this project knows {VERSION}: use a newer one")
    for version in range(found, VERSION):
        for statement in UPGRADES[version]:
            connection.execute(sql.text(statement))
    connection.execute(log_metadata.update().values(version=VERSION))


def write(engine: Engine, rows: Sequence[Mapping[str, Any]]) -> None:
    """Predictions, all of them or none."""
    with writing(engine) as connection:
        connection.execute(predictions.insert(), rows)


def store_labels(engine: Engine, told: Iterable[tuple[str, int, float]], received: datetime) -> list[tuple[str, int]]:
    """Labels by request id and row; those of which no prediction is known yet. All are kept, and the same one again
    changes nothing.
    """
    wanted = {(name, row): label for name, row, label in told}
    rows = [{"request_id": n, "row": r, "label": label, "received": received} for (n, r), label in wanted.items()]
    with writing(engine) as connection:
        insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(labels)
        new = {"label": insert.excluded.label, "received": insert.excluded.received}
        other = labels.c.label != insert.excluded.label
        connection.execute(
            insert.on_conflict_do_update(index_elements=["request_id", "row"], set_=new, where=other), rows
        )
        known: set[tuple[str, int]] = set()
        ids = list({name for name, _ in wanted})
        for first in range(0, len(ids), CHUNK_ROWS):
            asked = predictions.c.request_id.in_(ids[first : first + CHUNK_ROWS])
            found = connection.execute(sql.select(predictions.c.request_id, predictions.c.row).where(asked))
            known |= {(str(name), int(row)) for name, row in found}
    return [key for key in wanted if key not in known]


def read_labelled(
    engine: Engine,
    model: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    version: str | None = None,
    inputs: bool = False,
) -> LabelledPredictions:
    """The predictions of a model, or of one version of it, whose outcome is known, since a time and before another."""
    both = predictions.join(labels, SAME_PREDICTION)
    columns = [predictions.c.at, predictions.c.answer, labels.c.label, predictions.c.time, labels.c.received]
    columns += [predictions.c.request_id, predictions.c.row, *([predictions.c.inputs] if inputs else [])]
    asked = sql.select(*columns).select_from(both).where(predictions.c.model == model).order_by(predictions.c.id)
    with engine.connect() as connection:
        if since is not None:
            asked = asked.where(predictions.c.at >= since)
        if until is not None:
            asked = asked.where(predictions.c.at < until)
        if version is not None:
            asked = asked.where(predictions.c.version == version)
        found = {(row[5], row[6]): row for row in connection.execute(asked)}  # of an id that came twice the last
    rows = sorted(found.values(), key=lambda row: row[0])
    return LabelledPredictions(
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        [(row[4] - row[3]).total_seconds() for row in rows],
        [row[7] for row in rows] if inputs else [],
    )


def read_requests(engine: Engine, model: str, since: datetime, until: datetime) -> LoggedRequests:
    """What a model was asked about a span of time."""
    columns = [predictions.c.at, predictions.c.answer, predictions.c.inputs, predictions.c.memory, labels.c.label]
    columns += [predictions.c.request_id, predictions.c.row]
    both = predictions.outerjoin(labels, SAME_PREDICTION)
    span = (predictions.c.model == model, predictions.c.at >= since, predictions.c.at < until)
    with engine.connect() as connection:
        rows = connection.execute(sql.select(*columns).select_from(both).where(*span).order_by(predictions.c.id))
        found = [tuple(row[:5]) for row in {(row[5], row[6]): row for row in rows}.values()]  # as above
    at, answer, inputs, memory, label = map(list, zip(*found, strict=True)) if found else ([], [], [], [], [])
    return LoggedRequests(at, answer, inputs, memory, [each is not None for each in label])


def newest_time(engine: Engine, model: str, *, known: bool = False) -> datetime | None:
    """The latest time that a model was asked about or, with `known`, of which the outcome is known.

    What is yet to come says nothing of how far the log goes: a caller may ask about any year.
    """
    of = predictions.join(labels, SAME_PREDICTION) if known else predictions
    with engine.connect() as connection:
        mine = (predictions.c.model == model, predictions.c.at < now() + timedelta(days=1))  # local times
        asked = sql.select(sql.func.max(predictions.c.at)).select_from(of).where(*mine)
        found: datetime | None = connection.execute(asked).scalar()
        return found


def prune(engine: Engine, model: str, days: int | None, most: int | None) -> int:
    """Remove predictions that were made more than so many days ago, and the oldest beyond so many, with their labels;
    how many. Labels without a prediction go after the same time.
    """
    mine, removed = predictions.c.model == model, 0
    with writing(engine) as connection:
        if most is not None:
            newest = sql.select(predictions.c.id).where(mine).order_by(predictions.c.id.desc()).offset(most).limit(1)
            edge = connection.execute(newest).scalar()
            if edge is not None:
                removed += connection.execute(predictions.delete().where(mine, predictions.c.id <= edge)).rowcount
        if days is not None:
            before = now() - timedelta(days=days)
            removed += connection.execute(predictions.delete().where(mine, predictions.c.time < before)).rowcount
            left = sql.exists().where(
                predictions.c.request_id == labels.c.request_id, predictions.c.row == labels.c.row
            )
            connection.execute(labels.delete().where(labels.c.received < before, ~left))
    return removed


def now() -> datetime:
    """In UTC, as the log keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)
