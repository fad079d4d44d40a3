"""The kernel in an application of other people: it asks for little, and gives everything."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterable
from datetime import datetime
from enum import Enum
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Literal

import pytest
import time_machine
from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse

from app.threads import in_thread, set_threads
from app.versioning import ApiVersion, Installation, install
from app.versioning.contract import released
from app.versioning.query_parameters import QueryOf
from tests import foreign_app as kitchen


@pytest.fixture
def client():
    kitchen.counted.clear()
    with TestClient(kitchen.app) as client:
        yield client


def application_of(router: APIRouter) -> FastAPI:
    """An application whose one version has these routes."""
    app = FastAPI(openapi_url=None)
    version = ApiVersion("v1", router, kitchen.ERRORS, "Kitchen", "Pots.", "Pots.", "1.0.0")
    install(app, Installation(versions=[version], translate={}, info={}))
    return app


def test_it_asks_for_less_than_sixty_lines():
    """The application, its models, routes and versions included."""
    assert len(Path(kitchen.__file__).read_text().splitlines()) < 60


def test_documents(client):
    """Each version has a valid document of its own, which says of the first that it ends, and a page."""
    for name, path in (("v1", "/v1/kettle"), ("v2", "/v2/kettles/{number}")):
        document = client.get(f"/{name}/openapi.json").json()
        OpenAPIV31SpecValidator(document).validate()
        assert list(document["paths"]) == [path]
        assert document["paths"][path]["get"].get("deprecated", False) == (name == "v1")
        assert client.get(f"/{name}/docs").status_code == 200
    assert [version["name"] for version in client.get("/versions").json()["versions"]] == ["v1", "v2"]


def test_routes_of_every_kind_are_served():
    """Plain routes, and those that FastAPI alone can include: nested, mounted, streaming, of a class of their own."""

    class Branded(APIRoute):
        def get_route_handler(self):
            handle = super().get_route_handler()

            async def brand(request):
                reply = await handle(request)
                reply.headers["Brand"] = "own"
                return reply

            return brand

    def reply():
        return "served"

    async def stream() -> AsyncIterable[kitchen.Kettle]:
        yield kitchen.Kettle(litres=1)

    asked = []
    router, nested, branded = APIRouter(), APIRouter(prefix="/nested"), APIRouter(route_class=Branded)
    router.get("/pots")(reply)
    router.post("/pots", status_code=201)(reply)
    router.get("/{anything}/lid")(reply)
    router.get("/streams")(stream)
    nested.get("/deep", name="deep")(reply)
    branded.get("/branded")(reply)
    router.include_router(nested)
    router.routes.extend(branded.routes)
    router.mount("/mounted", PlainTextResponse("served"))
    app = FastAPI(openapi_url=None, dependencies=[Depends(lambda: asked.append(1))])
    version = ApiVersion("v1", router, kitchen.ERRORS, "Kitchen", "Pots.", "Pots.", "1.0.0")
    installed = install(app, Installation(versions=[version], translate={}, info={}))
    documented = {"/v1/pots", "/v1/{anything}/lid", "/v1/streams", "/v1/nested/deep", "/v1/branded"}
    assert set(installed.documents["v1"]["paths"]) == documented
    assert "Kettle" in json.dumps(installed.documents["v1"]["paths"]["/v1/streams"])
    assert app.url_path_for("deep") == "/v1/nested/deep"
    assert app.url_path_for("reply") == "/v1/pots"
    with TestClient(app) as client:
        for path in ("/v1/pots", "/v1/any/lid", "/v1/nested/deep", "/v1/branded", "/v1/mounted/file"):
            found = client.get(path)
            assert (found.status_code, "served" in found.text) == (200, True), path
            assert found.headers.get("brand") == ("own" if path == "/v1/branded" else None)
        assert client.post("/v1/pots").status_code == 201
        assert json.loads(client.get("/v1/streams").text) == {"litres": 1}
        assert len(asked) == 6  # what is mounted has no dependencies
        assert client.delete("/v1/pots").headers["allow"] == "GET, HEAD, POST"


def test_routes_that_block_are_called_in_the_threads_of_requests():
    """Whatever gives its reply at once is, so as many at once as there are connections; a coroutine is not."""

    class Cook:
        def here(self) -> str:
            return here()

        __call__ = here

    def here() -> str:
        return threading.current_thread().name

    def decorated(function):
        @wraps(function)
        def called():
            return function()

        return called

    async def in_the_loop() -> str:
        return here()

    router = APIRouter()
    router.get("/plain")(here)
    router.get("/decorated")(decorated(here))
    router.get("/method")(Cook().here)
    router.get("/instance")(Cook())
    router.get("/partial")(partial(here))
    router.get("/coroutine")(in_the_loop)
    router.get("/decorated-coroutine")(decorated(in_the_loop))
    with TestClient(application_of(router)) as client:
        plain = ("plain", "decorated", "method", "instance", "partial")
        threads = {path: client.get(f"/v1/{path}").json() for path in plain}
        loop = {client.get(f"/v1/{path}").json() for path in ("coroutine", "decorated-coroutine")}
    assert all(name.startswith("asyncio_") for name in threads.values()), threads
    assert len(loop) == 1
    assert not loop & {*threads.values()}


def test_the_event_loop_has_its_turn_between_two_calls():
    """However many wait for a thread, it begins none before the loop has seen how the last one ended."""
    order = []

    def call() -> None:
        order.append("thread")
        time.sleep(0.02)

    async def request() -> None:
        await in_thread(call)
        order.append("loop")

    async def requests() -> None:
        set_threads(1)
        await asyncio.gather(*(request() for _ in range(5)))

    asyncio.run(requests())
    assert order == ["thread", "loop"] * 5


def test_a_reply_that_is_generated_and_one_that_ends_too_soon():
    """Generators are sent as the framework sends them, also unannotated; StopIteration is a bug, not a long wait."""

    def lines():
        yield {"litres": 1}

    async def lines_in_the_loop():
        yield {"litres": 1}

    def empty():
        return next(iter(()))

    router = APIRouter()
    router.get("/lines")(lines)
    router.get("/lines-in-the-loop")(lines_in_the_loop)
    router.get("/empty")(empty)
    with TestClient(application_of(router)) as client:
        for path in ("lines", "lines-in-the-loop"):
            assert client.get(f"/v1/{path}").json() == {"litres": 1}
        assert client.get("/v1/empty").status_code == 500


class Wanted(BaseModel):
    """Parameters of every kind."""

    limit: int = Field(20, ge=1, le=100, description="How many.")
    since: datetime | None = None
    lid: bool | None = Field(None, alias="with-lid")
    sort: Literal["litres", "-litres"] = "litres"
    colour: list[str] = Field([], max_length=2)
    size: list[int] | None = None
    shelf: Annotated[list[int], Field(max_length=2)] | None = None
    maker: set[str] = Field(set(), deprecated=True, validation_alias="made-by")
    kitchen: str


@pytest.mark.parametrize(
    "query",
    [
        "kitchen=mine",
        "",
        "kitchen=a&kitchen=b&limit=5&limit=7",
        "kitchen=&limit=&since=",
        "kitchen=a&colour=red&colour=blue&size=1&size=2",
        "kitchen=a&colour=red&colour=blue&colour=green&size=big",
        "kitchen=a&shelf=1&shelf=2&made-by=us&made-by=them&made-by=us&maker=nobody",
        "kitchen=a&limit=0&sort=price&with-lid=perhaps&since=soon",
        "kitchen=a&with-lid=true&lid=false&since=2026-01-31T12:00:00Z&unknown=1",
        "kitchen=%F0%9F%AB%96&sort=-litres",
    ],
)
def test_query_parameters_are_read_as_by_the_framework(query):
    """`QueryOf` takes, refuses and documents what FastAPI's `Query()` does, whatever is sent."""
    app, ours = FastAPI(), QueryOf(Wanted)

    @app.get("/theirs")
    def theirs(query: Annotated[Wanted, Query()]) -> Wanted:
        return query

    @app.get("/ours", openapi_extra=ours.documented)
    def by_us(query: Annotated[Wanted, Depends(ours)]) -> Wanted:
        return query

    with TestClient(app) as client:
        found, expected = client.get(f"/ours?{query}"), client.get(f"/theirs?{query}")
    assert (found.status_code, found.json()) == (expected.status_code, expected.json())
    paths = app.openapi()["paths"]
    assert paths["/ours"]["get"]["parameters"] == paths["/theirs"]["get"]["parameters"]


