"""Counting requests in Redis, for all workers together. Imported only where one is set: its client takes 4 MB."""

import asyncio
import re
import time
from collections.abc import Callable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.versioning.quotas import MemoryCounters, Policy

PATIENCE = 0.1  # how long Redis may take to answer, seconds
PAUSE = 1.0  # how long it is left alone when it did not, seconds

_URL = re.compile(r"rediss?://[^/?]*(/\d*)?(\?.*)?")  # the client takes a database that is no number for the first one

log = structlog.get_logger("tandem.limits")


def redis_client(url: str) -> Redis:
    """The client of a Redis; connects to nothing yet. ValueError for what is no URL of one."""
    try:
        if not _URL.fullmatch(url):
            raise ValueError("another form")
        client = Redis.from_url(url)
        client.connection_pool.make_connection()  # options that are none show here
    except (TypeError, ValueError):
        raise ValueError("is no address of a Redis; try redis://localhost:6379/0") from None
    return client


class RedisCounters:
    """Of all workers, in Redis. While it does not answer in time, every worker counts for itself.

    Then one request in `PAUSE` seconds asks it again, so that none waits for longer than `PATIENCE`, and hardly any at
    all. `on_change` is called with whether the workers count together, when that changes.
    """

    def __init__(self, url: str, on_change: Callable[[bool], None] = lambda _: None) -> None:
        self._redis = redis_client(url)
        self._alone = MemoryCounters()
        self._away = False
        self._ask_again = 0.0
        self._on_change = on_change

    async def count(self, policy: Policy, caller: str, window: int) -> int:
        moment = time.monotonic()
        if self._away and moment < self._ask_again:
            return await self._alone.count(policy, caller, window)
        self._ask_again = moment + PAUSE
        try:
            async with asyncio.timeout(PATIENCE):
                used = await self._add_one(f"tandem-limits:{policy.name}/{caller}/{window}", policy.window)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._note(away=True, reason=str(error) or "no answer in time")
            return await self._alone.count(policy, caller, window)
        self._note(away=False)
        return used

    async def _add_one(self, key: str, seconds: int) -> int:
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, seconds)
            used, _ = await pipeline.execute()
        return int(used)

    def _note(self, *, away: bool, reason: str = "") -> None:
        if away == self._away:
            return
        self._away = away
        if away:
            log.warning("Redis does not answer: each worker counts requests for itself", reason=reason)
        else:
            log.warning("Redis answers again: the workers count requests together")
        self._on_change(not away)

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()
