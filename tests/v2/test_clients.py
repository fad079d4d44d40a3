"""Version 2: the register of API clients."""

from datetime import UTC, datetime, timedelta

import pytest

from app.adoption import ledger
from app.domain import users
from app.versioning.usage import Client, Counts, Use
from tests.steps import at_once
from tests.v2.helpers import MERGE_PATCH, NOBODY, is_moment, is_ok, is_problem, listing, rows, send, walk

BILLING = {"id": "billing", "name": "Billing", "contact": "billing@example.com"}
CLIENT = {
    *("id", "name", "contact", "pinned_version", "owner_id", "brownout_exempt", "created_at"),
    *("last_seen", "calls_7_days", "activity", "drift"),
}


@pytest.fixture
def admin(steps, database):
    person = steps.person("admin@example.com")
    with database.write() as connection:
        users.promote(connection, person.email)
    return person


def register(client, admin, **fields):
    return is_ok(client.post("/v2/clients", json={**BILLING, **fields}, headers=admin.headers), 201)


def patch(client, admin, body, client_id="billing"):
    return client.patch(f"/v2/clients/{client_id}", json=body, headers=admin.headers)


def use(database, client_id, *calls, source="token"):
    """Let the ledger hold that a client called versions, so many times, so many days ago."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    uses = {
        Use(now - timedelta(days=days), version, "GET /posts", Client(client_id, source), 2): count
        for version, count, days in calls
    }
    with database.write() as connection:
        ledger.store(connection, Counts(uses, {}))


def test_registering(client, admin):
    """A new client is 201 with where it is; nothing but its id, name and contact has to be given."""
    reply = client.post("/v2/clients", json=BILLING, headers=admin.headers)
    made = is_ok(reply, 201)
    assert reply.headers["location"] == "/v2/clients/billing"
    assert set(made) == CLIENT
    is_moment(made.pop("created_at"))
    assert made == {
        **BILLING,
        "pinned_version": None,
        "owner_id": None,
        "brownout_exempt": False,
        "last_seen": None,
        "calls_7_days": 0,
        "activity": "unseen",
        "drift": [],
    }
    assert is_ok(client.get("/v2/clients/billing", headers=admin.headers))["name"] == "Billing"


def test_an_id_is_given_once(client, admin):
    """A registered id is 409, also when two registrations race."""
    register(client, admin)
    is_problem(client.post("/v2/clients", json=BILLING, headers=admin.headers), "client-id-taken")
    body = {**BILLING, "id": "raced"}
    replies = at_once(*[lambda: client.post("/v2/clients", json=body, headers=admin.headers)] * 4)
    assert sorted(reply.status_code for reply in replies) == [201, 409, 409, 409]
    assert {reply.json()["code"] for reply in replies if reply.status_code == 409} == {"client-id-taken"}


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        *(({"id": value}, "#/id", "string_pattern_mismatch") for value in ("", "Billing", "-a", "a" * 65, "a b", "é")),
        ({"id": 1}, "#/id", "string_type"),
        ({"name": ""}, "#/name", "string_too_short"),
        ({"name": "x" * 101}, "#/name", "string_too_long"),
        ({"name": "a\x00b"}, "#/name", "string_pattern_mismatch"),
        ({"contact": ""}, "#/contact", "string_too_short"),
        ({"contact": "x" * 201}, "#/contact", "string_too_long"),
        ({"pinned_version": "v99"}, "#/pinned_version", "version_unknown"),
        ({"pinned_version": ""}, "#/pinned_version", "version_unknown"),
        ({"pinned_version": "x" * 33}, "#/pinned_version", "string_too_long"),
        ({"owner_id": 0}, "#/owner_id", "greater_than_equal"),
        ({"owner_id": "1"}, "#/owner_id", "int_type"),
        ({"brownout_exempt": True}, "#/brownout_exempt", "extra_forbidden"),
        ({"last_seen": None}, "#/last_seen", "extra_forbidden"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_registering_refused(client, admin, fields, pointer, code):
    """A malformed id, a version that is not served and unknown members are 422 at their place."""
    is_problem(
        client.post("/v2/clients", json={**BILLING, **fields}, headers=admin.headers),
        "invalid-request",
        (pointer, code),
    )
    assert listing(client, admin, "/v2/clients")["data"] == []


def test_an_owner_must_exist(client, admin):
    """An owner whom nobody knows is 404, when registering and when changing."""
    reply = client.post("/v2/clients", json={**BILLING, "owner_id": NOBODY}, headers=admin.headers)
    is_problem(reply, "user-not-found")
    register(client, admin, owner_id=admin.id)
    is_problem(patch(client, admin, {"owner_id": NOBODY}), "user-not-found")


def test_owners_who_leave(client, admin, steps):
    """A client outlives the account of its owner."""
    bob = steps.person()
    register(client, admin, owner_id=bob.id)
    is_ok(client.delete("/v2/users/me", headers=bob.headers), 204)
    assert is_ok(client.get("/v2/clients/billing", headers=admin.headers))["owner_id"] is None


@pytest.mark.parametrize("media_type", [MERGE_PATCH, "application/json"])
def test_changing_is_a_merge_patch(client, admin, media_type):
    """What is given is set, what is absent stays, and null takes away a pin and an owner."""
    register(client, admin, pinned_version="v1", owner_id=admin.id)

    def change(body):
        return is_ok(send(client, "PATCH", "/v2/clients/billing", body, admin.headers, media_type))

    before = change("{}")
    assert (before["pinned_version"], before["owner_id"]) == ("v1", admin.id)
    assert change('{"name": "B", "brownout_exempt": true}') == {**before, "name": "B", "brownout_exempt": True}
    after = change('{"pinned_version": null, "owner_id": null, "brownout_exempt": false}')
    assert after == {**before, "name": "B", "pinned_version": None, "owner_id": None}
    assert change('{"pinned_version": "v2"}')["pinned_version"] == "v2"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"name": None}, "#/name", "string_type"),
        ({"contact": None}, "#/contact", "string_type"),
        ({"brownout_exempt": None}, "#/brownout_exempt", "bool_type"),
        ({"brownout_exempt": 1}, "#/brownout_exempt", "bool_type"),
        ({"pinned_version": "v0"}, "#/pinned_version", "version_unknown"),
        ({"id": "other"}, "#/id", "extra_forbidden"),
    ],
    ids=str,
)
def test_changes_refused(client, admin, body, pointer, code):
    """Null for what every client has, another id and a version that is not served are 422."""
    register(client, admin)
    is_problem(patch(client, admin, body), "invalid-request", (pointer, code))


def test_removing(client, admin, database):
    """A client that is removed is gone from the register, and what it has called stays counted."""
    register(client, admin)
    use(database, "billing", ("v1", 3, 0))
    is_ok(client.delete("/v2/clients/billing", headers=admin.headers), 204)
    for reply in (
        client.get("/v2/clients/billing", headers=admin.headers),
        client.delete("/v2/clients/billing", headers=admin.headers),
        patch(client, admin, {"name": "B"}),
        patch(client, admin, {}),
    ):
        is_problem(reply, "client-not-found")
    with database.read() as connection:
        assert ledger.seen(connection, ["billing"])["billing"].calls == {"v1": 3}


def test_administrators_only(client, admin, steps):
    """To others every operation is 403, but reading their own client; another's is 404, as one that does not exist."""
    owner, other = steps.person(), steps.person()
    register(client, admin, owner_id=owner.id)
    for person in (owner, other):
        for path in ("billing", "absent"):
            is_problem(patch(client, person, {"name": "B"}, path), "administrators-only")
            is_problem(client.delete(f"/v2/clients/{path}", headers=person.headers), "administrators-only")
        is_problem(client.get("/v2/clients", headers=person.headers), "administrators-only")
        is_problem(client.post("/v2/clients", json=BILLING, headers=person.headers), "administrators-only")
        # Not even whether a version is served, or an id taken, is told.
        reply = client.post("/v2/clients", json={**BILLING, "pinned_version": "v99"}, headers=person.headers)
        is_problem(reply, "administrators-only")
    assert is_ok(client.get("/v2/clients/billing", headers=owner.headers))["id"] == "billing"
    is_problem(client.get("/v2/clients/billing", headers=other.headers), "client-not-found")
    is_problem(client.get("/v2/clients/absent", headers=other.headers), "client-not-found")
    is_problem(client.get("/v2/clients/absent", headers=admin.headers), "client-not-found")
    reply = client.get("/v2/clients/No%20Id", headers=admin.headers)
    is_problem(reply, "invalid-request", ("client_id", "string_pattern_mismatch"), instance="/v2/clients/")


