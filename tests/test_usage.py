"""The usage ledger: what is counted of a call, what never is, what is lost and what is not, how long it is kept."""

import asyncio
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
import time_machine
from structlog.testing import capture_logs

from app.adoption import clients, ledger
from app.adoption.bookkeeper import Bookkeeper
from app.adoption.models import usage, usage_fields
from app.db import Database
from app.logs import configure_logging
from app.versioning.usage import (
    ANONYMOUS,
    OTHERS,
    Call,
    Client,
    Counts,
    FieldUse,
    Ledger,
    Operation,
    Use,
    activity,
    client_of,
)
from tests.conftest import empty, make_settings
from tests.server import LiveServer
from tests.steps import PASSWORD
from tests.test_cli import one_line, tandem
from tests.test_migrations import new_database, opened

SECRET = "hunter2-of-the-caller"  # what somebody sends where it does not belong
HOUR = datetime(2026, 3, 1, 12, tzinfo=UTC)
BILLING = Client("billing", "token")


@pytest.fixture
def flush(client, database):
    """Writes what was counted; nothing was when the test begins."""

    def write():
        return client.portal.call(client.app.state.installed.ledger.flush)

    write()
    empty(database)
    return write


def rows(database, table=usage):
    """All of the table, as dictionaries."""
    with database.read() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def counted(database):
    """Calls by (version, operation, client, status class)."""
    return {
        (row["version"], row["operation"], row["client"], row["status_class"]): row["calls"] for row in rows(database)
    }


def sent(database):
    """Calls by (operation, place, name)."""
    found: Counter[tuple[str, str, str]] = Counter()
    for row in rows(database, usage_fields):
        found[row["operation"], row["place"], row["name"]] += row["calls"]
    return found


def store(database, *uses, fields=()):
    with database.write() as connection:
        ledger.store(connection, Counts(dict(uses), dict(fields)))


def use(at, client=BILLING, operation="GET /posts", status_class=2, version="v1"):
    return Use(at.replace(minute=0, second=0, microsecond=0), version, operation, client, status_class)


def test_calls_are_counted_by_hour_version_operation_client_and_status(client, database, flush):
    """One row for each combination, with how often it was; what is counted later is added to it."""
    agent = {"User-Agent": "curl/8.14 (x86_64)"}
    with time_machine.travel(HOUR + timedelta(minutes=59), tick=False):
        for _ in range(3):
            client.get("/v2/posts", headers=agent)
        client.get("/v1/posts", headers=agent)
        client.get("/v2/posts/7", headers=agent)
        assert flush()
        client.get("/v2/posts", headers=agent)
    with time_machine.travel(HOUR + timedelta(hours=1), tick=False):
        client.get("/v2/posts", headers=agent)
    assert flush()
    found = {
        (row["starts_at"], row["version"], row["operation"], row["client"], row["source"], row["status_class"]): row[
            "calls"
        ]
        for row in rows(database)
    }
    assert found == {
        (HOUR, "v2", "GET /posts", "curl", "user-agent", 2): 4,
        (HOUR, "v1", "GET /posts", "curl", "user-agent", 4): 1,
        (HOUR, "v2", "GET /posts/{post_id}", "curl", "user-agent", 4): 1,
        (HOUR + timedelta(hours=1), "v2", "GET /posts", "curl", "user-agent", 2): 1,
    }


def test_head_and_what_is_not_served(client, database, flush):
    """HEAD counts as the GET it is; unknown paths, other methods and preflights are one operation, unknown."""
    agent = {"User-Agent": "a"}
    client.options("/v2/posts", headers=agent)
    client.get("/v1/users/1/", headers=agent)
    client.head("/v1/users/1", headers=agent)
    client.get("/v2/nothing/here", headers=agent)
    client.delete("/v2/tags", headers=agent)
    client.get("/versions", headers=agent)
    flush()
    assert counted(database) == {
        ("v1", "GET /users/{user_id}", "a", 4): 2,
        ("v2", "unknown", "a", 4): 2,
        ("v2", "unknown", "a", 2): 1,
    }


