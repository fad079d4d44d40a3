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
from app.versioning.times import rfc3339
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
    """Who called in these periods, each group by the number of calls; those not looked at, with what keeps from it."""

    periods: Sequence[Period]
    unknown: Sequence[tuple[Period, str]]
    hit: list[Caller]
    exempt: list[Caller]
    spared: list[Caller]  # on the other side of the percentage, or not the client meant


def unknown(connection: Connection, period: Period, hourly: timedelta) -> str | None:
    """Why the ledger cannot tell who called then, in words; None when it can. It keeps hours as long as `hourly`."""
    starts, ends = period
    begins = connection.execute(sa.select(sa.func.min(usage.c.starts_at))).scalar()
    if begins is None:
        return "the ledger is empty: nothing is known of that time"
    if ends <= begins:
        return f"the ledger begins at {rfc3339(begins)}: nothing is known of that time"
    by_day = (now() - hourly).replace(hour=0, minute=0, second=0, microsecond=0)
    if starts < by_day:
        return f"counted by the day, as all before {rfc3339(by_day)}: who called in those hours is not known"
    return None


def rehearse(connection: Connection, version: str, window: Brownout, *, weeks: int = 1, hourly: timedelta) -> Rehearsal:
    """Who would have been hit had the window been in each of the last `weeks` weeks, at the same times of the week.

    `hourly` is how long the ledger counts by the hour.
    """
    # The newest week in which the whole window is past.
    newest = max(1, -((now() - window.ends) // WEEK))
    periods = [(window.starts - ago * WEEK, window.ends - ago * WEEK) for ago in range(newest, newest + weeks)]
    whys = [(period, unknown(connection, period, hourly)) for period in periods]
    exempt = plan.read(connection).exempt
    known = [period for period, why in whys if why is None]
    found = Rehearsal(known, [(period, why) for period, why in whys if why is not None], [], [], [])
    for caller in _callers(connection, version, known) if known else ():
        if not window.hits(caller.name):
            found.spared.append(caller)
        elif caller.source == "token" and caller.name in exempt:
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
