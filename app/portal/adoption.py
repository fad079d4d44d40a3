"""The administrators' page of who calls which version."""

from datetime import timedelta

from fastapi import APIRouter
from starlette.responses import Response

from app.adoption import activity, plan
from app.adoption.readiness import readiness
from app.domain.clock import now
from app.portal.brownouts import shown_windows
from app.portal.parts import Here
from app.portal.pictures import stacked
from app.portal.signing_in import HEADERS, SignedIn
from app.threads import threaded
from app.versioning import usage
from app.versioning.readiness import CANNOT_BE_SEEN

router = APIRouter(prefix="/portal", include_in_schema=False)

SPANS = (7, 30, 90)  # days
_MOST_CLIENTS = 100


@router.get("/adoption")
@threaded
def adoption_page(who: SignedIn, here: Here, days: str = "30") -> Response:
    """Calls by day and version, clients by last seen, what keeps clients on versions that end, and brownouts."""
    at = now()
    span = int(days) if days in map(str, SPANS) else 30
    shown = [at.date() - timedelta(days=ago) for ago in reversed(range(span))]
    since = at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=span - 1)
    with here.services.database.read() as connection:
        calls = activity.calls_by_day(connection, [version.name for version in here.versions], since)
        clients = activity.clients_by_last_seen(connection, since, at, _MOST_CLIENTS + 1)
        ready = [
            (version, readiness(connection, version, span))
            for version in here.versions
            if version.deprecated is not None and version.migration is not None
        ]
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
        activity=usage.activity,
        readiness=ready,
        most=_MOST_CLIENTS,
        unseen=CANNOT_BE_SEEN,
        windows=windows,
        stopped=stopped,
    )