def test_names_that_were_sent(client, database, steps, flush):
    """Documented parameters and top-level fields of JSON bodies and forms are counted, once a call, unless refused."""
    ada = steps.person()
    flush()
    empty_usage(database)
    client.get("/v2/posts?limit=5&tag=a&tag=b&q=x")
    client.get("/v2/posts?limit=nonsense")
    body = {"title": "t", "content": "c", "tags": ["x"]}
    assert client.post("/v2/posts", json=body, headers=ada.headers).status_code == 201
    assert client.post("/v1/login", data={"username": ada.email, "password": PASSWORD}).status_code == 200
    patch = {"Content-Type": "application/merge-patch+json", **ada.headers}
    assert client.patch("/v2/users/me", content='{"bio": null}', headers=patch).status_code == 200
    flush()
    assert sent(database) == {
        ("GET /posts", "query", "limit"): 1,
        ("GET /posts", "query", "tag"): 1,
        ("GET /posts", "query", "q"): 1,
        ("POST /posts", "body", "title"): 1,
        ("POST /posts", "body", "content"): 1,
        ("POST /posts", "body", "tags"): 1,
        ("POST /login", "body", "username"): 1,
        ("POST /login", "body", "password"): 1,
        ("PATCH /users/me", "body", "bio"): 1,
    }


def empty_usage(database):
    with database.write() as connection:
        connection.execute(sa.delete(usage))
        connection.execute(sa.delete(usage_fields))


def test_nothing_else_that_was_sent_is_kept(client, database, steps, flush):
    """A secret in a value, an unknown name, a path, a header, a body of any form: it is in no row of the ledger."""
    ada = steps.person()
    for version in ("v1", "v2"):
        client.get(f"/{version}/posts", params={SECRET: "1", "search": SECRET, "q": SECRET}, headers=ada.headers)
        client.get(f"/{version}/{SECRET}", params={SECRET: SECRET})
        client.get(f"/{version}/posts/{SECRET}", headers={"Authorization": f"Bearer {SECRET}", "X-Request-ID": SECRET})
        post = {"title": SECRET, "content": SECRET, SECRET: {SECRET: 1}}
        client.post(f"/{version}/posts", json=post, headers=ada.headers)
        client.post(f"/{version}/posts", content=f'{{"title": "{SECRET}', headers=ada.headers)
        client.post(f"/{version}/posts", json=[SECRET], headers=ada.headers)
        client.post(f"/{version}/posts", content=f"[" * 3000 + SECRET, headers=ada.headers)  # noqa: F541
        client.get(f"/{version}/posts", headers={"User-Agent": f"agent/1.0 ({SECRET})"})
        client.get(f"/{version}/posts", headers={"User-Agent": f"({SECRET})"})
    client.post("/v1/login", data={"username": SECRET, "password": SECRET, SECRET: SECRET, "client_id": SECRET})
    form = {"grant_type": "password", "username": ada.email, "password": PASSWORD, "client_id": SECRET}
    assert client.post("/v2/auth/token", data=form).status_code == 200
    client.post("/v2/auth/revoke", data={"token": SECRET, "token_type_hint": SECRET})
    flush()
    kept = [*rows(database), *rows(database, usage_fields)]
    assert sum(row["calls"] for row in rows(database)) == 23  # signing up and logging in as well
    assert SECRET not in str(kept)
    assert {row["name"] for row in rows(database, usage_fields)} >= {"title", "username", "search", "q", "token"}


def test_names_of_large_bodies_are_not_read(client, database, steps, flush):
    """A body of more than 64 KiB is counted as a call, and its fields are not."""
    ada = steps.person()
    flush()
    empty_usage(database)
    for length in (60_000, 70_000):
        body = '{"title": "t", "content": "c"' + " " * length + "}"
        headers = {"Content-Type": "application/json", **ada.headers}
        assert client.post("/v2/posts", content=body, headers=headers).status_code == 201
    flush()
    assert sum(row["calls"] for row in rows(database)) == 2
    assert sent(database)["POST /posts", "body", "title"] == 1


