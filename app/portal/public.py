"""The pages for everybody: which versions there are, and how they end."""

from collections import Counter
from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.domain.clock import now
from app.portal.parts import Here
from app.portal.pictures import timeline
from app.versioning import ApiVersion, lifecycle, registry
from app.versioning.migration import Migration

overview = APIRouter(include_in_schema=False)
policy = APIRouter(include_in_schema=False)  # apart: replies link to it, so it is there with the documents off, too


class Change(NamedTuple):
    """What moving from a version to its successor takes: how many operations need how much, and what holds for all."""

    version: ApiVersion
    everywhere: list[str]
    operations: dict[str, int]


@overview.get("/")
async def front_page(request: Request, here: Here) -> Response:
    """Which versions there are, how long each lives, what changed, and where to begin."""
    at = now()
    return here.pages.page(
        "overview.html",
        now=at,
        versions=here.versions,
        newest=here.versions[-1],
        timeline=timeline(here.versions, here.schedule, at),
        changes=[change(version, version.migration) for version in here.versions if version.migration],
        base_url=_base_url(request),
    )


@policy.get("/policy")
async def policy_page(request: Request, here: Here) -> Response:
    """What a sunset means: the page that the links with rel="sunset" lead to (RFC 8594, section 6)."""
    ending = [version for version in here.versions if version.deprecated is not None]
    return here.pages.page(
        "policy.html",
        now=now(),
        versions=here.versions,
        newest=here.versions[-1],
        months=registry.SUPPORT_MONTHS,
        notice=registry.LEAST_NOTICE.days,
        base_url=_base_url(request),
        announcements=[
            (
                version,
                {**lifecycle.announcement(version), "Link": lifecycle.links(version, docs_enabled=here.docs_enabled)},
            )
            for version in ending
        ],
    )


def _base_url(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def change(version: ApiVersion, migration: Migration) -> Change:
    """An operation counts by the hardest of what is different for it."""
    hardest = Counter(operation.effort if operation.successors else "removed" for operation in migration.operations)
    return Change(
        version,
        [
            each.note.replace("`", "")
            for each in migration.everywhere
            if each.note and each.kind not in ("added", "removed")
        ],
        dict(hardest),
    )
