"""The lifecycle headers: on every reply of a version, whatever was asked and answered, at each date of its life."""

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient

from app.adoption import plan
from app.api import VERSIONS
from app.domain import users
from app.main import create_app
from tests.conftest import make_settings
from tests.kitchen import SUNSET as KITCHEN_SUNSET
from tests.kitchen import ending, serve, version
from tests.links import Link, deprecation_of, links_of, sunset_of, target_of
from tests.steps import PASSWORD, Steps
from tests.test_migrations import execute, new_database, opened
from tests.test_routes import operations
from tests.v1.operations import OPERATION_IDS

DEPRECATED, SUNSET = datetime(2026, 11, 20, tzinfo=UTC), datetime(2028, 11, 20, tzinfo=UTC)
MOMENTS = {
    "before the deprecation": DEPRECATED - timedelta(days=30),
    "at the deprecation": DEPRECATED,
    "between": datetime(2027, 6, 1, 12, tzinfo=UTC),
    "in a brownout": datetime(2028, 1, 1, 12, tzinfo=UTC),
    "one second before the sunset": SUNSET - timedelta(seconds=1),
    "at the sunset": SUNSET,
    "long after": SUNSET + timedelta(days=1000),
}
BROWNOUT = MOMENTS["in a brownout"] - timedelta(minutes=10), MOMENTS["in a brownout"] + timedelta(minutes=20)
LOG_IN = "POST /v1/login"  # brownouts leave it alone
ORIGIN = "https://app.example"
DEPRECATION_RELATIONS = {"deprecation", "sunset", "service-desc", "successor-version"}
TABLES = ("users", "sessions", "refresh_tokens", "tags")  # every operation needs one of them
POST = {"title": "On Engines", "content": "Notes."}
# What each operation needs, beside the path, to be answered 2xx; {post} is a new post's id.
SUCCESSES: dict[str, dict[str, dict[str, Any]]] = {
    "v1": {
        "create_user": {"json": {"email": "new@example.com", "password": "x"}},
        "get_user": {},
        "login": {"data": {"username": "ada@example.com", "password": PASSWORD}},
        "list_posts": {"params": {"limit": 1}},
        "create_post": {"json": POST},
        "get_post": {},
        "replace_post": {"json": POST},
        "update_post": {"json": {"title": "x"}},
        "delete_post": {},
        "vote": {"json": {"post_id": "{post}", "dir": 1}},
    },
    "v2": {
        "create_user": {"json": {"email": "new2@example.com", "password": PASSWORD}},
        "get_user": {},
        "get_account": {},
        "update_account": {"json": {"bio": "x"}},
        "create_token": {
            "data": {"grant_type": "password", "username": "ada@example.com", "password": PASSWORD},
        },
        "revoke_token": {"data": {"token": "x"}},
        "list_posts": {"params": {"limit": 1}},
        "create_post": {"json": POST},
        "get_post": {},
        "replace_post": {"json": POST},
        "update_post": {"json": {"title": "x"}},
        "delete_post": {},
        "put_vote": {"json": {"value": 1}},
        "delete_vote": {},
        "list_tags": {},
    },
}

_BODIES: dict[str, dict[str, Any]] = {"PUT": {"json": POST}, "PATCH": {"json": {}}, "DELETE": {}}


@pytest.fixture
def world(database_url, tmp_path):
    """A database with a brownout of v1 planned in it."""
    with new_database(database_url, tmp_path) as url:
        with opened(url) as database, database.write() as connection:
            plan.add(connection, "v1", *BROWNOUT)
        yield url


def serving(url, **changes):
    return TestClient(create_app(make_settings(url, cors_origins=(ORIGIN,), log_level="ERROR", **changes)))


def successes(client, version, person, post_id):
    """(name, reply) of every operation asked as it should be, and of the HEAD of those that are read."""
    for method, path, operation in operations(client.app.state.installed.documents[version.name]):
        if (given := SUCCESSES[version.name].get(operation["operationId"])) is None:
            continue
        post = post_id()
        target = path.replace("{post_id}", str(post)).replace("{user_id}", str(person.id))
        if "{post}" in str(given):
            given = {"json": {**given["json"], "post_id": post}}
        yield f"{method} {path}", client.request(method, target, headers=person.headers, **given)
        if method == "GET":
            yield f"HEAD {path}", client.head(target, headers=person.headers, **given)


