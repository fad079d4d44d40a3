"""Who would be hit by the sunset of a version, from what the usage ledger and the consents say."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.adoption import clients
from app.adoption.models import usage, usage_fields
from app.domain.clock import now
from app.versioning import ApiVersion
from app.versioning.readiness import LOOKED_AT, Called, ClientReadiness, Sent, assess
from app.versioning.usage import Client


def readiness(connection: Connection, version: ApiVersion, days: int) -> list[ClientReadiness]:
    """Every client that ever called the version, as far back as the ledger goes; what it called in 90 days counts.

    `days` is how many days back the calls of which so many a day are told go.

    Times are those of the ledger: to the hour, and to the day once it is rolled up. `version` has a migration.
    """
    assert version.migration is not None
    moment = now()
    since = moment - LOOKED_AT
    calls = sa.select(
        usage.c.client,
        usage.c.source,
        usage.c.operation,
        usage.c.status_class,
        _calls_after(since).label("calls"),
        _calls_after(moment - timedelta(days=days)).label("recent"),
        sa.func.max(usage.c.starts_at).label("last_seen"),
    )
    fields = sa.select(
        usage_fields.c.client,
        usage_fields.c.source,
        usage_fields.c.operation,
        usage_fields.c.place,
        usage_fields.c.name,
        sa.func.sum(usage_fields.c.calls).label("calls"),
    )
    u, f = usage.c, usage_fields.c
    called = connection.execute(
        calls.where(u.version == version.name).group_by(u.client, u.source, u.operation, u.status_class)
    )
    sent = connection.execute(
        fields.where(f.version == version.name, f.starts_at > since).group_by(
            f.client, f.source, f.operation, f.place, f.name
        )
    )
    return assess(
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


def _calls_after(moment: datetime) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((usage.c.starts_at > moment, usage.c.calls), else_=0))