@pytest.mark.parametrize(
    ("sent_form", "read"),
    [
        (b"username=a", True),
        (b"username=" + b"a" * 4000, True),
        (b"username=" + b"a" * 5000, False),
        (b"&" * 99 + b"username=a", True),
        (b"&" * 100 + b"username=a", False),
        (b" " * 5000 + b"username=a", False),
    ],
)
@pytest.mark.parametrize("place", ["query", "body"])
def test_names_of_large_forms_are_not_read(place, sent_form, read):
    """Of a query or form beyond 4 KiB or 100 fields, which would hold up other requests, no name is read."""
    assert names(**{place: sent_form}) == (1 if read else 0)


@pytest.mark.parametrize(("status", "read"), [(200, True), (303, True), (400, False), (410, False), (500, False)])
@pytest.mark.parametrize("sent", [{"query": b"username=a"}, {"body": b"username=a"}, {"body": b'{"username": 1}'}])
def test_names_of_refused_calls_are_not_read(sent, status, read):
    """A call that was refused costs no reading of its query or body, and counts as a call all the same."""
    assert names(status=status, **sent) == (1 if read else 0)


def names(**fields):
    """How many names a ledger, which knows `username` alone, notes of a call."""
    known = frozenset({"username"})
    stored: list[Counts] = []
    gathered = Ledger({("GET", "/v1/posts"): Operation("GET /posts", known, known)}, stored.append)
    gathered.note(call(BILLING)._replace(**fields))
    asyncio.run(gathered.flush())
    assert sum(stored[0].uses.values()) == 1
    return len(stored[0].fields)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("okhttp/4.12.0", "okhttp"),
        ("Mozilla/5.0 (X11; Linux) Gecko", "Mozilla"),
        ("acme-sync", "acme-sync"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 64),
        ("", "anonymous"),
        ("(comment first)", "anonymous"),
        ("é", "anonymous"),
    ],
)
def test_a_client_without_a_token_is_its_product(user_agent, name):
    """The first product of the User-Agent (RFC 9110, section 10.1.5), without its version; anonymous for none."""
    assert client_of(None, user_agent).name == name
    assert client_of("billing", user_agent) == BILLING


def test_a_registered_client_is_known_by_its_token(client, database, steps, flush):
    """A login that names a registered client, in either version, makes its calls that client's, refreshed or not."""
    ada = steps.person()
    with database.write() as connection:
        clients.register(connection, "billing", name="Billing", contact="b@example.com")
    form = {"username": ada.email, "password": PASSWORD, "client_id": "billing"}
    one = client.post("/v1/login", data=form).json()
    two = client.post("/v2/auth/token", data={**form, "grant_type": "password"}).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": two["refresh_token"], "client_id": "another"}
    three = client.post("/v2/auth/token", data=refresh).json()
    flush()
    empty_usage(database)
    for token in (one, two, three):
        headers = {"Authorization": f"Bearer {token['access_token']}", "User-Agent": "pretends/1"}
        assert client.get("/v1/posts", headers=headers).status_code == 200
        client.get("/v2/nothing", headers=headers)
    other = client.post("/v1/login", data={**form, "client_id": "unheard-of"}, headers={"User-Agent": "shell"}).json()
    client.get("/v1/posts", headers={"Authorization": f"Bearer {other['access_token']}", "User-Agent": "shell"})
    flush()
    assert counted(database) == {
        ("v1", "GET /posts", "billing", 2): 3,
        ("v2", "unknown", "billing", 4): 3,
        ("v1", "POST /login", "shell", 2): 1,
        ("v1", "GET /posts", "shell", 2): 1,
    }


