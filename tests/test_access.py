"""Who may do what, over every operation of every version (OWASP API Security 2023); a new operation is included.

A new parameter in a path makes these tests ask what its value is: see `World.targets`.
"""

import importlib
import itertools
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from app.api import VERSIONS
from app.domain import users
from app.domain.models import posts as posts_table
from app.domain.models import users as users_table
from app.versioning.sections import served_routes
from tests.steps import Person, Steps
from tests.v2.helpers import is_ok, is_problem

SECRET_TITLE, SECRET_TEXT, SECRET_TAG = "zebra crossing", "quagga in the content", "okapi"
CONTACT = "whom-to-tell@example.org"
NOBODY = Person(0, "", {})
SUNSET = "2028-11-20T00:00:00Z"
# What a caller must not decide, with values that would show.
PROTECTED: dict[str, Any] = {
    "id": 77,
    "owner_id": 2,
    "user_id": 2,
    "author": {"id": 2},
    "is_admin": True,
    "created_at": "2001-01-01T00:00:00Z",
    "updated_at": "2001-01-01T00:00:00Z",
    "votes": 77,
    "votes_up": 77,
    "score": 77,
    "revision": 77,
    "password_hash": "$2b$04$...............................................",
}
# Everything that is served beside the versions.
UNVERSIONED = {
    *("/", "/livez", "/readyz", "/metrics", "/policy", "/problems/{code}", "/.well-known/api-catalog"),
    *("/versions", "/versions/v1/migration", "/versions/v1/migration.json"),
    *("/portal/sign-in", "/portal/sign-out", "/portal/adoption", "/portal/brownouts", "/portal/brownouts/stop"),
    *("/portal/brownouts/resume", "/portal/brownouts/{window_id}/cancel"),
}
OTHER_PATHS = [
    "/nothing",
    "/v1/nothing",
    "/v2/nothing",
    "/docs-assets/swagger-ui.css",
    "/docs-assets/nothing",
    "//",
    "/%00",
]
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"]

versions = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)


@dataclass(frozen=True)
class World:
    """Ada has a published post, a draft, a registered client and a vote; Bob has nothing; Zoe is an administrator."""

    client: Any
    ada: Person
    bob: Person
    zoe: Person
    published: int
    draft: int

    @property
    def targets(self) -> dict[str, list[Any]]:
        """The values of each parameter of a path: what is Ada's."""
        return {
            "post_id": [self.published, self.draft],
            "user_id": [self.ada.id],
            "client_id": ["adas-app"],
            "version": ["v1"],
        }

    def adas(self) -> list[Any]:
        """What is hers, as she sees it, but for the votes that others may give."""
        paths = ["users/me", f"posts/{self.published}", f"posts/{self.draft}", "clients/adas-app"]
        seen = [is_ok(self.client.get(f"/v2/{path}", headers=self.ada.headers)) for path in paths]
        seen.append(is_ok(self.client.get("/v2/clients/adas-app/consents/v1", headers=self.ada.headers)))
        for one in seen:
            one.pop("votes", None)
        return seen


@pytest.fixture
def world(client, steps, database):
    ada, bob, zoe = (steps.person(f"{name}@example.com") for name in ("ada", "bob", "zoe"))
    with database.write() as connection:
        users.promote(connection, zoe.email)
    published = steps.post(ada)["id"]
    draft = steps.post(ada, SECRET_TITLE, content=SECRET_TEXT, tags=[SECRET_TAG], published=False)["id"]
    steps.vote(ada, published, -1)
    app = {"id": "adas-app", "name": SECRET_TITLE, "contact": CONTACT, "owner_id": ada.id}
    is_ok(client.post("/v2/clients", json=app, headers=zoe.headers), 201)
    consent = client.put("/v2/clients/adas-app/consents/v1", json={"sunset": SUNSET}, headers=ada.headers)
    is_ok(consent)
    return World(client, ada, bob, zoe, published, draft)


