"""Quotas: how many requests a caller may send in a window of time, counted by one worker or in Redis by all.

Windows are fixed and begin at whole multiples of their length since 1970, so that every worker knows by itself when
they end: one number a caller has to be counted, in one step, and nothing has to be cleared (docs/decisions/0013).
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

MOST_CALLERS = 100_000  # told apart by a worker in a window; whoever comes after them shares one count
LONGEST_WINDOW = 86_400  # seconds
_OTHERS = "others"
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_RATE = re.compile(r"\s*(\d{1,9})\s*(?:/|per)\s*(\d{1,9})?\s*([a-z]+?)s?\s*", re.ASCII | re.IGNORECASE)


class Policy(NamedTuple):
    """So many requests a window; `name` is a word of the fields that tell of it."""

    name: str
    quota: int
    window: int  # seconds

    @classmethod
    def parse(cls, name: str, text: str) -> "Policy":
        """From a notation such as "30000/minute" or "100 per 10 seconds". ValueError for what is none."""
        rate = _RATE.fullmatch(text)
        if rate is None or rate[3].lower() not in _UNITS:
            raise ValueError("is not one rate limit; write it as 30000/minute or 100 per 10 seconds")
        policy = cls(name, int(rate[1]), int(rate[2] or 1) * _UNITS[rate[3].lower()])
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


class Counters(Protocol):
    """Where requests are counted."""

    async def count(self, policy: Policy, caller: str, window: int) -> int:
        """Count one more request of the caller in the window of this number; gives how many there are."""


class MemoryCounters:
    """Of one worker."""

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
