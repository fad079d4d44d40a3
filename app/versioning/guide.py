"""How to move to the successor: the migration map for programs, and the guide that is rendered from it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from app.versioning.examples import Example, example_of, written
from app.versioning.lifecycle import guide_path
from app.versioning.migration import EFFORTS, Difference, Migration, OperationMap, added_operations, as_json
from app.versioning.pages import Pages
from app.versioning.version import ApiVersion

_PARTS = (
    ("The operation", ("operation", "rule")),
    ("What is sent", ("path", "query", "body", "media", "security")),
    ("What is answered", ("reply", "header", "status")),
    ("Refusals", ("errors",)),
)


class Part(NamedTuple):
    """Entries of a kind: those that take something or say something, and the pointers of the rest."""

    title: str
    entries: Sequence[Difference]
    kept: Sequence[str]
    added: Sequence[str]


class Section(NamedTuple):
    """One operation of the guide, with the same exchange in both versions."""

    map: OperationMap
    parts: Sequence[Part]
    old: Example
    new: Example | None


def build_router(versions: Sequence[ApiVersion], documents: Mapping[str, Mapping[str, Any]], pages: Pages) -> APIRouter:
    """`/versions/<name>/migration` and `/versions/<name>/migration.json` of every version that has a migration."""
    router = APIRouter(include_in_schema=False)
    for version in versions:
        if version.migration is not None and version.successor is not None:
            _serve(router, version, version.successor, version.migration, documents, pages)
    return router


def _serve(
    router: APIRouter,
    version: ApiVersion,
    successor: str,
    migration: Migration,
    documents: Mapping[str, Mapping[str, Any]],
    pages: Pages,
) -> None:
    content = as_json(version.name, successor, migration, documents[successor])

    async def migration_map() -> Response:
        return JSONResponse(content)

    async def guide(request: Request) -> Response:
        return pages.page(
            "migration.html",
            version=version,
            successor=successor,
            efforts=reversed(EFFORTS),
            everywhere=_parts(migration.everywhere),
            sections=[_section(version, successor, each, documents, request) for each in migration.operations],
            added=added_operations(successor, migration, documents[successor]),
            written=written,
        )

    router.get(f"{guide_path(version)}.json")(migration_map)
    router.get(guide_path(version))(guide)


def _section(
    version: ApiVersion,
    successor: str,
    each: OperationMap,
    documents: Mapping[str, Mapping[str, Any]],
    request: Request,
) -> Section:
    old = example_of(documents[version.name], version.prefix, each.operation, each.example)
    new = None
    if each.successors:
        url = _translated(version, old.request, request) if "?" in old.request else None
        new = example_of(documents[successor], f"/{successor}", each.successors[0], each.example, url)
    return Section(each, _parts(each.differences), old, new)


def _translated(version: ApiVersion, request_line: str, request: Request) -> str:
    """Where the service itself says that the example's URL leads."""
    assert version.migration is not None
    method, url = request_line.split(" ")
    path, query = urlsplit(url).path, urlsplit(url).query
    scope = {**request.scope, "method": method, "path": path, "query_string": query.encode()}
    return version.migration.resource(Request(scope))


def _parts(differences: Sequence[Difference]) -> list[Part]:
    found = []
    for title, places in _PARTS:
        here = [each for each in differences if each.place in places]
        silent = [each for each in here if not each.note and each.kind in ("kept", "added")]
        entries = sorted(
            (each for each in here if each not in silent), key=lambda each: EFFORTS.index(each.effort), reverse=True
        )
        kept, added = ([each.to or "" for each in silent if each.kind == kind] for kind in ("kept", "added"))
        if here:
            found.append(Part(title, entries, kept, added))
    return found