@dataclass(frozen=True)
class Operation:
    """An operation of a document."""

    document: Any
    method: str
    path: str
    described: Any

    @property
    def id(self) -> str:
        return str(self.described["operationId"])

    @property
    def parameters(self) -> list[str]:
        return re.findall("{(.*?)}", self.path)

    @property
    def body(self) -> dict[str, Any] | None:
        """The members of its JSON body, each with an example; None if it takes none."""
        content = self.described.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            return None
        return {name: example_of(field) for name, field in self.fields.items() if example_of(field) is not None}

    @property
    def fields(self) -> dict[str, Any]:
        reference = self.described["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        return dict(self.document["components"]["schemas"][reference.rpartition("/")[2]]["properties"])

    def requests(self, world: World) -> list[tuple[str, dict[str, Any] | None, Any]]:
        """The path, the body and the values of each request for something of Ada's."""
        body = self.body
        named = [*self.parameters, *(name for name in body or {} if name in world.targets and name != "version")]
        found = []
        for values in itertools.product(*(world.targets[name] for name in named)):
            given = dict(zip(named, values, strict=True))
            filled = None if body is None else {**body, **{name: given[name] for name in body if name in given}}
            found.append((self.path.format(**given), filled, given))
        return found


def example_of(field: dict[str, Any]) -> Any:
    for candidates in ("examples", "enum"):
        if candidates in field:
            return field[candidates][0]
    return field.get("const", field.get("default"))


def operations(client, version) -> list[Operation]:
    document = client.app.state.installed.documents[version.name]
    return [
        Operation(document, method.upper(), path, described)
        for path, item in document["paths"].items()
        for method, described in item.items()
    ]


def promised(version):
    return importlib.import_module(f"tests.{version.name}.operations")


@pytest.fixture(autouse=True)
def _every_reply(session_client):
    """No reply to any request of these tests tells of our inside, and each has the headers that browsers obey."""

    def check(reply):
        reply.read()
        for told in (b"Traceback", b'File "', b"$2b$", b"$bcrypt", b"sqlalchemy", b"psycopg", b"sqlite3"):
            assert told not in reply.content, (reply.request.method, reply.request.url, reply.content)
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["referrer-policy"] in ("no-referrer", "same-origin")
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-request-id"]
        assert "server" not in reply.headers
        assert "x-powered-by" not in reply.headers

    session_client.event_hooks["response"].append(check)
    yield
    session_client.event_hooks["response"].remove(check)


@versions
def test_object_level(world, version):
    """Whatever others ask of what is Ada's, they see nothing private of hers and change nothing.

    What is hers alone is 403 or 404 to them, a draft always 404; without a token it is 401, where one is needed.
    """
    before, tried = world.adas(), 0
    for operation in operations(world.client, version):
        for path, body, given in operation.requests(world):
            if not given:
                continue
            draft = given.get("post_id") == world.draft
            hers_alone = draft or "client_id" in given or (operation.method != "GET" and "vote" not in operation.id)
            for caller in (world.bob, NOBODY):
                asked = operation.method, path, caller.email
                reply = world.client.request(operation.method, path, json=body, headers=caller.headers)
                if hers_alone:
                    assert reply.status_code in ((401, 404) if caller is NOBODY else (404,) if draft else (403, 404)), (
                        asked
                    )
                for told in (SECRET_TITLE, SECRET_TEXT, SECRET_TAG, CONTACT):
                    assert told not in reply.text, asked
                if version.name != "v1":  # which shows the e-mail of everybody
                    assert world.ada.email not in reply.text, asked
                tried += 1
    assert tried >= 20
    assert world.adas() == before


QUERIES = [
    {"search": "zebra", "limit": "1000"},
    *({"q": "zebra", "sort": sort} for sort in ("created_at", "-score", "title")),
    {"tag": SECRET_TAG},
    {"published": "false"},
    {"published": "true", "limit": "1"},
    {"prefix": "ok"},
    {"skip": "1"},
    {"author_id": "1", "created_after": "2001-01-01T00:00:00Z"},
]


@versions
def test_a_draft_leaves_no_trace(world, version):
    """No list, search, filter, count or page says anything else to others when Ada writes another draft."""

    def ask() -> list[Any]:
        paths = [
            each.path for each in operations(world.client, version) if each.method == "GET" and not each.parameters
        ]
        replies = [
            world.client.get(path, params=query, headers={**caller.headers, "X-Request-ID": "same"})
            for path in (*paths, "/", "/versions", f"/{version.name}/users/{world.ada.id}")
            for query in ({}, *QUERIES)
            for caller in (world.bob, NOBODY)
        ]
        assert len(replies) > 50
        return [(reply.url, reply.status_code, reply.headers.get("link"), reply.content) for reply in replies]

    with time_machine.travel(datetime.now(UTC), tick=False):  # the portal's picture tells the time
        before = ask()
        draft = {"title": SECRET_TITLE, "content": SECRET_TEXT, "tags": [SECRET_TAG, "a-new-tag"], "published": False}
        is_ok(world.client.post("/v2/posts", json=draft, headers=world.ada.headers), 201)
        assert ask() == before
    for _, _, links, content in before:
        for told in (SECRET_TITLE, SECRET_TEXT, SECRET_TAG):
            assert told not in f"{links}{content.decode()}"


@versions
def test_property_level(world, database, version):
    """A member that callers must not decide is ignored in version 1, and 422 at its place in version 2.

    Either way ids, owners, rights, times, counters and hashes are what they would be without it.
    """
    columns = posts_table.c
    facts = {
        "posts": sa.select(columns.id, columns.owner_id, columns.created_at, columns.votes_up, columns.votes_down),
        "users": sa.select(users_table.c.id, users_table.c.is_admin, users_table.c.created_at),
    }
    hashes = sa.select(users_table.c.password_hash)

    def known(what: str) -> dict[int, Any]:
        with database.read() as connection:
            return {row.id: row for row in connection.execute(facts[what])}

    before = {what: known(what) for what in facts}
    tried = 0
    for operation in operations(world.client, version):
        caller = world.zoe if operation.id in promised(version).ADMINISTRATORS_ONLY else world.ada
        path, body, _ = operation.requests(world)[0]
        if body is None:
            continue
        for name in PROTECTED.keys() - operation.fields.keys():
            reply = world.client.request(
                operation.method, path, json={**body, name: PROTECTED[name]}, headers=caller.headers
            )
            if version.name == "v1":
                assert reply.status_code < 300 or reply.json()["detail"].startswith(("An account", "You have")), path
            else:
                is_problem(reply, "invalid-request", (f"#/{name}", "extra_forbidden"))
            tried += 1
    assert tried >= 40
    for what, rows in before.items():
        after = known(what)
        assert {id_: after[id_] for id_ in rows} == rows
        for id_ in after.keys() - rows.keys():  # made by a POST of version 1
            made = after[id_]
            assert id_ < 77
            assert made.created_at.year > 2001
            assert tuple(made)[1] == (world.ada.id if what == "posts" else False)
            assert tuple(made)[3:] in ((0, 0), ())
    with database.read() as connection:
        assert PROTECTED["password_hash"] not in set(connection.execute(hashes).scalars())


@versions
def test_function_level(world, version):
    """What is for administrators is 403 to everybody else and 401 without a token; nothing else is for them alone."""
    for operation in operations(world.client, version):
        path, body, _ = operation.requests(world)[0]
        own = operation.id in promised(version).ADMINISTRATORS_ONLY
        user = Steps(world.client).person()  # a new one for each, for one operation deletes the account
        as_user = world.client.request(operation.method, path, json=body, headers=user.headers)
        assert ("administrators-only" in as_user.text) == own, operation.id
        if own:
            is_problem(as_user, "administrators-only")
            is_problem(world.client.request(operation.method, path, json=body), "unauthenticated")


def test_administrators_may(world):
    """What users are refused as administrators' business is answered to one."""
    for version in VERSIONS:
        for operation in operations(world.client, version):
            if operation.id in promised(version).ADMINISTRATORS_ONLY:
                path, body, _ = operation.requests(world)[0]
                reply = world.client.request(operation.method, path, json=body, headers=world.zoe.headers)
                assert reply.status_code in (200, 201, 204, 404), (operation.id, reply.text)  # removed by then


@versions
def test_no_other_method_than_the_one_that_was_sent(world, version):
    """No header, parameter or field turns a GET or a POST into what deletes or changes."""
    ways: list[dict[str, Any]] = [
        *({"headers": {name: "DELETE"}} for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")),
        *({"params": {name: "DELETE"}} for name in ("_method", "method", "X-HTTP-Method-Override")),
        {"data": {"_method": "DELETE"}},
    ]
    before = world.adas()
    for path in sorted({path for each in operations(world.client, version) for path, *_ in each.requests(world)}):
        for method, way in itertools.product(("GET", "POST"), ways):
            if method == "POST" and path == f"/{version.name}/posts":
                continue  # a POST with a form, or with nothing, makes none
            plain: dict[str, Any] = {"data": {"x": "DELETE"}} if "data" in way else {}
            headers = {**world.ada.headers, "X-Request-ID": "same"}
            replies = [
                world.client.request(method, path, **{**how, "headers": {**headers, **how.get("headers", {})}})
                for how in (plain, way)
            ]
            assert replies[0].status_code == replies[1].status_code, (method, path, way)
            assert replies[0].status_code != 204
    assert world.adas() == before


def test_inventory(client):
    """Nothing is served that is neither in a version's document nor known to be beside them."""
    served = {
        (method, path)
        for context in served_routes(client.app)
        for method in context.methods or ()
        if not (path := context.path or "").startswith("/docs-assets")
    }
    documented = {(each.method, each.path) for version in VERSIONS for each in operations(client, version)}
    descriptions = {f"/{version.name}/{page}" for version in VERSIONS for page in ("docs", "openapi.json")}
    assert documented <= served
    assert {path for _, path in served - documented} == UNVERSIONED | descriptions


def test_every_method_on_every_path(world):
    """Whatever method is tried wherever, with a token or without: no failure, nothing told of the inside.

    See `_every_reply` for what holds of each.
    """
    paths = {
        path for version in VERSIONS for each in operations(world.client, version) for path, *_ in each.requests(world)
    }
    paths |= {path.replace("{code}", "not-found").replace("{window_id}", "1") for path in UNVERSIONED}
    for path, method in itertools.product([*sorted(paths), *OTHER_PATHS], METHODS):
        for headers in (
            NOBODY.headers,
            world.bob.headers,
            {"Authorization": "Bearer \x00", "Cookie": "tandem_portal=x"},
        ):
            reply = world.client.request(method, path, headers=headers, follow_redirects=False)
            assert reply.status_code < 500, (method, path)
