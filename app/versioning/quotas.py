"""Quotas: how many requests a caller may send in a window of time, counted by one worker or in Redis by all.

Windows are fixed and begin at whole multiples of their length since 1970, so that every worker knows by itself when
they end: one number a caller has to be counted, in one step, and nothing has to be cleared (docs/decisions/0013).
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import structlog
from limits import parse_many
from limits.aio.storage import RedisStorage
from limits.errors import ConfigurationError
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

MOST_CALLERS = 100_000  # told apart by a worker in a window; whoever comes after them shares one count
LONGEST_WINDOW = 86_400  # seconds
PATIENCE = 0.1  # how long Redis may take to answer, seconds
PAUSE = 1.0  # how long it is left alone when it did not, seconds
_OTHERS = "others"

log = structlog.get_logger("tandem.limits")


class Policy(NamedTuple):
    """So many requests a window; `name` is a word of the fields that tell of it."""

    name: str
    quota: int
    window: int  # seconds

    @classmethod
    def parse(cls, name: str, text: str) -> "Policy":
        """From the notation of `limits`: "30000/minute", "100 per 10 seconds". ValueError for what is none."""
        try:
            (limit,) = parse_many(text)
        except ValueError:
            raise ValueError("is not one rate limit; write it as 30000/minute or 100 per 10 seconds") from None
        policy = cls(name, limit.amount, limit.get_expiry())
        if policy.quota < 1 or not 1 <= policy.window <= LONGEST_WINDOW:
            raise ValueError("must allow at least 1 request, in a window of at most a day; try 30000/minute")
        return policy


class Standing(NamedTuple):
    """How far a caller has used up a quota, the present request included; `reset` is when the next window begins."""

    policy: Policy
    used: int
    reset: int  # seconds from now, 1 or more

    @property
    def remaining(self) -> int:
        return max(0, self.policy.quota - self.used)

    @property
    def exceeded(self) -> bool:
        return self.used > self.policy.quota


def ratelimit_fields(standings: Sequence[Standing]) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit`, of each quota that counts (draft-ietf-httpapi-ratelimit-headers-10)."""
    return {
        "RateLimit-Policy": ", ".join(
            f'"{it.policy.name}";q={it.policy.quota};w={it.policy.window}' for it in standings
        ),
        "RateLimit": ", ".join(f'"{it.policy.name}";r={it.remaining};t={it.reset}' for it in standings),
    }


def x_ratelimit_fields(standings: Sequence[Standing]) -> dict[str, str]:
    """`X-RateLimit-*` as older clients know them, of the quota that is nearest to its end; Reset is in seconds."""
    nearest = min(standings, key=lambda it: it.remaining)
    return {
        "X-RateLimit-Limit": str(nearest.policy.quota),
        "X-RateLimit-Remaining": str(nearest.remaining),
        "X-RateLimit-Reset": str(nearest.reset),
    }


def redis_storage(redis_url: str) -> tuple[RedisStorage, ConnectionPool]:
    """Where Redis counts, and its connections, none of them open yet. ValueError for what is no URL of a Redis."""
    try:
        if not redis_url.startswith(("redis://", "rediss://")):
            raise ValueError("another scheme")
        pool = ConnectionPool.from_url(redis_url)
        pool.make_connection()  # options that are none show here
        options: Mapping[str, Any] = {"connection_pool": pool}
        return RedisStorage(redis_url, implementation="redispy", key_prefix="tandem-limits", **options), pool
    except (TypeError, ValueError, ConfigurationError):
        raise ValueError("is no address of a Redis; try redis://localhost:6379/0") from None


class Counters(Protocol):
    """Where requests are counted."""

    async def count(self, policy: Policy, caller: str, window: int) -> int:
        """Count one more request of the caller in the window of this number; gives how many there are."""


class MemoryCounters:
    """Of one worker. (`limits` has such a storage as well, which looks through all callers at every request.)"""

    def __init__(self) -> None:
        self._counts: dict[Policy, tuple[int, dict[str, int]]] = {}  # of the present window, by its number

    async def count(self, policy: Policy, caller: str, window: int) -> int:
        present, counts = self._counts.get(policy, (None, {}))
        if present != window:
            counts = {}
            self._counts[policy] = window, counts
        if caller not in counts and len(counts) >= MOST_CALLERS:
            caller = _OTHERS
        counts[caller] = counts.get(caller, 0) + 1
        return counts[caller]


class RedisCounters:
    """Of all workers, in Redis. While it does not answer in time, every worker counts for itself.

    Then one request in `PAUSE` seconds asks it again, so that none waits for longer than `PATIENCE`, and hardly any at
    all. `on_change` is called with whether the workers count together, when that changes.
    """

    def __init__(self, url: str, on_change: Callable[[bool], None] = lambda _: None) -> None:
        self._redis, self._pool = redis_storage(url)
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
                used = await self._redis.incr(f"{policy.name}/{caller}/{window}", policy.window)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._note(away=True, reason=str(error) or "no answer in time")
            return await self._alone.count(policy, caller, window)
        self._note(away=False)
        return used

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
        await self._pool.disconnect()


@dataclass(frozen=True)
class Limits:
    """Who may send how much. A request with a good access token counts for its account, and for the registered client
    that it names; every other one for the address it comes from.
    """

    account: Policy
    client: Policy
    address: Policy
    counters: Counters = field(default_factory=MemoryCounters)

    async def count(self, account: str | None, client: str | None, address: str) -> list[Standing]:
        """Count a request and say how its sender stands; what is refused an account counts for no client."""
        if account is None:
            return [await self._count(self.address, address)]
        standings = [await self._count(self.account, account)]
        if client is not None and not standings[0].exceeded:
            standings.append(await self._count(self.client, client))
        return standings

    async def _count(self, policy: Policy, caller: str) -> Standing:
        number, past = divmod(int(time.time()), policy.window)
        return Standing(policy, await self.counters.count(policy, caller, number), policy.window - past)