def test_a_removed_client_does_not_live_on_in_its_sessions(client, database, steps, flush):
    """Once a client is removed, refreshing gives tokens without it, also when another registers under its id."""
    ada = steps.person()
    for client_id in ("billing", "other"):
        with database.write() as connection:
            clients.register(connection, client_id, name="A client", contact="b@example.com")
    form = {"grant_type": "password", "username": ada.email, "password": PASSWORD}
    logins = [client.post("/v2/auth/token", data={**form, "client_id": name}).json() for name in ("billing", "other")]
    with database.write() as connection:
        clients.remove(connection, "billing")
    with database.write() as connection:
        clients.register(connection, "billing", name="Somebody else", contact="s@example.com")
    flush()
    empty_usage(database)
    for login in logins:
        refresh = {"grant_type": "refresh_token", "refresh_token": login["refresh_token"]}
        token = client.post("/v2/auth/token", data=refresh).json()["access_token"]
        client.get("/v1/posts", headers={"Authorization": f"Bearer {token}", "User-Agent": "shell"})
    flush()
    assert {name for _, operation, name, _ in counted(database) if operation == "GET /posts"} == {"shell", "other"}


def call(client, route="/v1/posts", status=200):
    return Call("v1", "GET", route, client, status, b"", b"", 0.001)


OPERATIONS: dict[tuple[str, str | None], Operation] = {
    ("GET", "/v1/posts"): Operation("GET /posts", frozenset(), frozenset())
}


def gather(*calls, **options):
    """What a ledger makes of these calls."""
    stored: list[Counts] = []
    gathered = Ledger(OPERATIONS, stored.append, **options)

    async def run():
        for one in calls:
            gathered.note(one)
        await gathered.flush()

    asyncio.run(run())
    return [(use.client, count) for counts in stored for use, count in counts.uses.items()]


def test_a_flood_of_invented_agents_is_bounded():
    """Beyond so many products in an hour, those not met before are counted as others; registered clients never are."""
    invented = [call(Client(f"agent-{number}", "user-agent")) for number in range(100)]
    known = call(Client("agent-1", "user-agent"))
    found = gather(*invented, known, call(BILLING), call(ANONYMOUS), most_products=3)
    assert found == [
        (Client("agent-0", "user-agent"), 1),
        (Client("agent-1", "user-agent"), 2),
        (Client("agent-2", "user-agent"), 1),
        (OTHERS, 97),
        (BILLING, 1),
        (ANONYMOUS, 1),
    ]


def test_the_next_hour_has_room_again():
    """Products are told apart anew each hour, also when the clock goes back."""
    stored: list[Counts] = []
    gathered = Ledger(OPERATIONS, stored.append, most_products=1)
    moments = (HOUR, HOUR + timedelta(minutes=59), HOUR + timedelta(hours=1), HOUR)
    for moment, name in zip(moments, "abcd", strict=True):
        with time_machine.travel(moment, tick=False):
            gathered.note(call(Client(name, "user-agent")))
    asyncio.run(gathered.flush())
    assert [(use.hour, use.client.name) for use in stored[0].uses] == [
        (HOUR, "a"),
        (HOUR, "others"),
        (HOUR + timedelta(hours=1), "c"),
        (HOUR, "d"),
    ]


def test_a_flood_of_refused_calls_hides_nobody():
    """A refused call of an unknown product counts as others and takes no place; that of a known one bears its name."""
    invented = [call(Client(f"agent-{number}", "user-agent"), status=401) for number in range(100)]
    real = Client("real", "user-agent")
    assert gather(*invented, call(real), call(real, status=410), most_products=1) == [
        (OTHERS, 100),
        (real, 1),
        (real, 1),
    ]


def by_hour(*hours, most_products):
    """The names that calls are counted under, hour by hour; those that begin with an exclamation mark are refused."""
    stored: list[Counts] = []
    gathered = Ledger(OPERATIONS, stored.append, most_products=most_products)
    for number, names_of_hour in enumerate(hours):
        with time_machine.travel(HOUR + timedelta(hours=number), tick=False):
            for name in names_of_hour:
                client = Client(name.removeprefix("!"), "user-agent")
                gathered.note(call(client, status=401 if name.startswith("!") else 200))
    asyncio.run(gathered.flush())
    found: dict[datetime, set[str]] = {}
    for one in stored[0].uses:
        found.setdefault(one.hour, set()).add(one.client.name)
    return list(found.values())


