"""The prediction log: inputs, predictions and labels, in SQLite or PostgreSQL.

A prediction is identified by its request's id and its row in that request; where an id was used twice, the later
prediction counts. Times are UTC, except `at`: it is the row's own local time where the contract names a time column.

This module knows nothing of models, metrics or HTTP.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from pipeline.errors import ConfigError, DataError
from pipeline.runtime import database
from pipeline.runtime.database import writing

VERSION = 3
UPGRADES = {  # statements from a version to the next
    1: ("ALTER TABLE predictions ADD COLUMN memory VARCHAR(10)",),
    2: ("ALTER TABLE predictions ADD COLUMN probabilities TEXT",),
}
CHUNK_ROWS = 500  # request ids in one query

tables = sql.MetaData()
number = sql.BigInteger().with_variant(sql.Integer, "sqlite")  # SQLite autoincrements only an INTEGER column
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
    sql.Column("answer", sql.Float, nullable=False),  # of several classes: the number of the most probable one
    sql.Column("memory", sql.String(10)),  # the day of the rolling features, since version 2
    sql.Column("probabilities", sql.Text),  # of several classes, as a JSON list, since version 3
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
    """Predictions with a label, oldest first.

    `delay` is the time in seconds from the prediction to its label. `inputs` are JSON; the list is empty where they
    were not requested. The prediction of several classes is a list of probabilities, and its label a class's number.
    """

    at: list[datetime]
    prediction: list[Any]
    label: list[float]
    delay: list[float]
    inputs: list[str]


class LoggedRequests(NamedTuple):
    """Predictions in the order in which they were made.

    `at` is the row's own time, `inputs` are JSON, `rolling_day` is the day of the rolling features (None without them),
    and `labelled` tells whether the outcome is known.
    """

    at: list[datetime]
    prediction: list[Any]
    inputs: list[str]
    rolling_day: list[str | None]
    labelled: list[bool]


def connect(url: str) -> Engine:
    """Open the prediction log, and create or upgrade its tables where necessary.

    Raises ConfigError for an invalid URL, and for a log that a newer version of this project wrote.
    """
    engine = database.engine(url)
    with writing(engine) as connection:
        _upgrade(connection, engine.url.render_as_string())
    return engine


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """The prediction log for a command, which ends with one sentence where the database fails.

    Raises ConfigError where the database cannot be reached, read or written to, and for the reasons of `connect`.
    Raises DataError where its content is broken.
    """
    engine = None
    try:
        engine = connect(url)
        yield engine
    except (sql.exc.SQLAlchemyError, sqlite3.Error) as error:
        raise database.reported(error, url) from None
    except (ValueError, TypeError) as error:
        name = database.without_password(url)
        raise DataError(f"{name}: has a row that cannot be read: {error}. Restore the log or remove the row") from None
    finally:
        if engine is not None:
            engine.dispose()


def _upgrade(connection: Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sql.text("SELECT pg_advisory_xact_lock(20131101)"))  # replicas start at the same time

    if not sql.inspect(connection).has_table(log_metadata.name):
        tables.create_all(connection)
        connection.execute(log_metadata.insert().values(version=VERSION))
        return

    stored = int(connection.execute(sql.select(log_metadata.c.version)).scalar_one())
    if stored > VERSION:
        raise ConfigError(f"{name}: is a log of version {stored}, and this project knows {VERSION}: use a newer one")
    for version in range(stored, VERSION):
        for statement in UPGRADES[version]:
            connection.execute(sql.text(statement))
    connection.execute(log_metadata.update().values(version=VERSION))


def write(engine: Engine, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert predictions in one transaction: all of them or none."""
    if rows:
        with writing(engine) as connection:
            connection.execute(predictions.insert(), rows)


def store_labels(
    engine: Engine, new_labels: Iterable[tuple[str, int, float]], received: datetime
) -> list[tuple[str, int]]:
    """Store labels, each with its request id and row, and return the (request id, row) pairs without a prediction.

    Labels without a prediction are stored too. A label that is stored already with the same value is not changed.
    """
    label_of = {(request_id, row): label for request_id, row, label in new_labels}
    rows = []
    for (request_id, row), label in label_of.items():
        rows.append({"request_id": request_id, "row": row, "label": label, "received": received})

    with writing(engine) as connection:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        insert = dialect.insert(labels)
        upsert = insert.on_conflict_do_update(
            index_elements=["request_id", "row"],
            set_={"label": insert.excluded.label, "received": insert.excluded.received},
            where=labels.c.label != insert.excluded.label,
        )
        connection.execute(upsert, rows)

        predicted: set[tuple[str, int]] = set()
        ids = list({request_id for request_id, _ in label_of})
        for first in range(0, len(ids), CHUNK_ROWS):
            in_chunk = predictions.c.request_id.in_(ids[first : first + CHUNK_ROWS])
            matches = connection.execute(sql.select(predictions.c.request_id, predictions.c.row).where(in_chunk))
            predicted |= {(str(request_id), int(row)) for request_id, row in matches}

    return [key for key in label_of if key not in predicted]


