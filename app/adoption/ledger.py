"""The usage ledger in the database: the kernel gathers, here it is added up, rolled up and let go."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.adoption.models import switches, usage, usage_fields
from app.db.types import insert
from app.domain.clock import now
from app.versioning.usage import Counts, FieldUse, Use

RECENT = timedelta(days=7)
_ROWS_AT_ONCE = 1000  # SQLite takes 32,766 parameters in a statement
_PRUNED = "usage-pruned"

By = Literal["client", "operation", "day"]


class Pruned(NamedTuple):
    """How many rows were."""

    rolled_up: int
    forgotten: int


class Seen(NamedTuple):
    """The hour in which a client was seen last (once rolled up, the day), and its recent calls by version."""

    last: datetime
    calls: dict[str, int]


class Line(NamedTuple):
    """Calls of a version by a client, of an operation, or on a day; `refused` ones were answered 4xx or 5xx."""

    version: str
    name: str
    source: str | None  # of a client
    calls: int
    refused: int
    last: datetime  # the hour, or the day


def store(connection: Connection, counts: Counts) -> None:
    """Add what was gathered to what is there, from this worker or another."""
    # In one order, so that two workers never wait for each other.
    uses = [_row(use, calls, status_class=use.status_class) for use, calls in sorted(counts.uses.items())]
    fields = [_row(use, calls, place=use.place, name=use.name) for use, calls in sorted(counts.fields.items())]
    _add(connection, usage, uses)
    _add(connection, usage_fields, fields)


def _row(use: Use | FieldUse, calls: int, **more: str | int) -> dict[str, Any]:
    return {
        "starts_at": use.hour,
        "version": use.version,
        "operation": use.operation,
        "client": use.client.name,
        "source": use.client.source,
        "calls": calls,
        **more,
    }


def claim_pruning(connection: Connection, at: datetime) -> bool:
    """Whether it is this worker's turn to `prune`: True for one of them, once an hour."""
    statement = insert(connection.dialect.name, switches).values(name=_PRUNED, changed_at=at)
    statement = statement.on_conflict_do_update(
        index_elements=[switches.c.name],
        set_={"changed_at": statement.excluded.changed_at},
        where=switches.c.changed_at <= at - timedelta(hours=1),
    )
    return connection.execute(statement).rowcount == 1


def prune(connection: Connection, *, hourly: timedelta, kept: timedelta) -> Pruned:
    """Add up by the day what is older than `hourly`, and delete what is older than `kept`."""
    moment = now()
    gone = forget(connection, before=moment - kept)
    return Pruned(rolled_up=roll_up(connection, before=moment - hourly), forgotten=gone)


def roll_up(connection: Connection, *, before: datetime) -> int:
    """Make one row a day of the hourly rows of the days before `before`; gives how many rows were added up."""
    return sum(_roll_up(connection, table, before) for table in (usage, usage_fields))


def forget(connection: Connection, *, before: datetime) -> int:
    """Delete what is older than `before`; gives how many rows are gone."""
    return sum(
        connection.execute(sa.delete(table).where(table.c.starts_at < before)).rowcount
        for table in (usage, usage_fields)
    )


def _roll_up(connection: Connection, table: sa.Table, before: datetime) -> int:
    midnight = before.replace(hour=0, minute=0, second=0, microsecond=0)
    # The row of a day's first hour becomes the row of the day.
    hourly = (table.c.starts_at < midnight) & (sa.extract("hour", table.c.starts_at) != 0)
    rolled_up = 0
    # A day at a time: what was never rolled up before may be more than memory should hold.
    while (first := connection.execute(sa.select(sa.func.min(table.c.starts_at)).where(hourly)).scalar()) is not None:
        day = first.replace(hour=0)
        of_day = hourly & (table.c.starts_at < day + timedelta(days=1))
        # What is added up is what this deletes: a worker may store more of the day at any moment.
        rows = connection.execute(sa.delete(table).where(of_day).returning(*table.c)).mappings().all()
        added: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in rows:
            values = {**row, "starts_at": day}
            key = tuple(values[column.name] for column in table.primary_key)
            added.setdefault(key, {**values, "calls": 0})["calls"] += row["calls"]
        _add(connection, table, list(added.values()))
        rolled_up += len(rows)
    return rolled_up


def seen(connection: Connection, client_ids: Sequence[str]) -> dict[str, Seen]:
    """What each of these registered clients has called; those that never did are left out."""
    of_these = (usage.c.source == "token") & usage.c.client.in_(client_ids)
    recent = sa.func.sum(sa.case((usage.c.starts_at > now() - RECENT, usage.c.calls), else_=0))
    statement = (
        sa.select(usage.c.client, usage.c.version, sa.func.max(usage.c.starts_at), recent)
        .where(of_these)
        .group_by(usage.c.client, usage.c.version)
        .order_by(usage.c.client, usage.c.version)
    )
    found: dict[str, Seen] = {}
    for client, version, last, calls in connection.execute(statement):
        before = found.get(client, Seen(last, {}))
        found[client] = Seen(max(before.last, last), {**before.calls, **({version: int(calls)} if calls else {})})
    return found


def summary(
    connection: Connection, by: By, *, since: datetime, version: str | None = None, client: str | None = None
) -> list[Line]:
    """Calls since a moment, by version and one thing more: the most first, days in order.

    With a `version`, of that one alone; with the id of a registered `client`, of that one alone.
    """
    named: dict[By, tuple[sa.ColumnElement[Any], ...]] = {
        "client": (usage.c.client, usage.c.source),
        "operation": (usage.c.operation,),
        "day": (usage.c.starts_at,),
    }
    columns = (usage.c.version, *named[by])
    refused = sa.func.sum(sa.case((usage.c.status_class >= 4, usage.c.calls), else_=0))
    statement = (
        sa.select(*columns, sa.func.sum(usage.c.calls), refused, sa.func.max(usage.c.starts_at))
        .where(usage.c.starts_at >= since)
        .group_by(*columns)
    )
    if version is not None:
        statement = statement.where(usage.c.version == version)
    if client is not None:
        statement = statement.where(usage.c.client == client, usage.c.source == "token")
    lines: dict[tuple[str, ...], Line] = {}
    for of_version, *what, calls, not_served, last in connection.execute(statement):
        name = what[0].strftime("%Y-%m-%d") if by == "day" else what[0]
        source = what[1] if by == "client" else None
        key = (of_version, name, source or "")
        before = lines.get(key, Line(of_version, name, source, 0, 0, last))
        lines[key] = before._replace(
            calls=before.calls + int(calls),
            refused=before.refused + int(not_served),
            last=max(before.last, last),
        )
    if by == "day":
        return sorted(lines.values(), key=lambda line: (line.version, line.name))
    return sorted(lines.values(), key=lambda line: (line.version, -line.calls, line.name))


def _add(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows; where one is there already, add to its calls."""
    statement: Any = insert(connection.dialect.name, table)
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={"calls": table.c.calls + statement.excluded.calls}
    )
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(statement, rows[start : start + _ROWS_AT_ONCE])