def test_what_a_client_calls(client, admin, database):
    """Last seen, calls of 7 days, activity, and versions called without a pin to them: in list, single and patch."""
    now = datetime.now(UTC)
    for client_id, pinned in (("drifts", "v1"), ("loyal", "v1"), ("free", None), ("gone", "v1"), ("new", "v2")):
        register(client, admin, id=client_id, pinned_version=pinned)
    use(database, "drifts", ("v1", 5, 1), ("v2", 2, 3), ("v2", 100, 20))
    use(database, "loyal", ("v1", 7, 10))
    use(database, "free", ("v1", 1, 0), ("v2", 1, 0))
    use(database, "gone", ("v2", 9, 100))
    use(database, "new", ("v1", 9, 0), source="user-agent")  # whoever calls itself so
    found = {row["id"]: row for row in listing(client, admin, "/v2/clients")["data"]}
    shown = {key: (row["calls_7_days"], row["activity"], row["drift"]) for key, row in found.items()}
    assert shown == {
        "drifts": (7, "active", ["v2"]),
        "loyal": (0, "quiet", []),
        "free": (2, "active", []),
        "gone": (0, "gone", []),
        "new": (0, "unseen", []),
    }
    assert abs(is_moment(found["drifts"]["last_seen"]) - now + timedelta(days=1)) < timedelta(hours=2)
    assert found["new"]["last_seen"] is None
    for client_id, row in found.items():
        assert is_ok(client.get(f"/v2/clients/{client_id}", headers=admin.headers)) == row
        assert is_ok(patch(client, admin, {}, client_id)) == row


@pytest.mark.parametrize("limit", [1, 2, 20])
def test_clients_are_listed_by_id(client, admin, limit):
    """The pages meet each client once, ordered by code point, and a cursor of another list is 400."""
    names = ["a", "a-b", "a.b", "a1", "a_b", "b"]
    for name in reversed(names):
        register(client, admin, id=name)
    client.headers.update(admin.headers)
    assert [row["id"] for row in rows(walk(client, path="/v2/clients", limit=limit))] == names
    cursor = listing(client, path="/v2/clients", limit=1)["page"]["next_cursor"]
    is_problem(client.get("/v2/tags", params={"cursor": cursor}), "invalid-cursor")
