"""What a worker does with its usage in the background: storing it, telling of drift, letting go of what is old."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Self

import structlog
from anyio.to_thread import run_sync

from app.adoption import clients, ledger
from app.db import Database
from app.domain.clock import now
from app.versioning.usage import Counts, Use

_LOOK_SECONDS = 600.0  # how often a worker looks whether an hour has passed since any of them has pruned
_ALERT_AGAIN = timedelta(hours=1)

log = structlog.get_logger("tandem.usage")


class Bookkeeper:
    """Keeps a worker's ledger in the database. Entered in the application's lifespan.

    What is older than `hourly` is added up by the day, what is older than `kept` deleted: once an hour, by one worker.
    `on_drift` is told of a client, the version it is pinned to, the one it called instead, and how often.
    """

    def __init__(
        self,
        database: Database,
        *,
        hourly: timedelta,
        kept: timedelta,
        on_drift: Callable[[str, str, str, int], None],
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._hourly, self._kept = hourly, kept
        self._on_drift = on_drift
        self._look_seconds = look_seconds
        self._alerted: dict[tuple[str, str], datetime] = {}  # client and version: when the log was told last

    def store(self, counts: Counts) -> None:
        """Add what was gathered to the database; warn of registered clients that call what they are not pinned to."""
        registered = {use.client.name for use in counts.uses if use.client.source == "token"}
        with self._database.write() as connection:
            ledger.store(connection, counts)
            # In the transaction: failing after it, what is stored would be stored again.
            pins = clients.pins(connection, registered) if registered else {}
        for use, calls in sorted(counts.uses.items()):
            if use.client.source == "token" and pins.get(use.client.name, use.version) != use.version:
                try:
                    self._alert(use, pins[use.client.name], calls)
                except Exception:  # what is stored would be stored again
                    log.warning("client drift not told", exc_info=True)

    def _alert(self, use: Use, pinned: str, calls: int) -> None:
        client, called, moment = use.client.name, use.version, now()
        self._on_drift(client, pinned, called, calls)
        last = self._alerted.get((client, called))
        if last is None or moment - last >= _ALERT_AGAIN:
            self._alerted[client, called] = moment
            log.warning("client drift", client=client, pinned=pinned, called=called, operation=use.operation)

    def prune(self) -> ledger.Pruned | None:
        """Let go of what is old, if no worker did within the hour; None if one did."""
        with self._database.write() as connection:
            if not ledger.claim_pruning(connection, now()):
                return None
        with self._database.write_in_bulk() as connection:
            return ledger.prune(connection, hourly=self._hourly, kept=self._kept)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._prune_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _prune_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                await run_sync(self.prune)
            except Exception:
                log.warning("usage not pruned", exc_info=True)