def test_who_was_known_is_known_in_the_next_hour():
    """However many others come first or all its calls are refused, a client that calls every hour keeps its name."""
    assert by_hour(["a", "b"], ["c", "d", "e", "a", "!b"], ["f", "g", "!b", "a"], ["!a"], ["b"], most_products=2) == [
        {"a", "b"},
        {"c", "d", "others", "a", "b"},
        {"f", "g", "a", "b"},
        {"a"},
        {"b"},
    ]


def test_who_was_away_for_an_hour_is_met_anew():
    """A place that is kept from hour to hour is free again once its client is away, and no more are kept than told."""
    assert by_hour(["a"], ["b"], ["!a", "!b"], most_products=1) == [{"a"}, {"b"}, {"others", "b"}]
    assert by_hour(["a", "b"], ["c", "d", "a", "b"], ["!a", "!b", "!c", "!d"], most_products=2)[2] == {
        "a",
        "b",
        "others",
    }


def test_what_the_database_refuses_is_kept_for_the_next_time(client, database, flush):
    """While its table is away calls go on being counted, and all of them are written once it is back."""
    agent = {"User-Agent": "a"}
    client.get("/v2/posts", headers=agent)
    rename(database, "usage", "usage_away")
    try:
        assert not flush()
        client.get("/v2/posts?limit=1", headers=agent)
        assert not flush()
    finally:
        rename(database, "usage_away", "usage")
    assert counted(database) == {}
    assert flush()
    assert counted(database) == {("v2", "GET /posts", "a", 2): 2}
    assert sent(database) == {("GET /posts", "query", "limit"): 1}


def rename(database, name, to):
    with database.write() as connection:
        connection.execute(sa.text(f"ALTER TABLE {name} RENAME TO {to}"))


def test_a_stop_writes_the_rest_even_if_the_database_stumbles():
    """Leaving the ledger writes what was counted, trying again when that fails."""
    stored, failures = [], [OSError(), OSError()]

    def stumble(counts):
        if failures:
            raise failures.pop()
        stored.append(counts)

    async def run():
        gathered = Ledger(OPERATIONS, stumble, interval=3600)
        async with gathered:
            gathered.note(call(BILLING))

    asyncio.run(run())
    assert [list(counts.uses.values()) for counts in stored] == [[1]]


def test_a_stop_waits_for_the_database_to_come_back():
    """A database that is away for a moment while the service stops is tried again after a pause."""
    stored: list[list[int]] = []
    back = threading.Event()
    returning = threading.Timer(0.1, back.set)

    def away(counts):
        if not back.is_set():
            if returning.ident is None:
                returning.start()
            raise OSError
        stored.append(list(counts.uses.values()))

    asyncio.run(stopped_after(3, away))
    assert stored == [[3]]


@pytest.fixture
def lines():
    """The lines of the log."""
    configure_logging(json=False, level="WARNING")
    with capture_logs() as lines:
        yield lines


def test_what_a_stop_loses_is_said(lines):
    """When every attempt to write the rest fails, the log says how many calls are lost, and the stop goes on."""

    def fail(_counts):
        raise OSError

    asyncio.run(stopped_after(3, fail))
    assert [(line["log_level"], line["calls"]) for line in lines if line["event"] == "usage lost"] == [("warning", 3)]


async def stopped_after(calls, store_counts):
    """Count so many calls, then stop."""
    gathered = Ledger(OPERATIONS, store_counts, interval=3600)
    async with gathered:
        for _ in range(calls):
            gathered.note(call(BILLING))


def test_a_stop_in_the_middle_of_a_write_loses_nothing():
    """What is being written when the service stops, and fails, is written after all."""
    stored, began, stopping = [], threading.Event(), threading.Event()

    def fail_once(counts):
        if not began.is_set():
            began.set()
            stopping.wait(20)
            raise OSError
        stored.append(list(counts.uses.values()))

    async def run():
        gathered = Ledger(OPERATIONS, fail_once, interval=0.01)
        async with gathered:
            gathered.note(call(BILLING))
            await asyncio.to_thread(began.wait, 20)
            asyncio.get_running_loop().call_later(0.05, stopping.set)

    asyncio.run(run())
    assert stored == [[1]]