def conditional(client, version, person, post):
    """(name, expected status, reply) of what only conditional requests are answered; the post is the person's."""
    paths = [f"{version.prefix}/posts/{post}", f"{version.prefix}/users/{person.id}"]
    for path, method in itertools.product(paths, ("GET", "HEAD")):
        yield f"{method} {path}", 304, client.request(method, path, headers={**person.headers, "If-None-Match": "*"})
    for method in ("PUT", "PATCH", "DELETE"):
        stale = {**person.headers, "If-Match": '"0"'}
        yield f"{method} {paths[0]}", 412, client.request(method, paths[0], headers=stale, **_BODIES[method])


def refusals(client, version, person):
    """(name, expected status, reply) of what every route refuses, and of what no route is asked."""
    for method, path, operation in operations(client.app.state.installed.documents[version.name]):
        target = re.sub("{post_id}|{user_id}", "999", path)
        target = re.sub("{client_id}|{version}", "nobody", target)
        if operation.get("security") and {} not in operation["security"]:
            yield f"{method} {path} 401", 401, client.request(method, target)
        if any(parameter["in"] != "header" for parameter in operation.get("parameters", ())):
            wrong = re.sub("{.*?}", "x!", path) + "?limit=x&days=x"
            yield f"{method} {path} 422", 422, client.request(method, wrong, headers=person.headers)
        if "{" in path and method == "GET":
            yield f"{method} {path} 404", 404, client.request(method, target, headers=person.headers)
        if "requestBody" in operation:
            large = {"content": b" " * 1_100_000, "headers": {**person.headers, "Content-Type": "application/json"}}
            yield f"{method} {path} 413", 413, client.request(method, target, **large)
        if "415" in operation["responses"]:
            other = {"content": b"x", "headers": {**person.headers, "Content-Type": "text/plain"}}
            yield f"{method} {path} 415", 415, client.request(method, target, **other)
        yield f"OPTIONS {path}", 204, client.options(target)
        yield f"BREW {path}", 405, client.request("BREW", target, headers=person.headers)
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
        yield f"preflight {method} {path}", "preflight", client.options(target, headers=asked)
    prefix = version.prefix
    for path in (prefix, f"{prefix}/", f"{prefix}/nothing", f"{prefix}/posts/1/2/3", f"{prefix}/%0D%0Aa:%20b"):
        yield path, 404, client.get(path)
        yield f"HEAD {path}", 404, client.head(path)
    yield "query that is no text", 422, client.get(f"{prefix}/posts?search=%FF")
    for path in (f"{prefix}/openapi.json", f"{prefix}/docs"):
        yield path, "document", client.get(path)
        yield f"HEAD {path}", "document", client.head(path)


def check_v1(name, reply):
    """Exactly the headers that v1's end gives a reply."""
    assert reply.headers.get_list("api-version") == ["v1"], name
    assert deprecation_of(reply) == DEPRECATED, name
    assert sunset_of(reply) == SUNSET, name
    *others, successor = links_of(reply)
    assert others == [
        Link("/versions/v1/migration", "deprecation", "text/html"),
        Link("/policy", "sunset", "text/html"),
        Link("/v1/openapi.json", "service-desc", "application/json"),
    ], name
    assert successor[1:] == ("successor-version", None), name
    assert successor.target == "/v2" or successor.target.startswith("/v2/"), name
    assert "warning" not in reply.headers, name  # obsolete (RFC 9111, section 5.5)


def check_v2(name, reply):
    """v2 has no end: it says its name, and nothing of what a deprecated version says."""
    assert reply.headers.get_list("api-version") == ["v2"], name
    assert not {"deprecation", "sunset", "brownout", "warning"} & reply.headers.keys(), name
    assert not {link.relation for link in links_of(reply)} & DEPRECATION_RELATIONS, name


CHECKS = {"v1": check_v1, "v2": check_v2}


