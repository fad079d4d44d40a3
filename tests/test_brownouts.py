"""410: after the sunset of a version, and in its brownouts: whom it hits, until when, and what it says."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from fastapi.testclient import TestClient

from app.adoption import clients, plan
from app.api import VERSIONS
from app.main import create_app
from app.versioning import Brownout
from app.versioning.brownouts import Plan
from tests.conftest import make_settings
from tests.kitchen import SUNSET, ending, serve, version
from tests.links import target_of
from tests.steps import PASSWORD, Steps
from tests.test_migrations import new_database, opened

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
WINDOW = Brownout(NOON, NOON + 30 * MINUTE)


@pytest.fixture
def kitchen():
    """A client of an API whose v1 ends, and its schedule."""
    app, installed = serve(ending(), version())
    return TestClient(app), installed.schedule


def planned(*windows, **more):
    return Plan({"v1": windows}, **more)


def asked(client, at, agent="cli", path="/v1/kettles/3"):
    with time_machine.travel(at, tick=False):
        return client.get(path, headers={"User-Agent": agent})


def test_a_window_is_as_long_as_it_says(kitchen):
    """From its first moment on and up to its end, not before and not at it; the successor goes on."""
    client, schedule = kitchen
    schedule.plan = planned(WINDOW)
    for at, status in {
        WINDOW.starts - timedelta(microseconds=1): 200,
        WINDOW.starts: 410,
        WINDOW.ends - timedelta(microseconds=1): 410,
        WINDOW.ends: 200,
    }.items():
        assert asked(client, at).status_code == status
        assert asked(client, at, path="/v2/kettles/3").status_code == 200


@pytest.mark.parametrize(
    ("before", "seconds"),
    [(30 * MINUTE, 1800), (timedelta(seconds=1.5), 2), (timedelta(seconds=1), 1), (timedelta(microseconds=1), 1)],
)
def test_retry_after_is_the_end_of_the_window(kitchen, before, seconds):
    """Whoever waits so long, to the second, is answered; nobody is told to come back at once."""
    client, schedule = kitchen
    schedule.plan = planned(WINDOW)
    refused = asked(client, WINDOW.ends - before)
    assert refused.headers["retry-after"] == str(seconds)
    assert asked(client, WINDOW.ends - before + timedelta(seconds=seconds)).status_code == 200


def test_windows_that_overlap_or_follow_each_other(kitchen):
    """Retry-After leads to where no window is open any more, whatever windows there are on the way."""
    client, schedule = kitchen
    schedule.plan = planned(
        Brownout(NOON, NOON + 10 * MINUTE),
        Brownout(NOON + 5 * MINUTE, NOON + 20 * MINUTE, "cli"),
        Brownout(NOON + 20 * MINUTE, NOON + 30 * MINUTE, percentage=100),
        Brownout(NOON + 31 * MINUTE, NOON + 40 * MINUTE),
    )
    assert asked(client, NOON, "cli").headers["retry-after"] == "1800"
    assert asked(client, NOON, "ios").headers["retry-after"] == "600"
    assert asked(client, NOON + 30 * MINUTE, "cli").status_code == 200
    assert asked(client, NOON + 15 * MINUTE, "ios").status_code == 200


def test_the_schedule_is_named(kitchen):
    """Header and body list this client's windows to come, five at most, the open one first; no cache keeps them."""
    client, schedule = kitchen
    windows = [Brownout(NOON + day * DAY, NOON + day * DAY + 30 * MINUTE) for day in range(-1, 7)]
    schedule.plan = planned(*reversed(windows), Brownout(NOON + 2 * MINUTE, NOON + 3 * MINUTE, "ios"))
    refused = asked(client, NOON)
    expected = [(f"2027-06-0{1 + day}T12:00:00Z", f"2027-06-0{1 + day}T12:30:00Z") for day in range(5)]
    assert refused.headers["brownout"] == ", ".join(f"{starts}/{ends}" for starts, ends in expected)
    for starts, ends in expected:
        assert f"{starts} to {ends}" in refused.json()["error"]
    assert "until 2027-06-01T12:30:00Z" in refused.json()["error"]
    assert refused.headers["cache-control"] == "no-store"
    assert "2027-06-01T12:02:00Z/2027-06-01T12:03:00Z" in asked(client, NOON, "ios").headers["brownout"]


