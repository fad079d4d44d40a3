"""What programs find outside the versions: health, and explanations of problems."""

from collections.abc import Mapping

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.db import Database, migrations
from app.versioning import Problem, ProblemType
from app.versioning.pages import Pages
from app.versioning.problems import plain_document, unavailable


def build_router(
    database: Database,
    *,
    pages: Pages,
    problem_types: Mapping[str, ProblemType],
    schema_revision: str | None,
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
        return pages.page("problem.html", problem=problem)

    return router


def _why_not_ready(database: Database, schema_revision: str | None) -> Problem | None:
    try:
        with database.read() as connection:
            revision = migrations.current(connection)
    except SQLAlchemyError:
        return unavailable("The database does not answer")
    # Past it is as good: a release migrates before its workers start, and must not take the ones that serve away.
    if revision is None or (revision != schema_revision and migrations.knows(revision)):
        return unavailable("The database is not at the newest migration: tandem db upgrade")
    return None
