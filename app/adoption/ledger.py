"""The usage ledger in the database: the kernel gathers, here it is added up, rolled up and let go."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from app.adoption.models import usage, usage_fields
from app.db.types import insert
from app.versioning.usage import Counts

_ROWS_AT_ONCE = 1000  # SQLite takes 32,766 parameters in a statement


def store(session: Session, counts: Counts) -> None:
    """Add what was gathered to what is there, from this worker or another."""
    # In one order, so that two workers never wait for each other.
    uses = [
        {
            "starts_at": use.hour,
            "version": use.version,
            "operation": use.operation,
            "client": use.client.name,
            "source": use.client.source,
            "status_class": use.status_class,
            "calls": calls,
        }
        for use, calls in sorted(counts.uses.items())
    ]
    fields = [
        {
            "starts_at": use.hour,
            "version": use.version,
            "operation": use.operation,
            "client": use.client.name,
            "source": use.client.source,
            "place": use.place,
            "name": use.name,
            "calls": calls,
        }
        for use, calls in sorted(counts.fields.items())
    ]
    _add(session.connection(), usage, uses)
    _add(session.connection(), usage_fields, fields)


def roll_up(session: Session, *, before: datetime) -> int:
    """Make one row a day of the hourly rows of the days before `before`; gives how many rows were added up."""
    return sum(_roll_up(session.connection(), table, before) for table in (usage, usage_fields))


def forget(session: Session, *, before: datetime) -> int:
    """Delete what is older than `before`; gives how many rows are gone."""
    return sum(
        session.connection().execute(sa.delete(table).where(table.c.starts_at < before)).rowcount
        for table in (usage, usage_fields)
    )


def _roll_up(connection: Connection, table: sa.Table, before: datetime) -> int:
    midnight = before.replace(hour=0, minute=0, second=0, microsecond=0)
    # The row of a day's first hour becomes the row of the day.
    hourly = (table.c.starts_at < midnight) & (sa.extract("hour", table.c.starts_at) != 0)
    rows = connection.execute(sa.select(table).where(hourly).with_for_update()).mappings().all()
    days: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        values = {**row, "starts_at": row["starts_at"].replace(hour=0)}
        key = tuple(values[column.name] for column in table.primary_key)
        days.setdefault(key, {**values, "calls": 0})["calls"] += row["calls"]
    connection.execute(sa.delete(table).where(hourly))
    _add(connection, table, list(days.values()))
    return len(rows)


def _add(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows; where one is there already, add to its calls."""
    statement: Any = insert(connection, table)
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={"calls": table.c.calls + statement.excluded.calls}
    )
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(statement, rows[start : start + _ROWS_AT_ONCE])
