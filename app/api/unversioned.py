"""What lies outside the versions: the front page, explanations of problems, health."""

from collections.abc import Mapping, Sequence
from html import escape

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.db import Database, migrations
from app.versioning import ApiVersion, Problem, ProblemType
from app.versioning.problems import plain_document, unavailable

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}}
pre{{background:#f4f4f4;padding:.75rem;overflow-x:auto}}</style></head>
<body><main><h1>{title}</h1>
{body}
</main></body>
</html>
"""
_PAGE_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def build_router(
    database: Database,
    *,
    versions: Sequence[ApiVersion],
    problem_types: Mapping[str, ProblemType],
    schema_revision: str | None,
    docs_enabled: bool,
) -> APIRouter:
    """The routes. `schema_revision` is the migration the code was written for."""
    router = APIRouter(include_in_schema=False)
    readiness_threads = CapacityLimiter(1)  # its own: it must answer also while requests wait for theirs

    @router.get("/livez")
    async def livez() -> Response:
        """The process runs. Asks nothing of anybody."""
        return JSONResponse({"status": "ok"})

    @router.get("/readyz")
    async def readyz(request: Request) -> Response:
        """Requests can be answered: the database is there, and its schema is the one this code knows."""
        problem = await run_sync(_why_not_ready, database, schema_revision, limiter=readiness_threads)
        if problem is not None:
            content = plain_document(problem, request.state.request_id)
            return JSONResponse(content, problem.status, problem.headers, "application/problem+json")
        return JSONResponse({"status": "ok"})

    @router.get("/problems/{code}")
    async def explain_problem(code: str) -> Response:
        """What a problem's `type` leads to."""
        problem = problem_types.get(code)
        if problem is None:
            raise HTTPException(404, "There is no problem type of this name")
        body = f"<p>Status {problem.status}. {escape(problem.explanation)}</p>"
        return _page(problem.title, body)

    if docs_enabled:

        @router.get("/")
        async def portal(request: Request) -> Response:
            """The front page: which versions there are."""
            return _front_page(versions, str(request.base_url).rstrip("/"))

    return router


def _front_page(versions: Sequence[ApiVersion], base_url: str) -> Response:
    items = "".join(
        f"<li><strong>{version.name}</strong> ({escape(version.status)}): {escape(version.summary)} "
        f'<a href="{version.prefix}/docs">docs</a>, <a href="{version.prefix}/openapi.json">OpenAPI</a></li>'
        for version in versions
    )
    return _page(
        "Tandem",
        f"<p>One service, {len(versions)} API generations.</p><ul>{items}</ul>"
        f"<p>A first request:</p><pre>curl {escape(base_url + versions[-1].prefix)}/posts</pre>"
        '<p>Health: <a href="/livez">/livez</a>, <a href="/readyz">/readyz</a>. '
        'Versions as JSON: <a href="/versions">/versions</a>.</p>',
    )


def _page(title: str, body: str) -> Response:
    return HTMLResponse(_PAGE.format(title=escape(title), body=body), headers=_PAGE_POLICY)


def _why_not_ready(database: Database, schema_revision: str | None) -> Problem | None:
    try:
        with database.read() as connection:
            revision = migrations.current(connection)
    except SQLAlchemyError:
        return unavailable("The database does not answer")
    if revision != schema_revision:
        return unavailable("The database is not at the newest migration: tandem db upgrade")
    return None