def test_one_client_s_window(kitchen):
    """It hits the client of this product name alone, whatever version of it, with or without more in its User-Agent."""
    client, schedule = kitchen
    schedule.plan = planned(Brownout(NOON, NOON + DAY, "cli"))
    for agent in ("cli", "cli/1.0", "cli/2.0 (linux) httpx/1"):
        assert asked(client, NOON, agent).status_code == 410
    for agent in ("CLI", "cli2/1.0", "cli-tool", "httpx/1 cli/1.0", "", "(cli)"):
        assert asked(client, NOON, agent).status_code == 200


def sides(client):
    return {number: asked(client, NOON, f"client{number}").status_code == 410 for number in range(300)}


def test_a_client_stays_on_its_side_of_a_percentage(kitchen):
    """In every window the same clients are hit; a larger percentage hits these and more, 100 all of them."""
    client, schedule = kitchen
    hit = {}
    for percentage in (1, 10, 50, 90, 100):
        schedule.plan = planned(Brownout(NOON, NOON + DAY, percentage=percentage))
        hit[percentage] = {number for number, is_hit in sides(client).items() if is_hit}
        assert abs(len(hit[percentage]) - 3 * percentage) <= 25
        schedule.plan = planned(Brownout(NOON - DAY, NOON + MINUTE, percentage=percentage))
        assert {number for number, is_hit in sides(client).items() if is_hit} == hit[percentage]
    assert hit[1] <= hit[10] <= hit[50] <= hit[90] <= hit[100] == set(range(300))


def test_a_side_is_the_same_in_every_worker_and_release():
    """The side follows from the name alone: these clients have always been hit by half, and these have not."""
    half = Brownout(NOON, NOON + DAY, percentage=50)
    assert [name for name in ("cli", "ios", "android", "web", "cron", "anonymous") if half.hits(name)] == [
        *("ios", "web", "anonymous"),
    ]


def test_exempt_clients_and_the_kill_switch(kitchen):
    """A User-Agent is no exemption; nobody is hit while all are stopped, and the sunset hits all the same."""
    client, schedule = kitchen
    windows = (WINDOW, Brownout(NOON, NOON + DAY, "cli"))
    schedule.plan = planned(*windows, exempt=frozenset({"cli"}))
    assert asked(client, NOON, "cli/1.0").status_code == 410  # by its token alone: test_an_exempt_client_is_left_out
    assert asked(client, NOON, "ios").status_code == 410
    schedule.plan = planned(*windows, stopped=True)
    assert asked(client, NOON, "ios").status_code == 200
    schedule.plan = planned(*windows, exempt=frozenset({"cli"}), stopped=True)
    assert asked(client, SUNSET, "cli/1.0").status_code == 410


def test_declared_windows_hold_without_a_plan():
    """What the code declares is a brownout like a planned one, and is stopped like one."""
    app, installed = serve(ending(brownouts=[WINDOW]), version())
    client = TestClient(app)
    assert asked(client, NOON).status_code == 410
    installed.schedule.plan = Plan(stopped=True)
    assert asked(client, NOON).status_code == 200


def test_after_the_sunset():
    """From the very second on each path is gone, for good: no Retry-After, no 404, and nothing of the successor."""
    app, _ = serve(ending(), version())
    client = TestClient(app)
    assert asked(client, SUNSET - timedelta(microseconds=1)).status_code == 200
    for path in ("/v1/kettles/3", "/v1/kettles/x", "/v1/nothing", "/v1", "/v1/kettles/3?limit=%FF"):
        gone = asked(client, SUNSET, path=path)
        assert gone.status_code == 410
        there = path.replace("v1", "v2").partition("?")[0]
        assert gone.json() == {
            "error": f"Version v1 was retired on 2027-12-31T23:59:59Z; its successor v2 has this at {there}"
        }
        assert target_of(gone, "successor-version") == there
        assert not {"retry-after", "brownout"} & gone.headers.keys()


@pytest.fixture
def world(database_url, tmp_path):
    """A database with two registered clients, one of them exempt."""
    with new_database(database_url, tmp_path) as url:
        with opened(url) as database, database.write() as connection:
            clients.register(connection, "till", name="Tills", contact="tills@example.com")
            clients.register(connection, "kiosk", name="Kiosks", contact="kiosks@example.com")
            clients.change(connection, "kiosk", {"brownout_exempt": True})
        yield url


def plan_window(url, **more):
    with opened(url) as database, database.write() as connection:
        return plan.add(connection, "v1", NOON, NOON + 30 * MINUTE, **more)


def serving(url, **changes):
    return TestClient(create_app(make_settings(url, **changes)))


