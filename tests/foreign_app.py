"""An application of other people: kettles in two versions, without a database, on the kernel alone."""

from datetime import UTC, datetime

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from app.versioning import ApiVersion, ErrorFormat, Installation, Migration, Problem, install
from app.versioning.usage import Counts


class Fault(BaseModel):
    fault: str


class Kettle(BaseModel):
    litres: float


def render(problem: Problem, _: Request) -> Response:
    return JSONResponse({"fault": problem.detail}, problem.status, problem.headers)


ERRORS = ErrorFormat(render, "application/json", model=Fault, validation_model=Fault)
old, new = APIRouter(), APIRouter()


@old.get("/kettle")
def get_kettle() -> Kettle:
    return Kettle(litres=1.7)


@new.get("/kettles/{number}")
def get_kettle_by_number(number: int) -> Kettle:
    return Kettle(litres=1.7 * number)


V1 = ApiVersion(
    name="v1",
    router=old,
    errors=ERRORS,
    title="Kitchen",
    summary="A kettle.",
    description="A kettle.",
    revision="1.0.0",
    frozen=True,
    status="deprecated",
    successor="v2",
    policy="/policy",
    deprecated=datetime(2026, 1, 1, tzinfo=UTC),
    sunset=datetime(2028, 1, 1, tzinfo=UTC),
    migration=Migration(resource=lambda _: "/v2/kettles/1"),
)
V2 = ApiVersion("v2", new, ERRORS, "Kitchen", "Kettles.", "Kettles.", "2.0.0")
counted: list[Counts] = []
app = FastAPI(openapi_url=None)
install(app, Installation(versions=(V1, V2), translate={}, info={}, store_usage=counted.append))