def test_version_1_has_a_success_for_every_operation():
    """Nothing of the frozen version is left out below."""
    assert sorted(SUCCESSES["v1"]) == OPERATION_IDS


@pytest.mark.parametrize("name", MOMENTS)
def test_every_reply_says_how_its_version_ends(world, name):
    """Every route, with 2xx, 304, 4xx and 5xx, HEAD, OPTIONS, preflights, unknown paths: exactly the right headers."""
    retired = MOMENTS[name] >= SUNSET
    ended = {"v1": retired or name == "in a brownout", "v2": False}
    with time_machine.travel(MOMENTS[name], tick=False), serving(world) as client:
        steps = Steps(client)
        ada = steps.person("ada@example.com")
        with opened(world) as database, database.write() as connection:
            users.promote(connection, "ada@example.com")
        for one in VERSIONS:
            for what, reply in successes(client, one, ada, lambda: steps.post(ada)["id"]):
                gone = ended[one.name] and (retired or what != LOG_IN)
                assert reply.status_code == 410 if gone else reply.is_success, (what, reply.text)
                CHECKS[one.name](what, reply)
            for what, status, reply in conditional(client, one, ada, steps.post(ada)["id"]):
                assert reply.status_code == (410 if ended[one.name] else status), (what, reply.text)
                CHECKS[one.name](what, reply)
            for what, status, reply in refusals(client, one, ada):
                gone = ended[one.name] and (retired or not what.startswith(LOG_IN))
                wanted = {"preflight": 200, "document": 200}.get(status, 410 if gone else status)
                assert reply.status_code == wanted, (what, reply.text)
                CHECKS[one.name](what, reply)
        with serving("postgresql://nobody@127.0.0.1:1/nowhere") as away:  # it knows of no brownout that is planned
            for one in VERSIONS:
                wanted = 410 if retired and one.name == "v1" else 503
                for what, reply in successes(away, one, ada, lambda: 1):
                    assert reply.status_code == wanted, (what, reply.text)
                    CHECKS[one.name](what, reply)
        with opened(world) as database:
            execute(database, *(f"ALTER TABLE {table} RENAME TO {table}_away" for table in TABLES))
        for one in VERSIONS:
            for what, reply in successes(client, one, ada, lambda: 1):
                wanted = 410 if ended[one.name] and (retired or what != LOG_IN) else 500
                assert reply.status_code == wanted, (what, reply.text)
                CHECKS[one.name](what, reply)


def test_links_of_a_reply_are_kept():
    """What an endpoint says in Link, in however many lines, stands before what its version adds."""
    app, _ = serve(ending(), version())
    links = links_of(TestClient(app).get("/v1/spouts"))
    assert [link.relation for link in links] == [
        *("next", "last", "deprecation", "sunset", "service-desc", "successor-version"),
    ]


@pytest.mark.parametrize("path", ["%0D%0AX:%20b", "%3E;%20rel=next,%20%3C", "%E4%BD%A0", "100%25", "9" * 5000])
@pytest.mark.parametrize("moment", [KITCHEN_SUNSET, KITCHEN_SUNSET - timedelta(days=1)])
def test_no_path_gets_out_of_its_header(path, moment):
    """Also where a migration gives a path back as it came in, the link is a URL, and one of the successor."""
    app, _ = serve(ending(), version())
    with time_machine.travel(moment, tick=False):
        reply = TestClient(app).get(f"/v1/{path}")
    assert reply.status_code == (410 if moment == KITCHEN_SUNSET else 404)
    target = target_of(reply, "successor-version")
    assert target == ("/v2" if len(path) > 2000 else f"/v2/{path}")


def test_without_documents_no_link_leads_to_one():
    """Where the documents are not served, neither headers nor discovery name them."""
    app, _ = serve(ending(), version(), docs_enabled=False)
    client = TestClient(app)
    reply = client.get("/v1/kettles/1")
    assert [link.relation for link in links_of(reply)] == ["deprecation", "sunset", "successor-version"]
    assert [(one["openapi"], one["docs"]) for one in client.get("/versions").json()["versions"]] == [(None, None)] * 2
    with time_machine.travel(KITCHEN_SUNSET):
        assert client.get("/v1/openapi.json").status_code == 410
