"""The administrators' page of who calls which version."""

from datetime import datetime, timedelta
from typing import NamedTuple

from fastapi import APIRouter
from starlette.responses import Response

from app.adoption import activity, plan
from app.adoption.activity import ClientUse
from app.domain.clock import now
from app.portal.brownouts import shown_windows
from app.portal.parts import Here
from app.portal.pictures import stacked
from app.portal.signing_in import HEADERS, SignedIn
from app.versioning import ApiVersion

router = APIRouter(prefix="/portal", include_in_schema=False)

SPANS = (7, 30, 90)  # days
_MOST_CLIENTS = 100


class Readiness(NamedTuple):
    """How far a client is from being able to do without a version: for now, what it has called of it."""

    client: ClientUse
    operations: int
    calls_a_day: float
    last_seen: datetime


@router.get("/adoption")
def adoption_page(who: SignedIn, here: Here, days: str = "30") -> Response:
    """Calls by day and version, clients by last seen, what keeps clients on versions that end, and brownouts."""
    at = now()
    span = int(days) if days in map(str, SPANS) else 30
    shown = [at.date() - timedelta(days=ago) for ago in reversed(range(span))]
    since = at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=span - 1)
    with here.services.database.read() as connection:
        calls = activity.calls_by_day(connection, [version.name for version in here.versions], since)
        clients = activity.clients_by_last_seen(connection, since, at, _MOST_CLIENTS + 1)
        ending = [version for version in here.versions if version.deprecated is not None]
        readiness = [(version, readiness_rows(version, clients[:_MOST_CLIENTS], span)) for version in ending]
        windows = shown_windows(plan.windows(connection), at)
        stopped = plan.stopped(connection)
    return here.pages.page(
        "adoption.html",
        headers=HEADERS,
        who=who,
        now=at,
        spans=SPANS,
        span=span,
        shown=shown,
        versions=here.versions,
        calls=calls,
        totals={name: sum(by_day.values()) for name, by_day in calls.items()},
        chart=stacked(shown, calls),
        clients=clients[:_MOST_CLIENTS],
        more=len(clients) > _MOST_CLIENTS,
        activity=activity.activity,
        readiness=readiness,
        windows=windows,
        stopped=stopped,
    )


def readiness_rows(version: ApiVersion, clients: list[ClientUse], span: int) -> list[Readiness]:
    """What is shown of each client that has called the version in the days shown, the busiest first."""
    rows = [
        Readiness(client, use.operations, use.calls / span, use.last_seen)
        for client in clients
        if (use := client.uses.get(version.name)) is not None
    ]
    return sorted(rows, key=lambda row: -row.calls_a_day)
