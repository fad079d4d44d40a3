"""The brownouts that operators plan while the service runs, and how running workers come to know of them."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Literal, NamedTuple, Self

import sqlalchemy as sa
import structlog
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from sqlalchemy.engine import Connection

from app.adoption.models import api_clients, brownouts, switches, usage
from app.db import Database
from app.db.types import insert
from app.domain.clock import now
from app.versioning import ApiVersion, LifecycleError
from app.versioning.brownouts import Brownout, Plan, Schedule
from app.versioning.registry import fault_of_window
from app.versioning.times import rfc3339

_STOPPED = "brownouts-stopped"
_PLANNED = "brownouts-planned"

State = Literal["planned", "open", "over", "cancelled"]

log = structlog.get_logger("tandem.lifecycle")


class Window(NamedTuple):
    """A planned brownout as it is kept."""

    id: int
    version: str
    starts_at: datetime
    ends_at: datetime
    client: str | None
    percentage: int
    reason: str
    created_at: datetime
    cancelled_at: datetime | None

    @property
    def brownout(self) -> Brownout:
        return Brownout(self.starts_at, self.ends_at, self.client, self.percentage)

    def state(self, at: datetime) -> State:
        """How it stands at that moment; once cancelled, that."""
        return self.brownout.state(at) if self.cancelled_at is None else "cancelled"


def read(connection: Connection) -> Plan:
    """What holds now: the windows that were not cancelled and are not over, the exempt clients, the kill switch."""
    windows: dict[str, list[Brownout]] = {}
    living = sa.select(brownouts).where(brownouts.c.cancelled_at.is_(None), brownouts.c.ends_at > now())
    for row in connection.execute(living):
        window = Window(*row)
        windows.setdefault(window.version, []).append(window.brownout)
    exempt = connection.execute(sa.select(api_clients.c.id).where(api_clients.c.brownout_exempt)).scalars()
    return Plan(windows, frozenset(exempt), stopped(connection))


def windows(connection: Connection, version: str | None = None) -> list[Window]:
    """Every planned window, cancelled and past ones too, by when it starts."""
    statement = sa.select(brownouts).order_by(brownouts.c.starts_at, brownouts.c.id)
    if version is not None:
        statement = statement.where(brownouts.c.version == version)
    return [Window(*row) for row in connection.execute(statement)]


def fault(connection: Connection, version: ApiVersion, window: Brownout) -> str | None:
    """What speaks against planning this window, in one line; None when nothing does."""
    if (found := fault_of_window(version, window.starts, window.ends, window.percentage)) is not None:
        return found
    if window.starts < now():
        return f"{version.name}: a brownout that starts {rfc3339(window.starts)} comes unannounced: it is past"
    for other in (*version.brownouts, *read(connection).windows.get(version.name, ())):
        if window.overlaps(other):
            return f"{version.name}: there is a brownout for the same clients then: {other}"
    return None


def plan(connection: Connection, version: ApiVersion, window: Brownout, reason: str = "") -> int:
    """Plan a window against which nothing speaks; gives its id. LifecycleError says what does."""
    # Whoever plans waits here for this row until the other has committed: what is looked at still holds then.
    statement = insert(connection.dialect.name, switches).values(name=_PLANNED, changed_at=now())
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[switches.c.name], set_={"changed_at": statement.excluded.changed_at}
        )
    )
    if (found := fault(connection, version, window)) is not None:
        raise LifecycleError(found)
    return add(
        connection,
        version.name,
        window.starts,
        window.ends,
        client=window.client,
        percentage=window.percentage,
        reason=reason,
    )


def add(
    connection: Connection,
    version: str,
    starts_at: datetime,
    ends_at: datetime,
    *,
    client: str | None = None,
    percentage: int = 100,
    reason: str = "",
) -> int:
    """Keep a window, whatever it is; gives its id. `plan` is for one that must make sense."""
    planned = {
        "version": version,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "client": client,
        "percentage": percentage,
        "reason": reason,
        "created_at": now(),
    }
    return int(connection.execute(sa.insert(brownouts).values(planned).returning(brownouts.c.id)).scalar_one())


def heard_of(connection: Connection, client: str) -> bool:
    """Whether a client of this name is registered, or has called as far as the ledger tells."""
    known = sa.select(api_clients.c.id).where(api_clients.c.id == client)
    called = sa.select(usage.c.client).where(usage.c.client == client).limit(1)
    return any(connection.execute(found).first() is not None for found in (known, called))


def cancel(connection: Connection, window_id: int) -> bool:
    """End a window, or keep it from starting; False when there is none of this id that could be."""
    statement = (
        sa.update(brownouts)
        .where(brownouts.c.id == window_id, brownouts.c.cancelled_at.is_(None), brownouts.c.ends_at > now())
        .values(cancelled_at=now())
    )
    return bool(connection.execute(statement).rowcount)


def stop(connection: Connection) -> None:
    """The kill switch: no brownout hits anybody until `resume`."""
    row = {"name": _STOPPED, "changed_at": now()}
    connection.execute(insert(connection.dialect.name, switches).on_conflict_do_nothing(), [row])


def resume(connection: Connection) -> None:
    connection.execute(sa.delete(switches).where(switches.c.name == _STOPPED))


def stopped(connection: Connection) -> bool:
    return connection.execute(sa.select(switches.c.name).where(switches.c.name == _STOPPED)).first() is not None


class Watch:
    """Keeps a worker's schedule as the database has it. Entered in the application's lifespan.

    While the database is away, what was known last goes on to hold.
    """

    def __init__(self, database: Database, schedule: Schedule, seconds: float) -> None:
        self._database = database
        self._schedule = schedule
        self._seconds = seconds
        self._thread = CapacityLimiter(1)  # its own: a brownout must be stopped also while requests wait for theirs

    async def __aenter__(self) -> Self:
        await self.refresh()  # the first request must meet the brownouts that hold
        self._task = asyncio.create_task(self._watch_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def refresh(self) -> None:
        """Read the plan now."""

        def look_up() -> Plan:
            with self._database.read() as connection:
                return read(connection)

        try:
            self._schedule.plan = await run_sync(look_up, limiter=self._thread)
        except Exception:
            log.warning("brownouts not read, the last known ones hold", exc_info=True)

    async def _watch_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self.refresh()
