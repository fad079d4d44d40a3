"""Who calls which version, and how much: what the adoption page shows of the usage ledger."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.adoption import clients
from app.adoption.clients import ClientView
from app.adoption.models import usage

# Whoever has not called for longer is not looked for.
REMEMBERED = timedelta(days=400)


class Use(NamedTuple):
    """What a client did with one version."""

    calls: int
    last_seen: datetime  # the beginning of the hour, or of the day once it is rolled up


class ClientUse(NamedTuple):
    """A client, and what it did with each version it has called since a moment. `source` says how it is known."""

    name: str
    source: str
    last_seen: datetime
    registered: ClientView | None
    uses: Mapping[str, Use]

    @property
    def drifted(self) -> list[str]:
        """The versions that a client pinned to another one has called."""
        return self.registered.drift(sorted(self.uses)) if self.registered else []


def calls_by_day(connection: Connection, versions: Iterable[str], since: datetime) -> dict[str, dict[date, int]]:
    """How many calls each of these versions got, by days in UTC; a day without calls is left out."""
    # SQLite's date() gives text, PostgreSQL's a date in the time zone of the connection, which is UTC.
    day = sa.func.date(usage.c.starts_at, type_=sa.Date())
    statement = (
        sa.select(usage.c.version, day, sa.func.sum(usage.c.calls))
        .where(usage.c.version.in_(list(versions)), usage.c.starts_at >= since)
        .group_by(usage.c.version, day)
    )
    found: dict[str, dict[date, int]] = {version: {} for version in versions}
    for version, when, calls in connection.execute(statement):
        found[version][when] = int(calls)
    return found


def clients_by_last_seen(connection: Connection, since: datetime, at: datetime, most: int) -> list[ClientUse]:
    """The `most` clients that called last, the latest first, with what they have used since `since`."""
    last_seen = sa.func.max(usage.c.starts_at, type_=usage.c.starts_at.type)
    recent = connection.execute(
        sa.select(usage.c.client, usage.c.source, last_seen.label("last_seen"))
        .where(usage.c.starts_at >= at - REMEMBERED)
        .group_by(usage.c.client, usage.c.source)
        .order_by(sa.desc("last_seen"), usage.c.client, usage.c.source)
        .limit(most)
    ).all()
    names = {row.client for row in recent}
    uses = _uses(connection, names, since)
    registered = {client.id: client for client in clients.listed(connection)}
    return [
        ClientUse(
            row.client,
            row.source,
            row.last_seen,
            registered.get(row.client) if row.source == "token" else None,
            uses.get((row.client, row.source), {}),
        )
        for row in recent
    ]


def _uses(connection: Connection, names: set[str], since: datetime) -> dict[tuple[str, str], dict[str, Use]]:
    statement = (
        sa.select(
            usage.c.client,
            usage.c.source,
            usage.c.version,
            sa.func.sum(usage.c.calls),
            sa.func.max(usage.c.starts_at, type_=usage.c.starts_at.type),
        )
        .where(usage.c.starts_at >= since, usage.c.client.in_(names))
        .group_by(usage.c.client, usage.c.source, usage.c.version)
    )
    found: dict[tuple[str, str], dict[str, Use]] = {}
    for client, source, version, calls, last_seen in connection.execute(statement):
        found.setdefault((client, source), {})[version] = Use(int(calls), last_seen)
    return found
