"""An API of other nouns than ours and without a database, to look at the kernel by itself."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from app.versioning import ApiVersion, ErrorFormat, Installation, Installed, Migration, Problem, install

DEPRECATED = datetime(2027, 1, 1, tzinfo=UTC)
SUNSET = datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC)


class Kettle(BaseModel):
    litres: int


class Failure(BaseModel):
    error: str


def _render(problem: Problem, _: Request) -> Response:
    return JSONResponse({"error": problem.detail}, problem.status, dict(problem.headers))


def _router() -> APIRouter:
    router = APIRouter()

    @router.get("/kettles/{litres}")
    def read_kettle(litres: int) -> Kettle:
        return Kettle(litres=litres)

    @router.get("/spouts")
    def list_spouts(response: Response) -> list[str]:
        """It has links of its own, in two lines."""
        response.headers.append("Link", '</v1/spouts?page=2>; rel="next"')
        response.headers.append("Link", '</v1/spouts?page=9>; rel="last"')
        return []

    return router


def version(name: str = "v2", **changes: Any) -> ApiVersion:
    """A version that is current and goes on."""
    errors = ErrorFormat(_render, "application/json", model=Failure, validation_model=Failure)
    made = ApiVersion(name, _router(), errors, "Kitchen", "Kettles.", "Kettles and their spouts.", "1.0.0")
    return replace(made, **changes)


def ending(name: str = "v1", **changes: Any) -> ApiVersion:
    """A version that is deprecated in favour of v2, and ends."""
    values = {
        "status": "deprecated",
        "deprecated": DEPRECATED,
        "sunset": SUNSET,
        "successor": "v2",
        "policy": "/how-versions-end",
        "migration": Migration(lambda request: request.scope["path"].replace("/v1", "/v2", 1)),
    }
    return version(name, **{**values, **changes})


def serve(*versions: ApiVersion, **more: Any) -> tuple[FastAPI, Installed]:
    """An application that serves these versions; `more` goes into the Installation."""
    app = FastAPI(openapi_url=None)
    return app, install(app, Installation(versions=versions, translate={}, info={}, **more))
