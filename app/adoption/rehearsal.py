"""Whom a brownout would hit, and whom it has hit, as far as the usage ledger tells.

The ledger counts by the hour: of an hour that a window only touches, all calls are counted.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.adoption import plan
from app.adoption.models import usage
from app.domain.clock import now
from app.versioning.brownouts import Brownout
from app.versioning.usage import GONE

HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)
Period = tuple[datetime, datetime]


class Caller(NamedTuple):
    """A client, by what it is known (token, user-agent, anonymous), and its calls by operation, the most first."""

    name: str
    source: str
    operations: dict[str, int]

    @property
    def calls(self) -> int:
        return sum(self.operations.values())


class Rehearsal(NamedTuple):
    """Who called in these periods, each group by the number of calls."""

    periods: Sequence[Period]
    hit: list[Caller]
    exempt: list[Caller]
    spared: list[Caller]  # on the other side of the percentage, or not the client meant


def rehearse(connection: Connection, version: str, window: Brownout, *, weeks: int = 1) -> Rehearsal:
    """Who would have been hit had the window been in each of the last `weeks` weeks, at the same times of the week."""
    # The newest week in which the whole window is past.
    newest = max(1, -((now() - window.ends) // WEEK))
    periods = [(window.starts - ago * WEEK, window.ends - ago * WEEK) for ago in range(newest, newest + weeks)]
    exempt = plan.read(connection).exempt
    found = Rehearsal(periods, [], [], [])
    for caller in _callers(connection, version, periods):
        if not window.hits(caller.name):
            found.spared.append(caller)
        elif caller.name in exempt:
            found.exempt.append(caller)
        else:
            found.hit.append(caller)
    return found


def refused(connection: Connection, window: plan.Window) -> list[Caller]:
    """Whom of those it is for was answered 410 while the window was open, until it was cancelled; most calls first."""
    ends = min(window.ends_at, window.cancelled_at or window.ends_at)
    if ends <= window.starts_at:
        return []
    callers = _callers(connection, window.version, [(window.starts_at, ends)], usage.c.status_class == GONE)
    return [caller for caller in callers if window.brownout.hits(caller.name)]  # others may have had one at that time


def _callers(
    connection: Connection, version: str, periods: Iterable[Period], *which: sa.ColumnElement[bool]
) -> list[Caller]:
    within = [
        (usage.c.starts_at >= starts.replace(minute=0, second=0, microsecond=0)) & (usage.c.starts_at < ends)
        for starts, ends in periods
    ]
    statement = (
        sa.select(usage.c.client, usage.c.source, usage.c.operation, sa.func.sum(usage.c.calls).label("calls"))
        .where(usage.c.version == version, sa.or_(*within), *which)
        .group_by(usage.c.client, usage.c.source, usage.c.operation)
        .order_by(sa.desc("calls"), usage.c.operation)
    )
    callers: dict[tuple[str, str], Caller] = {}
    for row in connection.execute(statement):
        caller = callers.setdefault((row.client, row.source), Caller(row.client, row.source, {}))
        caller.operations[row.operation] = int(row.calls)
    return sorted(callers.values(), key=lambda caller: (-caller.calls, caller.name))