def test_two_workers_add_up(database):
    """The same keys, written at the same time in any order, end as one row with the sum."""
    uses = [(use(HOUR, Client(f"c{number}", "token")), 1) for number in range(50)]
    fields = [(FieldUse(HOUR, "v1", "GET /posts", BILLING, "query", f"f{number}"), 2) for number in range(50)]
    with ThreadPoolExecutor(4) as pool:
        for turn in range(4):
            ordered = uses if turn % 2 else uses[::-1]
            pool.submit(store, database, *ordered, fields=fields[:: 1 if turn % 2 else -1])
    assert [row["calls"] for row in rows(database)] == [4] * 50
    assert [row["calls"] for row in rows(database, usage_fields)] == [8] * 50


def test_old_hours_become_days_and_old_days_go(database):
    """Hours of the days before a moment are added up, each day to a row; sums stay; what is older still is deleted."""
    now = datetime(2026, 3, 31, 15, 30, tzinfo=UTC)
    old, older = now - timedelta(days=40), now - timedelta(days=401)
    with time_machine.travel(now, tick=False):
        store(
            database,
            *((use(old.replace(hour=hour)), hour + 1) for hour in range(24)),
            (use(old.replace(hour=5), status_class=4), 7),
            (use(old + timedelta(days=1)), 100),
            (use(now - timedelta(days=35)), 3),
            (use(older), 1000),
            fields=[
                (FieldUse(old.replace(hour=h, minute=0), "v1", "GET /posts", BILLING, "query", "q"), 1) for h in (0, 9)
            ],
        )
        for expected in (ledger.Pruned(26, 1), ledger.Pruned(0, 0)):
            with database.write() as connection:
                assert ledger.prune(connection, hourly=timedelta(days=35), kept=timedelta(days=400)) == expected
    found = {(row["starts_at"], row["status_class"]): row["calls"] for row in rows(database)}
    day = old.replace(hour=0, minute=0)
    assert found == {
        (day, 2): 300,
        (day, 4): 7,
        (day + timedelta(days=1), 2): 100,
        ((now - timedelta(days=35)).replace(minute=0), 2): 3,
    }
    assert [(row["starts_at"], row["calls"]) for row in rows(database, usage_fields)] == [(day, 2)]


@pytest.mark.parametrize("table", [usage, usage_fields])
def test_what_is_stored_while_hours_become_days_is_counted(database, table):
    """Calls of an old day that another worker commits in the middle of the roll-up are all in the ledger."""
    moment = datetime.now(UTC) - timedelta(days=40)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    first, late = BILLING, Client("late", "token")

    def store_for(client):
        hour = day + timedelta(hours=9)
        fields = {FieldUse(hour, "v1", "GET /posts", client, "query", "q"): 3}
        store(database, (use(hour, client), 3), fields=fields)

    store_for(first)
    stored: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:

            def store_before_the_deletion(_connection, _cursor, statement, *_):
                if statement.startswith(f"DELETE FROM {table.name} ") and not stored:
                    stored.append(pool.submit(store_for, late))
                    if database.engine.dialect.name == "postgresql":  # SQLite lets nobody write until this has ended
                        stored[0].result(20)

            sa.event.listen(connection, "before_cursor_execute", store_before_the_deletion)
            ledger.roll_up(connection, before=day + timedelta(days=1))
        stored[0].result(20)
    for each in (usage, usage_fields):
        assert {row["client"]: row["calls"] for row in rows(database, each)} == {"billing": 3, "late": 3}, each.name


def keeper(url, **options):
    """A worker's bookkeeper, over a database object of its own."""
    settings = {"hourly": timedelta(days=35), "kept": timedelta(days=400), "on_drift": lambda *_: None, **options}
    return Bookkeeper(Database(make_settings(url).database_url), **settings)