def test_query_parameters_that_could_not_be_documented_are_refused():
    """A model whose schema refers to others would leave references in the document that lead nowhere."""

    class Colour(Enum):
        RED = "red"

    class Painted(BaseModel):
        colour: Colour

    with pytest.raises(TypeError, match="Painted"):
        QueryOf(Painted)


def test_errors(client):
    """Every failure is in the version's own form."""
    for path, status in (("/v2/kettles/many", 422), ("/v2/nothing", 404)):
        reply = client.get(path)
        assert (reply.status_code, list(reply.json())) == (status, ["fault"])
    assert client.post("/v1/kettle").headers["allow"] == "GET, HEAD"


def test_lifecycle_headers(client):
    """The first version's replies tell of its end and its heir; the second's only of the version."""
    reply = client.get("/v1/kettle")
    assert reply.headers["deprecation"] == "@1767225600"
    assert reply.headers["sunset"] == "Sat, 01 Jan 2028 00:00:00 GMT"
    assert '</v2/kettles/1>; rel="successor-version"' in reply.headers["link"]
    assert "deprecation" not in client.get("/v2/kettles/1").headers
    with time_machine.travel("2028-01-01T00:00:00Z", tick=False):
        gone = client.get("/v1/kettle")
    assert gone.status_code == 410
    assert "/v2/kettles/1" in gone.json()["fault"]


def test_contract_check(client, tmp_path):
    """A document is released, is as released, and a change of it is told."""
    document = client.get("/v2/openapi.json").json()
    released.release(kitchen.V2, document, tmp_path, tmp_path / "CHANGELOG.md")
    assert released.check(kitchen.V2, document, tmp_path) is None
    changed = json.loads(json.dumps(document).replace("litres", "pints"))
    drift = released.check(kitchen.V2, changed, tmp_path)
    assert drift is not None
    assert "litres" in released.describe(drift)


def test_usage():
    """What was called is handed over when the application stops, without a database of ours."""
    kitchen.counted.clear()
    with TestClient(kitchen.app, headers={"User-Agent": "teapot/1.0"}) as client:
        for _ in range(3):
            client.get("/v1/kettle")
    (counts,) = kitchen.counted
    ((use, calls),) = counts.uses.items()
    assert (use.version, use.operation, use.client.name, use.status_class, calls) == (
        *("v1", "GET /kettle", "teapot", 2),
        3,
    )
