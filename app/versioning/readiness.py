"""Who would be hit by the sunset of a version: what each client calls, joined with what is different in the successor.

Pure: usage in, a verdict a client out. A client is `blocked` when a mechanical or semantic difference hits it: it has
to be changed before it can follow. It is `safe` when nothing but the URL changes for it, and `gone` when it has not
called for 90 days, whatever else is asked for: what counts is what was called within those.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from app.versioning.migration import Difference, Migration
from app.versioning.times import spelled
from app.versioning.usage import Activity, Client, activity

DAYS = 90  # over which calls a day are told, unless other ones are asked for
LOOKED_AT = timedelta(days=90)  # how far back calls say what hits a client: until it is gone
Verdict = Literal["safe", "blocked", "gone"]

CANNOT_BE_SEEN = (
    "Which members of a reply a client reads cannot be seen: who calls counts as hit by all that is different in it.",
    "Values are not kept: whoever sends a field counts as hit by a narrower range of it.",
    "Names that a document does not have are not kept, so whoever sends a body may send some that become a refusal.",
    "Refusals are counted by class: whoever was answered 4xx counts as hit by whatever is different in them.",
)


_ORDER: Sequence[Verdict] = ("blocked", "safe", "gone")


class Called(NamedTuple):
    """How often a client has called an operation with replies of a class, and when last.

    `calls` are those within the time looked at, `recent` those within the days that calls a day are told of.
    """

    client: Client
    operation: str
    status_class: int
    calls: int
    recent: int
    last_seen: datetime


class Sent(NamedTuple):
    """In how many calls within the time looked at a client sent a parameter ("query") or a member ("body")."""

    client: Client
    operation: str
    place: str
    name: str
    calls: int


class Hit(NamedTuple):
    operation: str
    difference: Difference


@dataclass(frozen=True)
class ClientReadiness:
    """One client.

    `operations` has the calls of each within the time looked at. `consented` is when it was said, for a registered
    client, that the date is known; None when it was not.
    """

    client: Client
    operations: Mapping[str, int]
    hits: Sequence[Hit]
    last_seen: datetime
    calls_a_day: float
    activity: Activity
    consented: datetime | None
    verdict: Verdict


@dataclass(frozen=True)
class Readiness:
    """All of a version.

    `others` more clients, known by their User-Agent, called so little that they were not assessed: `others_calls`
    times within the time looked at. `refused` ones never were answered but with an error: they are no clients of the
    version.
    """

    clients: Sequence[ClientReadiness]
    others: int
    others_calls: int
    refused: int

    @property
    def blocked(self) -> bool:
        """Whether the end of the version would hit somebody, as far as can be told: others that call might be hit."""
        return self.others_calls > 0 or any(each.verdict == "blocked" for each in self.clients)


def assess(
    migration: Migration,
    called: Sequence[Called],
    sent: Sequence[Sent],
    consents: Mapping[str, datetime],
    now: datetime,
    days: int = DAYS,
) -> list[ClientReadiness]:
    """Every client of a version, the blocked ones first, and then by how much they call.

    `called` has everything that is known of the version, `days` is how many days back `recent` was counted, and
    `consents` is by the ids of registered clients.
    """
    by_client: dict[Client, list[Called]] = {}
    for row in called:
        by_client.setdefault(row.client, []).append(row)
    fields: dict[Client, list[Sent]] = {}
    for field in sent:
        fields.setdefault(field.client, []).append(field)
    found = [
        _assessed(migration, client, rows, fields.get(client, ()), consents, now, days)
        for client, rows in by_client.items()
    ]
    return sorted(found, key=lambda each: (_ORDER.index(each.verdict), -each.calls_a_day, each.client))


def as_json(version: str, successor: str | None, days: int, found: Readiness) -> dict[str, Any]:
    """The report as the command and the API give it; times are RFC 3339."""
    return {
        "version": version,
        "successor": successor,
        "days": days,
        "summary": {verdict: sum(each.verdict == verdict for each in found.clients) for verdict in _ORDER},
        "clients": [
            {
                "client": each.client.name,
                "source": each.client.source,
                "verdict": each.verdict,
                "activity": each.activity,
                "last_seen": spelled(each.last_seen),
                "calls_a_day": round(each.calls_a_day, 2),
                "consented": spelled(each.consented),
                "operations": [{"operation": name, "calls": calls} for name, calls in each.operations.items()],
                "changes": [{"operation": hit.operation, **_change(hit.difference)} for hit in each.hits],
            }
            for each in found.clients
        ],
        "others": {"clients": found.others, "calls": found.others_calls},
        "refused": found.refused,
        "cannot_be_seen": list(CANNOT_BE_SEEN),
    }


def _change(difference: Difference) -> dict[str, Any]:
    return {name: value for name, value in difference.as_json().items() if name != "hits"}


def _assessed(
    migration: Migration,
    client: Client,
    rows: Sequence[Called],
    sent: Sequence[Sent],
    consents: Mapping[str, datetime],
    now: datetime,
    days: int,
) -> ClientReadiness:
    last_seen = max(row.last_seen for row in rows)
    operations: dict[str, int] = {}
    for row in rows:
        if row.calls:
            operations[row.operation] = operations.get(row.operation, 0) + row.calls
    hits = [hit for operation in operations for hit in _hits(migration, operation, rows, sent)]
    alive = activity(last_seen, now)
    verdict: Verdict = "blocked" if any(hit.difference.effort != "trivial" for hit in hits) else "safe"
    return ClientReadiness(
        client=client,
        operations=dict(sorted(operations.items())),
        hits=hits,
        last_seen=last_seen,
        calls_a_day=sum(row.recent for row in rows) / days,
        activity=alive,
        consented=consents.get(client.name) if client.source == "token" else None,
        verdict="gone" if alive == "gone" else verdict,
    )


def _hits(migration: Migration, operation: str, rows: Sequence[Called], sent: Sequence[Sent]) -> Iterator[Hit]:
    here = [row for row in rows if row.operation == operation]
    calls = sum(row.calls for row in here)
    refused = any(row.status_class == 4 and row.calls for row in here)
    named = {(field.place, field.name): field.calls for field in sent if field.operation == operation}
    for each in migration.of(operation):
        in_calls = named.get((each.place, (each.pointer or "").strip("/").partition("/")[0]), 0)
        hit = {
            "callers": True,
            "senders": in_calls > 0,
            "omitters": in_calls < calls,
            "refused": refused,
            "nobody": False,
        }[each.hits]
        if hit:
            yield Hit(operation, each)