def test_one_worker_an_hour_prunes(database, database_url):
    """Of several workers that look at the same time one prunes, and for an hour no other does."""
    workers = [keeper(database_url) for _ in range(4)]
    start = datetime.now(UTC)
    for later, turns in ((0, 1), (59, 0), (60, 1)):
        with time_machine.travel(start + timedelta(minutes=later), tick=False), ThreadPoolExecutor(4) as pool:
            done = list(pool.map(Bookkeeper.prune, workers))
        assert sum(result is not None for result in done) == turns, later
    assert database


def test_a_worker_prunes_by_itself(database, database_url):
    """While a worker runs, what is old goes without anybody asking."""
    store(database, (use(datetime.now(UTC) - timedelta(days=500)), 1))

    async def run():
        async with keeper(database_url, look_seconds=0.01), asyncio.timeout(20):
            while await asyncio.to_thread(rows, database):  # noqa: ASYNC110 - the database sends no events
                await asyncio.sleep(0.02)

    asyncio.run(run())
    assert rows(database) == []


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        *((None, "unseen"), (0, "active"), (7, "active"), (7.01, "quiet"), (29.99, "quiet")),
        *((30, "stale"), (89.99, "stale"), (90, "gone"), (400, "gone")),
    ],
)
def test_activity(days, expected):
    """Active up to 7 days after the last call, stale from 30 on, gone from 90 on; unseen without any."""
    assert activity(None if days is None else HOUR - timedelta(days=days), HOUR) == expected


def test_drift_is_told_once_an_hour(database, database_url, lines):
    """A client pinned to one version that calls another is warned of, once an hour for each version, and counted."""
    with database.write() as connection:
        clients.register(connection, "billing", name="Billing", contact="b@example.com", pinned_version="v1")
        clients.register(connection, "free", name="Free", contact="f@example.com")
    drifts = []
    worker = keeper(database_url, on_drift=lambda *drift: drifts.append(drift))
    unregistered = (Client("removed", "token"), Client("billing", "user-agent"), Client("free", "token"))
    start = datetime.now(UTC)
    told = []
    for minutes in (0, 59, 61):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False):
            uses = {use(HOUR): 1, use(HOUR, version="v2"): 5, use(HOUR, version="v3"): 1}
            worker.store(Counts({**uses, **{use(HOUR, other, version="v2"): 1 for other in unregistered}}, {}))
        told.append([(line["pinned"], line["called"], line["operation"]) for line in lines])
        lines.clear()
    drift = [("v1", "v2", "GET /posts"), ("v1", "v3", "GET /posts")]
    assert told == [drift, [], drift]
    assert drifts == 3 * [("billing", "v1", "v2", 5), ("billing", "v1", "v3", 1)]


def test_an_alert_that_fails_stores_nothing_twice(database, database_url, lines):
    """What is stored stays stored when telling of drift fails: it is logged, and the other alerts are still told."""
    with database.write() as connection:
        clients.register(connection, "billing", name="Billing", contact="b@example.com", pinned_version="v1")
    told = []

    def stumble(_client, _pinned, called, _calls):
        told.append(called)
        if called == "v2":
            raise OSError

    gathered = Ledger(OPERATIONS, keeper(database_url, on_drift=stumble).store)
    for version in ("v2", "v3"):
        gathered.note(call(BILLING)._replace(version=version))
    assert [asyncio.run(gathered.flush()) for _ in range(2)] == [True, True]
    assert [row["calls"] for row in rows(database)] == [1, 1]
    assert told == ["v2", "v3"]
    assert "client drift not told" in [line["event"] for line in lines]


@pytest.fixture
def there(database_url, tmp_path, scratch):  # noqa: ARG001 - sets nothing
    """The environment that leads to a database of one's own, with some use in it."""
    now = datetime.now(UTC)
    with new_database(database_url, tmp_path) as url:
        with opened(url) as database:
            store(
                database,
                (use(now), 5),
                (use(now, status_class=4), 2),
                (use(now, Client("curl", "user-agent"), "POST /vote"), 9),
                (use(now - timedelta(days=3), version="v2"), 1),
                (use(now - timedelta(days=20)), 70),
                (use(now - timedelta(days=500)), 1000),
            )
        yield {"DATABASE_URL": url, "DATABASE_CONNECT_WAIT": "0"}


