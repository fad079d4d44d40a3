"""How programs find the versions: `/versions`, and the API catalog (RFC 9727)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.versioning.brownouts import Schedule
from app.versioning.lifecycle import guide_path
from app.versioning.times import spelled
from app.versioning.version import ApiVersion

CATALOG_PATH = "/.well-known/api-catalog"
_LINKSET = 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'


def build_router(versions: Sequence[ApiVersion], schedule: Schedule, *, docs_enabled: bool) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/versions")
    async def list_versions() -> Response:
        """The versions served, where each is described, and how long it lives."""
        return JSONResponse(
            {"versions": [described(version, schedule, docs_enabled=docs_enabled) for version in versions]}
        )

    @router.get(CATALOG_PATH)
    async def api_catalog() -> Response:
        """The same for programs that look at the well-known place, as a set of links (RFC 9264)."""
        linkset: list[dict[str, Any]] = [
            {"anchor": CATALOG_PATH, "item": [{"href": version.prefix} for version in versions]},
            *(_catalogued(version, docs_enabled=docs_enabled) for version in versions),
        ]
        link = {"Link": f'<{CATALOG_PATH}>; rel="api-catalog"'}
        return Response(JSONResponse({"linkset": linkset}).body, media_type=_LINKSET, headers=link)

    return router


def described(version: ApiVersion, schedule: Schedule, *, docs_enabled: bool = True) -> dict[str, Any]:
    """A version as `/versions` tells of it; null for what it does not have."""
    now = datetime.now(UTC)
    openapi, docs = version.document_paths
    return {
        "name": version.name,
        "status": version.phase(now),
        "frozen": version.frozen,
        "summary": version.summary,
        "base": version.prefix,
        "openapi": openapi if docs_enabled else None,
        "docs": docs if docs_enabled else None,
        "deprecated": spelled(version.deprecated),
        "sunset": spelled(version.sunset),
        "successor": version.successor,
        "policy": version.policy,
        "migration": f"{guide_path(version)}.json" if version.migration else None,
        "brownouts": [
            {"starts": spelled(window.starts), "ends": spelled(window.ends), "percentage": window.percentage}
            for window in schedule.windows(version.name)
            if window.ends > now and window.client is None  # one client's own is nobody else's business
        ],
    }


def _catalogued(version: ApiVersion, *, docs_enabled: bool) -> dict[str, Any]:
    openapi, docs = version.document_paths
    links: dict[str, Any] = {"anchor": version.prefix, "status": [{"href": "/versions", "type": "application/json"}]}
    if docs_enabled:
        links["service-desc"] = [{"href": openapi, "type": "application/json"}]
        links["service-doc"] = [{"href": docs, "type": "text/html"}]
    if version.successor is not None:
        links["successor-version"] = [{"href": f"/{version.successor}"}]
    if version.deprecated is not None and version.migration is not None:
        links["deprecation"] = [{"href": guide_path(version), "type": "text/html"}]
    if version.sunset is not None and version.policy is not None:
        links["sunset"] = [{"href": version.policy, "type": "text/html"}]
    return links
