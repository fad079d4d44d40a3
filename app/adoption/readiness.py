"""Who would be hit by the sunset of a version, from what the usage ledger and the consents say."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.adoption import clients
from app.adoption.models import usage, usage_fields
from app.domain.clock import now
from app.versioning import ApiVersion
from app.versioning.readiness import LOOKED_AT, Called, Readiness, Sent, assess
from app.versioning.usage import GONE, Client

MOST_CLIENTS = 1000  # assessed, beside the registered ones: of User-Agents anybody may invent any number
_SERVED = (usage.c.status_class < 4) | (usage.c.status_class == GONE)


def readiness(connection: Connection, version: ApiVersion, days: int) -> Readiness:
    """Every client that ever called the version, as far back as the ledger goes; what it called in 90 days counts.

    `days` is how many days back the calls of which so many a day are told go. Of the clients that are not registered,
    the MOST_CLIENTS with the most calls are assessed. Times are those of the ledger: to the hour, and to the day once
    it is rolled up. `version` has a migration.
    """
    assert version.migration is not None
    moment = now()
    since = moment - LOOKED_AT
    u, f = usage.c, usage_fields.c
    totals = (
        sa.select(u.client, u.source, _calls_after(since).label("calls"))
        .where(u.version == version.name)
        .group_by(u.client, u.source)
    )
    # Whoever is known by a User-Agent alone and only ever refused, as a scanner is, is no client of the version.
    is_client = sa.or_(
        u.source == "token",
        _calls_after(since, _SERVED) > 0,
        (_calls_after(since) == 0) & (sa.func.max(sa.case((_SERVED, 1), else_=0)) == 1),
    )
    counted = totals.having(is_client).subquery()
    registered = counted.c.source == "token"
    place = sa.func.row_number().over(
        partition_by=registered, order_by=[counted.c.calls.desc(), counted.c.client, counted.c.source]
    )
    placed = sa.select(counted, place.label("place")).subquery()
    is_kept = (placed.c.source == "token") | (placed.c.place <= MOST_CLIENTS)
    kept = sa.select(placed.c.client, placed.c.source).where(is_kept).subquery()
    others = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(placed.c.calls), 0)).where(~is_kept)
    ).one()
    refused = sa.select(sa.func.count()).select_from(totals.having(~is_client).subquery())
    called = connection.execute(
        sa.select(
            u.client,
            u.source,
            u.operation,
            u.status_class,
            _calls_after(since).label("calls"),
            _calls_after(moment - timedelta(days=days)).label("recent"),
            sa.func.max(u.starts_at).label("last_seen"),
        )
        .join(kept, (kept.c.client == u.client) & (kept.c.source == u.source))
        .where(u.version == version.name)
        .group_by(u.client, u.source, u.operation, u.status_class)
    )
    sent = connection.execute(
        sa.select(f.client, f.source, f.operation, f.place, f.name, sa.func.sum(f.calls).label("calls"))
        .join(kept, (kept.c.client == f.client) & (kept.c.source == f.source))
        .where(f.version == version.name, f.starts_at > since)
        .group_by(f.client, f.source, f.operation, f.place, f.name)
    )
    found = assess(
        version.migration,
        [
            Called(
                Client(row.client, row.source),
                row.operation,
                row.status_class,
                int(row.calls),
                int(row.recent),
                row.last_seen,
            )
            for row in called
        ],
        [Sent(Client(row.client, row.source), row.operation, row.place, row.name, int(row.calls)) for row in sent],
        clients.consents_to(connection, version.name, version.sunset),
        moment,
        days,
    )
    return Readiness(found, others[0], int(others[1]), connection.execute(refused).scalar_one())


def _calls_after(moment: datetime, *which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((sa.and_(usage.c.starts_at > moment, *which), usage.c.calls), else_=0))
