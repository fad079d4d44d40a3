"""Counting requests in Redis, for all workers together. Imported only where one is set: its client takes 4 MB."""

import asyncio
import re
import time
from collections.abc import Callable
from contextvars import Context
from typing import NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.versioning.quotas import MemoryCounters, Policy

PATIENCE = 0.25  # how long Redis may take to answer, seconds; a worker that waits for a core looks late
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


class _Count(NamedTuple):
    key: str
    seconds: int  # that the key lives
    used: asyncio.Future[int]


class RedisCounters:
    """Of all workers, in Redis. While it does not answer in time, every worker counts for itself.

    Then one request in `PAUSE` seconds asks it again, so that hardly any waits. `on_change` is called with whether the
    workers count together, when that changes.

    What requests count while an answer is under way goes to Redis together, after it and over the same connection. With
    one for each, many at once would be busy connecting for longer than `PATIENCE`. To count takes twice that at most:
    who waits behind an answer that does not come hears of it at once.
    """

    def __init__(self, url: str, on_change: Callable[[bool], None] = lambda _: None) -> None:
        self._redis = redis_client(url)
        self._waiting: list[_Count] = []
        self._asking: asyncio.Task[None] | None = None
        self._alone = MemoryCounters()
        self._away = False
        self._ask_again = 0.0
        self._on_change = on_change

    async def connect(self) -> None:
        """Before the first request, which would have to wait for it. Where Redis is away, it is asked again later."""
        self._ask_again = time.monotonic() + PAUSE
        try:
            async with asyncio.timeout(PAUSE):  # no request waits yet
                await self._redis.execute_command("PING")
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._note(error)

    async def count(self, policy: Policy, caller: str, window: int) -> int:
        moment = time.monotonic()
        if self._away and moment < self._ask_again:
            return await self._alone.count(policy, caller, window)
        self._ask_again = moment + PAUSE
        try:
            used = await self._add_one(f"tandem-limits:{policy.name}/{caller}/{window}", policy.window)
        except (RedisError, OSError) as error:
            self._note(error)
            return await self._alone.count(policy, caller, window)
        self._note(None)
        return used

    async def _add_one(self, key: str, seconds: int) -> int:
        used: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Count(key, seconds, used))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), context=Context())  # of no request: it is for many
        return await used

    async def _ask(self) -> None:
        """Until nobody waits any more, or all of them have heard that there is no answer."""
        while self._waiting:
            taken, self._waiting = self._waiting, []
            try:
                async with asyncio.timeout(PATIENCE), self._redis.pipeline(transaction=True) as pipeline:
                    for count in taken:
                        pipeline.incr(count.key)
                        pipeline.expire(count.key, count.seconds)
                    answers = await pipeline.execute()
            except Exception as error:  # noqa: BLE001 - who waits hears of it
                taken, self._waiting = taken + self._waiting, []
                for count in taken:
                    if not count.used.done():
                        count.used.set_exception(error)
                return
            for count, used in zip(taken, answers[::2], strict=True):
                if not count.used.done():  # its request was not given up
                    count.used.set_result(int(used))

    def _note(self, error: Exception | None) -> None:
        """That Redis has answered, or how it failed to; told when that is another than the last time."""
        away = error is not None
        if away == self._away:
            return
        self._away = away
        if away:
            reason = str(error) or "no answer in time"
            log.warning("Redis does not answer: each worker counts requests for itself", reason=reason)
        else:
            log.warning("Redis answers again: the workers count requests together")
        self._on_change(not away)

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()