def test_tandem_usage(there):
    """The table has a line for each client, operation or day of a version, with its calls and the refused ones."""
    by_client = [line.split()[:-1] for line in tandem("usage", **there).out.splitlines()]
    assert by_client == [
        ["version", "client", "calls", "refused"],
        ["v1", "curl", "(unregistered)", "9", "0"],
        ["v1", "billing", "7", "2"],
        ["v2", "billing", "1", "0"],
    ]
    by_operation = [line.split()[:-1] for line in tandem("usage", "v1", "--by", "operation", **there).out.splitlines()]
    assert by_operation[1:] == [["v1", "POST", "/vote", "9", "0"], ["v1", "GET", "/posts", "7", "2"]]
    by_day = [line.split()[2] for line in tandem("usage", "v1", "--by", "day", "--days", 30, **there).out.splitlines()]
    assert by_day == ["calls", "70", "16"]
    assert tandem("usage", "v99", **there).code == 2


def test_tandem_usage_for_programs(there):
    """`--format json` says the same, and since when it counts."""
    shown = json.loads(tandem("usage", "show", "v2", "--format", "json", **there).out)
    assert shown["by"] == "client"
    assert [{**line, "last": ""} for line in shown["usage"]] == [
        {"version": "v2", "client": "billing", "source": "token", "calls": 1, "refused": 0, "last": ""}
    ]
    assert abs(datetime.fromisoformat(shown["since"]) - datetime.now(UTC) + timedelta(days=7)) < timedelta(minutes=5)


def test_tandem_usage_prune(there):
    """`prune` does at once what the service does by the hour, as the settings have it."""
    done = tandem("usage", "prune", **there)
    assert done.out.endswith("1 rows deleted\n")
    assert tandem("usage", "prune", **there, USAGE_HOURLY_DAYS=1, USAGE_DAYS=10).out.endswith("1 rows deleted\n")
    assert tandem("usage", "prune", **there).out == "0 hourly rows added up by the day, 0 rows deleted\n"
    assert one_line(tandem("usage", **{**there, "DATABASE_URL": "sqlite:///fresh.db"})).endswith("tandem db upgrade")


def test_several_workers_count_every_request(database_url, tmp_path):
    """2,000 requests over 3 workers that flush while they come in are in the ledger to the last one after a stop."""
    requests, threads = 2000, 8
    with new_database(database_url, tmp_path) as url:
        with LiveServer(url, tmp_path, WORKERS="3", USAGE_FLUSH_SECONDS="0.2") as server:

            def ask(number):
                with httpx2.Client(base_url=server.url, headers={"User-Agent": f"thread-{number}/1"}) as client:
                    for turn in range(requests // threads):
                        assert client.get(f"/v2/posts?limit={turn % 9 + 1}").status_code == 200

            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(ask, range(threads)))
        assert server.process.returncode == 0
        with opened(url) as database:
            assert sum(row["calls"] for row in rows(database)) == requests
            assert {row["client"] for row in rows(database)} == {f"thread-{number}" for number in range(threads)}
            assert sent(database) == {("GET /posts", "query", "limit"): requests}


def test_a_kill_loses_what_was_not_written_and_no_more(database_url, tmp_path):
    """What was flushed before `kill -9` is in the ledger; what came since may be lost, and is never there twice."""
    with new_database(database_url, tmp_path) as url, opened(url) as database:
        with LiveServer(url, tmp_path, WORKERS="2", USAGE_FLUSH_SECONDS="0.2") as server:
            for _ in range(100):
                httpx2.get(f"{server.url}/v2/tags")
            deadline = time.monotonic() + 20
            while (written := sum(row["calls"] for row in rows(database))) < 100 and time.monotonic() < deadline:
                time.sleep(0.05)
            for _ in range(50):
                httpx2.get(f"{server.url}/v2/tags")
            server.kill()
        assert written == 100
        assert 100 <= sum(row["calls"] for row in rows(database)) <= 150
