"""Brownouts: scheduled windows in which a version answers as it will after its sunset, so that nobody is surprised."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from app.versioning.times import rfc3339
from app.versioning.usage import Client


@dataclass(frozen=True)
class Brownout:
    """One window, `starts` included and `ends` excluded: for one client, or for a percentage of all of them."""

    starts: datetime
    ends: datetime
    client: str | None = None  # None: any
    percentage: int = 100

    def hits(self, client: str) -> bool:
        """Whether the window is for this client. A client stays on the same side, in every window and worker."""
        if self.client is not None:
            return client == self.client
        return self.percentage >= 100 or share_of(client) < self.percentage

    def state(self, at: datetime) -> Literal["planned", "open", "over"]:
        """How the window stands at that moment."""
        if at < self.starts:
            return "planned"
        return "open" if at < self.ends else "over"

    def __str__(self) -> str:
        """For people: from when to when, and for whom."""
        whom = f"{self.percentage} % of the clients" if self.percentage < 100 else "all clients"
        whom = whom if self.client is None else f"client {self.client}"
        return f"{rfc3339(self.starts)} to {rfc3339(self.ends)} for {whom}"

    def overlaps(self, other: "Brownout") -> bool:
        """Whether both are for the same clients at the same time: one of them, or any of them."""
        return self.client == other.client and self.starts < other.ends and other.starts < self.ends


def share_of(client: str) -> int:
    """A number from 0 to 99, the same for a client always: a percentage that grows hits no other clients instead."""
    return int.from_bytes(hashlib.sha256(client.encode(errors="surrogatepass")).digest()[:4], "big") % 100


@dataclass(frozen=True)
class Plan:
    """What holds just now beside what the versions declare; the service that plans at run time replaces it whole.

    `windows` are by the version's name. `exempt` clients are left out of every brownout. `stopped` is the kill switch.
    """

    windows: Mapping[str, Sequence[Brownout]] = field(default_factory=dict)
    exempt: frozenset[str] = frozenset()
    stopped: bool = False


class Schedule:
    """The brownouts of all versions. `plan` may be replaced at any time, from any thread."""

    def __init__(self, declared: Mapping[str, Sequence[Brownout]]) -> None:
        self._declared = declared
        self.plan = Plan()

    def windows(self, version: str) -> list[Brownout]:
        """All windows of a version, past ones too, in order; none while the kill switch is on."""
        plan = self.plan
        if plan.stopped:
            return []
        return sorted(
            [*self._declared.get(version, ()), *plan.windows.get(version, ())], key=lambda window: window.starts
        )

    def open(self, version: str, at: datetime) -> list[Brownout]:
        """The windows of a version that are open at that moment."""
        return [window for window in self.windows(version) if window.state(at) == "open"]

    def exempt(self, client: Client) -> bool:
        """Whether the client is left out; a User-Agent that bears the name of an exempt one is not."""
        return client.source == "token" and client.name in self.plan.exempt
