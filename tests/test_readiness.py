"""Sunset readiness: what clients call, joined with what is different; through traffic, ledger, API and command."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import time_machine
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.adoption import clients, ledger
from app.db import Database
from app.domain import users
from app.versioning.usage import GONE, Client, Counts, Use
from tests.conftest import empty
from tests.steps import PASSWORD, Person, Steps
from tests.test_cli import tandem

NOW = "2027-03-01T12:00:00Z"
SUNSET = "2028-11-20T00:00:00Z"
PREFIX = ("rule", "changed", "/v1", "/v2", "trivial")
REFUSAL = ("errors", "kept", "/detail", "/detail", "trivial")
# What is different for a client that reads a user, and one that lists posts by `skip`, as the guide tells it.
GET_USER = {PREFIX, ("reply", "removed", "/email", None, "semantic")}
LIST_BY_SKIP = {
    PREFIX,
    ("query", "changed", "limit", "limit", "mechanical"),  # it does not send it
    ("query", "removed", "skip", "cursor", "semantic"),
    ("rule", "changed", None, "sort", "mechanical"),
    ("reply", "moved", "", "/data", "mechanical"),
    ("reply", "moved", "/*/Post", "/data/*", "mechanical"),
    *(
        ("reply", "moved", f"/*/Post/{name}", f"/data/*/{name}", "mechanical")
        for name in ("id", "title", "content", "published", "created_at")
    ),
    ("reply", "moved", "/*/Post/owner_id", "/data/*/author/id", "mechanical"),
    ("reply", "moved", "/*/Post/owner/id", "/data/*/author/id", "mechanical"),
    ("reply", "removed", "/*/Post/owner/email", None, "semantic"),
    ("reply", "removed", "/*/Post/owner/created_at", None, "semantic"),
    ("reply", "split", "/*/votes", "/data/*/votes/up", "mechanical"),
}


class Traffic:
    """Programs that call the API at set times."""

    def __init__(self, api: TestClient, database: Database) -> None:
        self.api, self.database, self.steps = api, database, Steps(api)
        self.flush()  # what tests before this one have called
        empty(database)
        with time_machine.travel("2026-11-25T12:00:00Z", tick=False):
            self.owner = self.steps.person("owner@example.com")
            self.admin = self.steps.person("admin@example.com")
        with self.database.write() as connection:
            users.promote(connection, "admin@example.com")

    def registered(self, name: str) -> None:
        with self.database.write() as connection:
            clients.register(connection, name, name=name, contact=f"{name}@example.com", owner_id=self.owner.id)

    def log_in(self, client_id: str | None = None, person: Person | None = None) -> dict[str, str]:
        form = {"grant_type": "password", "username": (person or self.owner).email, "password": PASSWORD}
        reply = self.api.post("/v2/auth/token", data=form | ({"client_id": client_id} if client_id else {}))
        return {"Authorization": f"Bearer {reply.json()['access_token']}"}

    def flush(self) -> None:
        """What was counted is in the database."""
        assert self.api.portal is not None
        self.api.portal.call(cast(FastAPI, self.api.app).state.installed.ledger.flush)

    def report(self, **query: Any) -> dict[str, Any]:
        self.flush()
        reply = self.api.get("/v2/versions/v1/readiness", params=query, headers=self.log_in(person=self.admin))
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def of(self, client: str) -> dict[str, Any]:
        (found,) = [each for each in self.report()["clients"] if each["client"] == client]
        return dict(found)


@pytest.fixture
def traffic(client: TestClient, database: Database) -> Iterator[Traffic]:
    traffic = Traffic(client, database)
    with time_machine.travel(NOW, tick=False):
        yield traffic


@pytest.fixture
def three(traffic: Traffic) -> Traffic:
    """One client that only deletes, one that reads and is hit, and one that has not called for 90 days."""
    with time_machine.travel("2026-12-01T12:00:00Z", tick=False):
        traffic.api.get("/v1/users/1", headers={"User-Agent": "Forgotten/1.0"})
        traffic.flush()
    traffic.registered("cleaner")
    by_cleaner = traffic.log_in("cleaner")
    for _ in range(9):
        post = traffic.steps.post(Person(traffic.owner.id, "", by_cleaner))
        assert traffic.api.delete(f"/v1/posts/{post['id']}", headers=by_cleaner).status_code == 204
    with time_machine.travel("2027-02-28T12:00:00Z", tick=False):
        by_reader = traffic.log_in() | {"User-Agent": "reader/2.1 (Linux)"}
        assert traffic.api.get("/v1/users/1", headers=by_reader).status_code == 200
        assert traffic.api.get("/v1/posts?skip=5", headers=by_reader).status_code == 200
    return traffic


def changes(client: dict[str, Any], operation: str) -> set[tuple[str | None, ...]]:
    return {
        tuple(change[name] for name in ("place", "kind", "from", "to", "effort"))
        for change in client["changes"]
        if change["operation"] == operation
    }


def test_three_clients(three: Traffic):
    """Who calls only what stays is safe, who is hit is blocked by exactly what hits it, who is long silent is gone."""
    report = three.report()
    assert (report["version"], report["successor"], report["days"]) == ("v1", "v2", 90)
    assert report["summary"] == {"blocked": 1, "safe": 1, "gone": 1}
    blocked, safe, gone = report["clients"]
    assert (safe["client"], safe["source"], safe["verdict"], safe["activity"]) == ("cleaner", "token", "safe", "active")
    assert safe["operations"] == [{"operation": "DELETE /posts/{post_id}", "calls": 9}]
    assert safe["calls_a_day"] == 0.1
    assert safe["last_seen"] == NOW
    assert {tuple(c.values()) for c in safe["changes"]} == {
        ("DELETE /posts/{post_id}", *PREFIX, "Paths begin with /v2, and end without a slash. Ids are the same.")
    }
    assert (blocked["client"], blocked["source"], blocked["verdict"]) == ("reader", "user-agent", "blocked")
    assert blocked["last_seen"] == "2027-02-28T12:00:00Z"
    assert changes(blocked, "GET /users/{user_id}") == GET_USER
    assert changes(blocked, "GET /posts") == LIST_BY_SKIP
    assert {each["operation"] for each in blocked["operations"]} == {"GET /users/{user_id}", "GET /posts"}
    assert (gone["client"], gone["verdict"], gone["activity"]) == ("Forgotten", "gone", "gone")
    assert (gone["operations"], gone["changes"], gone["calls_a_day"]) == ([], [], 0.0)
    assert any("Which members of a reply" in line for line in report["cannot_be_seen"])


@pytest.mark.parametrize(
    ("last", "activity", "verdict"),
    [
        ("2027-02-22T12:00:00Z", "active", "blocked"),  # 7 days
        ("2027-02-22T11:00:00Z", "quiet", "blocked"),
        ("2027-01-30T13:00:00Z", "quiet", "blocked"),
        ("2027-01-30T12:00:00Z", "stale", "blocked"),  # 30 days
        ("2026-12-01T13:00:00Z", "stale", "blocked"),
        ("2026-12-01T12:00:00Z", "gone", "gone"),  # 90 days
    ],
)
def test_how_long_ago(traffic: Traffic, last: str, activity: str, verdict: str):
    """Active for 7 days, stale from 30 and gone from 90 on, to the hour."""
    with time_machine.travel(last, tick=False):
        traffic.api.get("/v1/users/1", headers={"User-Agent": "Bot"})
        traffic.flush()
    found = traffic.of("Bot")
    assert (found["activity"], found["verdict"], found["last_seen"]) == (activity, verdict, last)


def test_a_field_hits_who_sends_it_and_a_default_who_leaves_it_out(traffic: Traffic):
    """The ledger knows what was sent: only that counts as hit by what is different about it."""
    by = traffic.log_in()
    for agent, path in {"Limits": "/v1/posts?limit=5", "Searches": "/v1/posts?limit=5&search=x"}.items():
        assert traffic.api.get(path, headers={**by, "User-Agent": agent}).status_code == 200
    limits, searches = (changes(traffic.of(agent), "GET /posts") for agent in ("Limits", "Searches"))
    assert ("query", "renamed", "search", "q", "mechanical") in searches - limits
    assert not {change for change in limits if change[2] == "skip"}
    assert ("query", "changed", "limit", "limit", "semantic") in limits
    assert ("query", "changed", "limit", "limit", "mechanical") not in limits
    form = {"username": traffic.owner.email, "password": PASSWORD}
    for agent, sent in {"Says": form | {"grant_type": "password"}, "Omits": form}.items():
        assert traffic.api.post("/v1/login", data=sent, headers={"User-Agent": agent}).status_code == 200
    grant = ("body", "changed", "/grant_type", "/grant_type", "mechanical")
    assert grant in changes(traffic.of("Omits"), "POST /login")
    assert grant not in changes(traffic.of("Says"), "POST /login")


def test_refusals_hit_who_was_refused(traffic: Traffic):
    """The form of errors counts for who has met one; where all of it that is read stays, that blocks nobody."""
    by = {**traffic.log_in(), "User-Agent": "Sweeper"}
    post = traffic.steps.post(Person(traffic.owner.id, "", by))
    assert traffic.api.delete(f"/v1/posts/{post['id']}", headers=by).status_code == 204
    assert traffic.api.delete("/v1/posts/999", headers=by).status_code == 404
    found = traffic.of("Sweeper")
    assert REFUSAL in changes(found, "DELETE /posts/{post_id}")
    assert found["verdict"] == "safe"
    assert traffic.api.post("/v1/users", json={}, headers={"User-Agent": "Sweeper"}).status_code == 422
    found = traffic.of("Sweeper")
    assert ("errors", "retyped", "/detail/*", "/errors/*", "mechanical") in changes(found, "POST /users")
    assert found["verdict"] == "blocked"


def test_who_is_only_refused_is_no_client(traffic: Traffic, scratch: object, database_url: str):  # noqa: ARG001
    """A scanner blocks no sunset, was it ever so often refused; a registered client counts, whatever it is answered."""
    by = {**traffic.log_in(), "User-Agent": "Lapsed"}
    with time_machine.travel("2026-11-26T12:00:00Z", tick=False):
        assert traffic.api.delete("/v1/posts/999", headers={"User-Agent": "OldScanner"}).status_code == 401
        traffic.flush()
    for _ in range(3):
        assert traffic.api.delete("/v1/posts/999", headers={"User-Agent": "Scanner"}).status_code == 401
    assert traffic.api.get("/v1/posts/999", headers=by).status_code == 404
    report = traffic.report()
    assert (report["clients"], report["refused"]) == ([], 1)  # together: who is only ever refused has no name
    text = tandem("versions", "readiness", "v1", DATABASE_URL=database_url)
    assert text.code == 0
    assert "1 more were only ever refused: they are not counted as clients\n" in text.out
    traffic.registered("known")
    assert traffic.api.get("/v1/posts/999", headers=traffic.log_in("known")).status_code == 404
    assert [each["client"] for each in traffic.report()["clients"]] == ["known"]


def test_who_was_hit_by_a_brownout_is_a_client(traffic: Traffic):
    """A program that was answered nothing but 410 in 90 days is one that has to be changed."""
    use = Use(datetime(2027, 2, 1, tzinfo=UTC), "v1", "GET /posts", Client("Hit", "user-agent"), GONE)
    with traffic.database.write() as connection:
        ledger.store(connection, Counts({use: 1}, {}))
    assert traffic.of("Hit")["verdict"] == "blocked"


def test_a_flood_of_programs(traffic: Traffic, scratch: object, database_url: str):  # noqa: ARG001
    """The registered clients and the 1,000 others that call most are assessed, of the rest it is said how many."""
    hour = datetime(2027, 3, 1, tzinfo=UTC)
    names = [(Client(f"bot{number:04}", "user-agent"), 1 + (number >= 5)) for number in range(1005)]
    uses = {Use(hour, "v1", "GET /posts", client, 2): calls for client, calls in names}
    uses[Use(hour, "v1", "GET /posts", Client("till", "token"), 2)] = 1
    with traffic.database.write() as connection:
        ledger.store(connection, Counts(uses, {}))
    report = traffic.report()
    found = {each["client"] for each in report["clients"]}
    assert found == {"till", *(client.name for client, calls in names if calls == 2)}
    assert report["others"] == {"clients": 5, "calls": 5}
    text = tandem("versions", "readiness", "v1", DATABASE_URL=database_url)
    assert (text.code, "\nand 5 more with 5 calls in 90 days, not assessed\n" in text.out) == (1, True)


def test_days(three: Traffic):
    """They are those that calls a day are told of: who is gone, and what hits a client, is the same for all."""
    whole = three.report()
    for days, a_day in ((1, {"cleaner": 9.0, "reader": 0.0}), (365, {"cleaner": 0.02, "reader": 0.01})):
        report = three.report(days=days)
        assert report["summary"] == {"blocked": 1, "safe": 1, "gone": 1}
        for now, before in zip(report["clients"], whole["clients"], strict=True):
            assert now | {"calls_a_day": 0} == before | {"calls_a_day": 0}
            assert now["calls_a_day"] == a_day.get(now["client"], 0.0)
    reply = three.api.get("/v2/versions/v1/readiness?days=0", headers=three.log_in(person=three.admin))
    assert reply.status_code == 422


def test_readiness_is_for_administrators(traffic: Traffic):
    """401 without a token, 403 for a user, 404 for no version, 409 for one that nobody has to leave."""
    path = "/v2/versions/{}/readiness"
    assert traffic.api.get(path.format("v1")).status_code == 401
    refused = traffic.api.get(path.format("v1"), headers=traffic.log_in())
    assert (refused.status_code, refused.json()["code"]) == (403, "administrators-only")
    by = traffic.log_in(person=traffic.admin)
    for version, status, code in (("v9", 404, "version-not-found"), ("v2", 409, "nothing-to-be-ready-for")):
        refused = traffic.api.get(path.format(version), headers=by)
        assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_consent(three: Traffic):
    """An owner says that the date is known; the report shows it until the date is another."""
    path = "/v2/clients/cleaner/consents/v1"
    by = three.log_in()
    assert three.api.get(path, headers=by).json()["code"] == "consent-not-found"
    given = three.api.put(path, json={"sunset": SUNSET}, headers=by)
    assert given.status_code == 200
    assert given.json() == {"client_id": "cleaner", "version": "v1", "sunset": SUNSET, "given_at": NOW}
    assert three.api.get(path, headers=by).json() == given.json()
    assert three.of("cleaner")["consented"] == NOW
    with three.database.write() as connection:
        earlier = clients.consent_of(connection, "cleaner", "v1").sunset.replace(year=2027)
        clients.consent(connection, "cleaner", "v1", earlier)
    assert three.of("cleaner")["consented"] is None


def test_consent_refused(three: Traffic):
    """Only the owner and administrators may, and only to the date that holds."""
    path = "/v2/clients/cleaner/consents/v1"
    body = {"sunset": SUNSET}
    stranger = three.log_in(person=three.steps.person())
    by, admin = three.log_in(), three.log_in(person=three.admin)
    for method in ("GET", "PUT"):
        sent = body if method == "PUT" else None
        assert three.api.request(method, path, json=sent).status_code == 401
        refused = three.api.request(method, path, headers=stranger, json=sent)
        assert (refused.status_code, refused.json()["code"]) == (404, "client-not-found")
    assert three.api.put(path, json=body, headers=admin).status_code == 200
    for version, sunset, status, code in (
        ("v1", "2028-11-21T00:00:00Z", 409, "another-sunset"),
        ("v2", SUNSET, 409, "another-sunset"),
        ("v9", SUNSET, 404, "version-not-found"),
        ("v1", "soon", 422, "invalid-request"),
    ):
        refused = three.api.put(f"/v2/clients/cleaner/consents/{version}", json={"sunset": sunset}, headers=by)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    unknown = three.api.put("/v2/clients/nobody/consents/v1", json=body, headers=by)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "client-not-found")


def test_the_command(three: Traffic, scratch: object, database_url: str):  # noqa: ARG001 - an environment of its own
    """`tandem versions readiness` says what the API says, in three forms; 1 while somebody is blocked."""
    report = three.report()
    there = {"DATABASE_URL": database_url}
    as_json = tandem("versions", "readiness", "v1", "--format", "json", **there)
    assert (as_json.code, as_json.err) == (1, "")
    assert json.loads(as_json.out) == report
    text = tandem("versions", "readiness", "v1", **there)
    assert text.code == 1
    assert text.out.startswith("v1 ends on 2028-11-20T00:00:00Z: 1 blocked, 1 safe, 1 gone\n")
    assert "  semantic   GET /users/{user_id}: reply /email removed: Nobody is shown" in text.out
    markdown = tandem("versions", "readiness", "v1", "--format", "markdown", **there)
    assert "| blocked | reader | user-agent |" in markdown.out
    assert tandem("versions", "readiness", "v1", "--days", "1", **there).code == 1
    assert "no version v9; there are v1, v2" in tandem("versions", "readiness", "v9", **there).err
    for wrong in (("v2",), ("v9",), ("v1", "--days", "0"), ("v1", "--format", "xml"), ()):
        assert tandem("versions", "readiness", *wrong, **there).code == 2


def test_what_was_sent_long_ago_hits_nobody(traffic: Traffic):
    """A field that a client no longer sends does not count, though the client calls on."""
    for moment, path in (("2026-11-26T12:00:00Z", "/v1/posts?search=x"), (NOW, "/v1/posts")):
        with time_machine.travel(moment, tick=False):
            by = traffic.log_in() | {"User-Agent": "Changed"}
            assert traffic.api.get(path, headers=by).status_code == 200
            traffic.flush()
    assert not [change for change in traffic.of("Changed")["changes"] if change["from"] == "search"]


def test_a_program_is_not_the_registered_client_it_is_named_like(three: Traffic):
    """A User-Agent says anything: what was consented to for a client is not counted for it."""
    by = three.log_in()
    three.api.put("/v2/clients/cleaner/consents/v1", json={"sunset": SUNSET}, headers=by)
    three.api.get("/v1/users/1", headers={"User-Agent": "cleaner/1.0"})
    found = {each["source"]: each for each in three.report()["clients"] if each["client"] == "cleaner"}
    assert (found["token"]["verdict"], found["token"]["consented"]) == ("safe", NOW)
    assert (found["user-agent"]["verdict"], found["user-agent"]["consented"]) == ("blocked", None)
