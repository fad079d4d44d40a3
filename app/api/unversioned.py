"""What programs find outside the versions: health, and explanations of problems."""

import asyncio
from collections.abc import Mapping

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.db import Database, schema
from app.versioning import Problem, ProblemType
from app.versioning.pages import Pages
from app.versioning.problems import plain_document, unavailable

_PROBE_SECONDS = 1.0  # how long /readyz waits for the database


def build_router(
    database: Database,
    *,
    pages: Pages,
    problem_types: Mapping[str, ProblemType],
    schema_revision: str,
) -> APIRouter:
    """The routes. `schema_revision` is the migration the code was written for."""
    router = APIRouter(include_in_schema=False)
    readiness = _Readiness(database, schema_revision)

    @router.get("/livez")
    async def livez() -> Response:
        """The process runs. Asks nothing of anybody."""
        return JSONResponse({"status": "ok"})

    @router.get("/readyz")
    async def readyz(request: Request) -> Response:
        """Requests can be answered: the database is there, and its schema is the one this code knows."""
        problem = await readiness.problem()
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


class _Readiness:
    """Whether the database is there, with the schema that the code was written for.

    One look at a time, however many ask: behind a database that hangs the looks would pile up.
    """

    def __init__(self, database: Database, schema_revision: str) -> None:
        self._database = database
        self._schema_revision = schema_revision
        self._thread = CapacityLimiter(1)  # its own: it must answer also while requests wait for theirs
        self._look: asyncio.Task[Problem | None] | None = None

    async def problem(self) -> Problem | None:
        """Why no request can be answered; None if they can. It takes a second at most."""
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(run_sync(self._why_not_ready, limiter=self._thread))
        try:
            return await asyncio.wait_for(asyncio.shield(self._look), _PROBE_SECONDS)
        except TimeoutError:
            return unavailable("The database does not answer")

    def _why_not_ready(self) -> Problem | None:
        try:
            with self._database.read() as connection:
                revision = schema.current(connection)
        except SQLAlchemyError:
            return unavailable("The database does not answer")
        # Past it is as good: a release migrates before its workers start, and must not take the ones that serve away.
        if revision is None or revision < self._schema_revision:
            return unavailable("The database is not at the newest migration: tandem db upgrade")
        return None