def tokens_of(client, client_id):
    """Headers with a token that each version gave out to this client."""
    person = Steps(client).person()
    form = {"grant_type": "password", "username": person.email, "password": PASSWORD, "client_id": client_id}
    for path in ("/v1/login", "/v2/auth/token"):
        token = client.post(path, data=form).json()["access_token"]
        yield {"Authorization": f"Bearer {token}", "User-Agent": "browser/1.0"}


def test_a_registered_client_is_known_by_its_token(world):
    """A window for a client hits whoever has its token, from either version, on version 1 alone, and nobody else."""
    plan_window(world, client="till")
    with time_machine.travel(NOON - MINUTE, tick=False), serving(world) as client:
        till, kiosk = ([*tokens_of(client, name)] for name in ("till", "kiosk"))
    with time_machine.travel(NOON, tick=False), serving(world) as client:
        for headers in till:
            refused = client.get("/v1/posts", headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (410, "1800")
            assert client.get("/v2/posts", headers=headers).status_code == 200
        for headers in kiosk:
            assert client.get("/v1/posts", headers=headers).status_code == 200
        assert client.get("/v1/users/1", headers={"User-Agent": "till/7"}).status_code == 410
        assert client.get("/v1/users/1", headers={"User-Agent": "browser/1.0"}).status_code == 200


def test_an_exempt_client_is_left_out(world):
    """Who was opted out is answered while everybody else is not."""
    plan_window(world)
    with time_machine.travel(NOON - MINUTE, tick=False), serving(world) as client:
        till, kiosk = ([*tokens_of(client, name)] for name in ("till", "kiosk"))
    with time_machine.travel(NOON, tick=False), serving(world) as client:
        assert {client.get("/v1/posts", headers=headers).status_code for headers in till} == {410}
        assert {client.get("/v1/posts", headers=headers).status_code for headers in kiosk} == {200}
        assert client.get("/v1/posts", headers={"User-Agent": "kiosk/1.0"}).status_code == 410


def test_tokens_are_handed_out_in_a_brownout(world):
    """Logging in is left alone until the sunset: whose client it is shows only afterwards."""
    plan_window(world)
    with time_machine.travel(NOON, tick=False), serving(world) as client:
        assert len([*tokens_of(client, "kiosk")]) == 2


@pytest.mark.parametrize(("at", "code"), [(NOON, "brownout"), (datetime(2028, 11, 20, tzinfo=UTC), "retired")])
def test_410_of_version_1(world, at, code):
    """It has version 1's own form and names the same resource; its documents are read as ever."""
    plan_window(world)
    with time_machine.travel(at, tick=False), serving(world) as client:
        for path, there in {
            "/v1/posts/7": "/v2/posts/7",
            "/v1/posts/7/": "/v2/posts/7",
            "/v1/posts?limit=5&search=a b": "/v2/posts?sort=created_at&q=a+b&limit=5",
            "/v1/users/3": "/v2/users/3",
            "/v1/login": "/v2/auth/token",
            "/v1/nothing": "/v2/nothing",
        }.items():
            gone = client.get(path)
            assert gone.status_code == 410
            assert gone.headers["content-type"] == "application/json"
            assert list(gone.json()) == ["detail"]
            assert re.search(rf"v2 has this at {re.escape(there)}(\.|$)", gone.json()["detail"])
            assert target_of(gone, "successor-version") == there
            assert ("Version v1 was retired" in gone.text) == (code == "retired")
        assert client.post("/v1/users", content=b"x" * 2_000_000).status_code == 410
        for path in ("/v1/openapi.json", "/v1/docs"):
            assert client.get(path).status_code == client.head(path).status_code == 200
            assert target_of(client.get(path), "successor-version") == path.replace("v1", "v2")
        assert client.get("/v1/posts", headers={"Host": "x"}).status_code == 410
        assert client.get("/versions").status_code == client.get("/livez").status_code == 200
    with (
        time_machine.travel(at, tick=False),
        serving(world, docs_enabled=False, allowed_hosts=("testserver",)) as client,
    ):
        assert client.get("/v1/openapi.json").status_code == 410
        assert client.get("/v1/posts", headers={"Host": "elsewhere"}).status_code == 400


def test_dates_of_a_deployment(database_url, tmp_path):
    """With another sunset in LIFECYCLE, that is when version 1 ends."""
    dates = {"v1": {"sunset": "2027-06-01T12:00:00Z"}}
    with new_database(database_url, tmp_path) as url, serving(url, lifecycle=dates) as client:
        for at, status in ((NOON - MINUTE, 404), (NOON, 410)):
            with time_machine.travel(at, tick=False):
                assert client.get("/v1/users/1").status_code == status
    assert VERSIONS[0].sunset == datetime(2028, 11, 20, tzinfo=UTC)