def read_labelled(
    engine: Engine,
    model: str,
    *,
    since: datetime = datetime.min,
    until: datetime = datetime.max,
    version: str | None = None,
    inputs: bool = False,
) -> LabelledPredictions:
    """Read a model's labelled predictions, restricted to rows with `since <= at < until` and to one model version."""
    columns = [labels.c.label, predictions.c.time, labels.c.received]
    if inputs:
        columns.append(predictions.c.inputs)
    query = sql.select(*columns).select_from(predictions.join(labels, SAME_PREDICTION))
    if version is not None:
        query = query.where(predictions.c.version == version)

    rows = sorted(_read(engine, query, model, since, until), key=lambda row: row.at)
    stored_inputs = [row.inputs for row in rows] if inputs else []
    return LabelledPredictions(
        at=[row.at for row in rows],
        prediction=[_prediction(row) for row in rows],
        label=[row.label for row in rows],
        delay=[(row.received - row.time).total_seconds() for row in rows],
        inputs=stored_inputs,
    )


def read_requests(engine: Engine, model: str, since: datetime, until: datetime) -> LoggedRequests:
    """Read all predictions of a model with `since <= at < until`, labelled or not."""
    columns = [predictions.c.inputs, predictions.c.memory, labels.c.label]
    query = sql.select(*columns).select_from(predictions.outerjoin(labels, SAME_PREDICTION))

    rows = _read(engine, query, model, since, until)
    return LoggedRequests(
        at=[row.at for row in rows],
        prediction=[_prediction(row) for row in rows],
        inputs=[row.inputs for row in rows],
        rolling_day=[row.memory for row in rows],
        labelled=[row.label is not None for row in rows],
    )


def _read(engine: Engine, query: sql.Select[Any], model: str, since: datetime, until: datetime) -> list[Any]:
    """The rows of a query for a model and a span, with their predictions, in the order in which these were made."""
    columns = [predictions.c.request_id, predictions.c.row, predictions.c.at]
    query = query.add_columns(*columns, predictions.c.answer, predictions.c.probabilities)
    query = query.where(predictions.c.model == model, predictions.c.at >= since, predictions.c.at < until)

    with engine.connect() as connection:
        rows = connection.execute(query.order_by(predictions.c.id))
        return list({(row.request_id, row.row): row for row in rows}.values())  # a repeated id: the last counts


def _prediction(row: Any) -> Any:
    """The logged prediction: the list of the classes' probabilities, or the one number."""
    return json.loads(row.probabilities) if row.probabilities else row.answer


def newest_time(engine: Engine, model: str, *, known: bool = False) -> datetime | None:
    """Return the latest `at` of a model's predictions or, with `known`, of its labelled predictions; None without any.

    Rows more than a day ahead of now are left out, because a caller may send any year. The day allows for local times.
    """
    source = predictions.join(labels, SAME_PREDICTION) if known else predictions
    not_future = predictions.c.at < now() + timedelta(days=1)
    query = sql.select(sql.func.max(predictions.c.at)).select_from(source)
    query = query.where(predictions.c.model == model, not_future)

    with engine.connect() as connection:
        newest: datetime | None = connection.execute(query).scalar()
        return newest


def prune(engine: Engine, model: str, days: int | None, most: int | None) -> int:
    """Delete a model's predictions made more than `days` days ago, and all but its newest `most`; return their number.

    Their labels are deleted with them. With `days`, labels that are as old and have no prediction are deleted too.
    None stands for no limit.
    """
    before = datetime.min if days is None else now() - timedelta(days=days)
    with writing(engine) as connection:
        newest_deleted = -1
        if most is not None:
            ids = sql.select(predictions.c.id).where(predictions.c.model == model).order_by(predictions.c.id.desc())
            newest_deleted = connection.execute(ids.offset(most).limit(1)).scalar() or -1

        expired = sql.or_(predictions.c.id <= newest_deleted, predictions.c.time < before)
        expired = sql.and_(predictions.c.model == model, expired)
        has_expired = sql.exists().where(SAME_PREDICTION, expired)
        has_other = sql.exists().where(SAME_PREDICTION, ~expired)  # the same request id, used again
        connection.execute(labels.delete().where(has_expired, ~has_other))
        removed = connection.execute(predictions.delete().where(expired)).rowcount

        if days is not None:
            has_prediction = sql.exists().where(SAME_PREDICTION)
            connection.execute(labels.delete().where(labels.c.received < before, ~has_prediction))

    return removed


def now() -> datetime:
    """The current time in UTC, without a time zone, as the log stores it."""
    return datetime.now(UTC).replace(tzinfo=None)
