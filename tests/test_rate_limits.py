"""Rate limits: who is counted, what replies tell of it, and what happens beyond."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx2
import pytest
import time_machine
from fastapi.testclient import TestClient

from app.domain.models import users
from app.main import create_app
from app.settings import SettingsError, load_settings
from app.versioning.quotas import Policy
from app.versioning.redis_counters import PAUSE, RedisCounters
from tests.conftest import make_settings
from tests.redis_server import RedisServer
from tests.server import LiveServer
from tests.steps import PASSWORD, Steps

START = datetime(2027, 1, 1, 12, 0, 10, tzinfo=UTC)  # ten seconds into a window of a minute
LIMITS = {"rate_limit_account": "5/minute", "rate_limit_client": "8/minute", "rate_limit_address": "40/minute"}


@pytest.fixture
def clock():
    """Stands still until it is shifted."""
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.fixture
def limited(settings, database, clock):  # noqa: ARG001 - empties it; begins at that time
    """Speaks to the application with small quotas."""
    with TestClient(create_app(settings.model_copy(update={"rate_limit_enabled": True, **LIMITS}))) as client:
        yield client


@pytest.fixture
def from_address(settings, database):  # noqa: ARG001 - empties it
    """Makes clients that speak to one application, with a quota of two requests an address, each from its own."""
    app = create_app(settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_address": "2/hour"}))
    with TestClient(app):
        yield lambda address: TestClient(app, client=(address, 50000))


def statuses(client, path, times, **more):
    return [client.get(path, **more).status_code for _ in range(times)]


def test_version_2_tells_how_a_caller_stands_on_every_reply(limited, clock):
    """Quota, what is left and when it begins anew, as structured fields; on refusals and unknown paths as well."""
    ada = Steps(limited).person()
    reply = limited.get("/v2/users/me", headers=ada.headers)
    assert reply.headers["ratelimit-policy"] == '"account";q=5;w=60'
    assert reply.headers["ratelimit"] == '"account";r=4;t=50'
    clock.shift(timedelta(seconds=7))
    assert limited.get("/v2/nothing", headers=ada.headers).headers["ratelimit"] == '"account";r=3;t=43'
    assert limited.get("/v2/posts/x", headers=ada.headers).headers["ratelimit"] == '"account";r=2;t=43'
    unmodified = {**ada.headers, "If-None-Match": reply.headers["etag"]}
    reply = limited.get("/v2/users/me", headers=unmodified)
    assert (reply.status_code, reply.headers["ratelimit"]) == (304, '"account";r=1;t=43')
    assert limited.head("/v2/posts", headers=ada.headers).headers["ratelimit"] == '"account";r=0;t=43'


def test_version_1_tells_it_in_the_fields_that_older_clients_know(limited):
    """X-RateLimit-*, and not the fields of version 2."""
    ada = Steps(limited).person()
    headers = limited.get("/v1/posts", headers=ada.headers).headers
    told = {name: value for name, value in headers.items() if "ratelimit" in name}
    assert told == {"x-ratelimit-limit": "5", "x-ratelimit-remaining": "4", "x-ratelimit-reset": "50"}


def test_beyond_the_quota_each_version_refuses_in_its_form(limited, clock):
    """429 with Retry-After, problem details in version 2 and for the OAuth endpoint too; then a new window begins."""
    ada = Steps(limited).person()
    assert statuses(limited, "/v2/users/me", 6, headers=ada.headers) == [200] * 5 + [429]
    new, old = (limited.get(f"/{name}/posts", headers=ada.headers) for name in ("v2", "v1"))
    assert (old.status_code, old.json()) == (429, {"detail": "Too many requests of this account; try again in 50 s"})
    assert (new.status_code, new.json()["code"], new.json()["status"]) == (429, "rate-limited", 429)
    assert new.headers["content-type"] == "application/problem+json"
    assert (new.headers["retry-after"], old.headers["retry-after"]) == ("50", "50")
    assert (new.headers["ratelimit"], old.headers["x-ratelimit-remaining"]) == ('"account";r=0;t=50', "0")
    assert new.headers["api-version"] == "v2"
    assert "deprecation" in old.headers
    statuses(limited, "/v2/posts", 40)
    token = limited.post("/v2/auth/token", data={"grant_type": "password"})
    assert (token.status_code, token.json()["code"]) == (429, "rate-limited")
    assert limited.get("/problems/rate-limited").json()["code"] == "rate-limited"  # outside the versions as well
    clock.shift(timedelta(seconds=49.9))
    assert limited.get("/v2/users/me", headers=ada.headers).status_code == 429
    clock.shift(timedelta(seconds=0.2))
    assert limited.get("/v2/users/me", headers=ada.headers).status_code == 200
    assert limited.get("/problems/rate-limited").status_code == 200


def test_an_account_is_counted_by_itself_and_in_both_versions(limited):
    """Whichever version is called, and whoever else is over: one count an account."""
    ada, bob = Steps(limited).person(), Steps(limited).person()
    assert statuses(limited, "/v1/posts", 3, headers=ada.headers) == [200] * 3
    assert statuses(limited, "/v2/posts", 3, headers=ada.headers) == [200, 200, 429]
    assert statuses(limited, "/v2/posts", 5, headers=bob.headers) == [200] * 5
    assert limited.get("/v2/posts").status_code == 200


def test_a_registered_client_is_counted_over_all_its_accounts(limited, database):
    """Its quota is told beside the account's, and what is refused an account is not counted for its client."""
    admin, people = Steps(limited).person(), [Steps(limited).person() for _ in range(3)]
    with database.write() as connection:
        connection.execute(users.update().where(users.c.id == admin.id).values(is_admin=True))
    body = {"id": "billing", "name": "Billing", "contact": "billing@example.com"}
    assert limited.post("/v2/clients", json=body, headers=admin.headers).status_code == 201
    form = {"grant_type": "password", "password": PASSWORD, "client_id": "billing"}
    tokens = [limited.post("/v2/auth/token", data={**form, "username": who.email}).json() for who in people]
    one, two, three = ({"Authorization": f"Bearer {token['access_token']}"} for token in tokens)
    reply = limited.get("/v2/posts", headers=one)
    assert reply.headers["ratelimit-policy"] == '"account";q=5;w=60, "client";q=8;w=60'
    assert reply.headers["ratelimit"] == '"account";r=4;t=50, "client";r=7;t=50'
    assert statuses(limited, "/v2/posts", 9, headers=one) == [200] * 4 + [429] * 5
    assert statuses(limited, "/v2/posts", 3, headers=two) == [200] * 3
    reply = limited.get("/v2/posts", headers=three)
    assert (reply.status_code, reply.json()["detail"]) == (429, "Too many requests of this client; try again in 50 s")
    assert limited.get("/v1/posts", headers=three).headers["x-ratelimit-limit"] == "8"  # the one that is used up


@pytest.mark.parametrize("value", ["Bearer nonsense", "Basic dTpw", "Bearer", "nonsense"])
def test_without_a_good_token_the_address_is_counted(limited, value):
    """A made-up token is no way to a quota of its own."""
    assert statuses(limited, "/v2/users/me", 41, headers={"Authorization": value})[-2:] == [401, 429]
    assert limited.get("/v2/posts").status_code == 429


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_probes_are_never_limited(limited, path):
    """They are answered however often, without a word of limits; and OPTIONS, which preflights are."""
    statuses(limited, "/v2/posts", 41)
    assert limited.get("/v2/posts").status_code == 429
    reply = limited.get(path)
    assert reply.status_code == 200
    assert not [name for name in reply.headers if "ratelimit" in name]
    assert limited.options("/v2/posts").status_code == 204


def test_limits_are_seen_by_scripts_and_counted(settings, database):  # noqa: ARG001 - empties it
    """A browser's script may read the fields, also of a 429; the metrics count what was refused, by policy."""
    origin = {"Origin": "https://app.example"}
    changes = {"rate_limit_enabled": True, "rate_limit_address": "1/hour", "cors_origins": ("https://app.example",)}
    with TestClient(create_app(settings.model_copy(update=changes))) as client:
        client.get("/v2/posts", headers=origin)
        assert client.get("/v1/posts/").status_code == 429
        reply = client.get("/v2/posts", headers=origin)
        assert reply.status_code == 429
        assert reply.headers["access-control-allow-origin"] == "https://app.example"
        exposed = reply.headers["access-control-expose-headers"].lower().split(", ")
        assert {"ratelimit", "ratelimit-policy", "x-ratelimit-reset", "retry-after"} <= set(exposed)
        asks = {**origin, "Access-Control-Request-Method": "GET"}
        assert client.options("/v2/posts", headers=asks).status_code == 200
        metrics = client.get("/metrics").text
    assert 'rate_limited_requests_total{policy="address"} 2.0' in metrics
    assert 'http_requests_total{operation="GET /posts",phase="deprecated",status="4xx",version="v1"} 1.0' in metrics
    assert 'http_requests_total{operation="GET /posts",phase="current",status="4xx",version="v2"} 1.0' in metrics
    assert "rate_limits_shared 0.0" in metrics


def test_limits_can_be_switched_off(client):
    """RATE_LIMIT_ENABLED=false: nobody is refused, and nothing is told."""
    reply = client.get("/v2/posts")
    assert reply.status_code == 200
    assert not [name for name in reply.headers if "ratelimit" in name]


@pytest.mark.parametrize(
    "pair",
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("/run/tandem.sock", "anything"),
    ],
    ids=["a network of IPv6", "IPv4 within IPv6", "no address"],
)
def test_addresses_that_count_as_one(from_address, pair):
    """Whoever holds a /64 has one count; what is no address shares one."""
    assert [from_address(address).get("/v2/posts").status_code for address in (*pair, *pair)] == [200, 200, 429, 429]


def test_addresses_that_count_as_two(from_address):
    """Neighbours do not use up each other's quota."""
    addresses = ("192.0.2.1", "192.0.2.2", "2001:db8:1:2::1", "2001:db8:1:3::1")
    assert [from_address(address).get("/v2/posts").status_code for address in addresses * 2] == [200] * 8


def left(server, *forwarded, path="/v2/posts"):
    """What is left of the quota after a request with these X-Forwarded-For headers."""
    reply = httpx2.get(f"{server.url}{path}", headers=[("X-Forwarded-For", value) for value in forwarded])
    assert reply.status_code == 200, reply.text
    return int(reply.headers["ratelimit"].partition(";r=")[2].partition(";")[0])


def served(settings, folder, **environment):
    limits = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_ADDRESS": "1000/day", **environment}
    return LiveServer(settings.database_url, folder, **limits)


def test_nobody_chooses_their_address(settings, tmp_path):
    """Without trusted proxies X-Forwarded-For means nothing: all requests count for where they came from."""
    with served(settings, tmp_path, TRUSTED_PROXIES="192.0.2.0/24", FORWARDED_ALLOW_IPS="*") as server:
        found = [left(server, value) for value in ("198.51.100.1", "198.51.100.2", "192.0.2.1", "garbage", "")]
    assert all(before - after == 1 for before, after in pairwise(found))


def test_behind_a_trusted_proxy_the_rightmost_stranger_counts(settings, tmp_path):
    """The address that the outermost trusted proxy saw; what its sender wrote to the left of it changes nothing."""
    with served(settings, tmp_path, TRUSTED_PROXIES="127.0.0.1,10.0.0.0/8") as server:
        same = [
            ("198.51.100.1",),
            ("203.0.113.7, 198.51.100.1",),
            ("203.0.113.8", "198.51.100.1"),
            ("198.51.100.1, 10.1.2.3",),
            ("127.0.0.1, 198.51.100.1:4711, 10.1.2.3, 10.0.0.1",),
            ("garbage, 198.51.100.1",),
        ]
        assert [left(server, *values) for values in same] == list(range(999, 993, -1))
        assert left(server, "198.51.100.2") == 999
        assert left(server, "[2001:db8::1]:4711") == 999
        assert left(server, "2001:db8::2") == 998


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("rate_limit_account", "lots", "write it as 30000/minute"),
        ("rate_limit_account", "10/second;100/minute", "is not one rate limit"),
        ("rate_limit_client", "0/minute", "at least 1 request"),
        ("rate_limit_client", "5 per 0 minutes", "at most a day"),
        ("rate_limit_client", "5/fortnight", "write it as 30000/minute"),
        ("rate_limit_address", "5 per 2 days", "at most a day"),
        ("redis_url", "http://localhost", "try redis://localhost:6379/0"),
        ("redis_url", "redis://localhost/0?colour=red", "try redis://localhost:6379/0"),
        ("redis_url", "redis://localhost/first", "try redis://localhost:6379/0"),
        ("trusted_proxies", "*", "addresses or networks"),
        ("trusted_proxies", "10.0.0.1/8", "addresses or networks"),
        ("trusted_proxies", "proxy.example", "addresses or networks"),
    ],
)
def test_settings_that_make_no_sense_are_refused(scratch, setting, value, told):  # noqa: ARG001 - nothing else is set
    """One line says what to write instead, and repeats no password."""
    with pytest.raises(SettingsError, match=told) as refused:
        load_settings(**{setting: value})
    assert str(refused.value).startswith(f"{setting.upper()}: ")
    assert "\n" not in str(refused.value)


def test_defaults_let_a_test_suite_pass():
    """300 requests a second, from one account and one address, are no runaway client; twice as many are."""
    settings = make_settings("sqlite:///none.db")
    for limit in (settings.rate_limit_account, settings.rate_limit_address):
        assert 300 * 60 < int(limit.removesuffix("/minute")) < 600 * 60


@pytest.fixture
def redis(tmp_path):
    server = RedisServer(tmp_path)
    yield server
    server.kill()


def test_redis_counts_for_many_at_once(redis):
    """Each gets a number of its own, also beside one that gives up; without Redis the worker's own, and told once."""
    told: list[bool] = []

    async def count():
        counters = RedisCounters(redis.url, told.append)
        await counters.connect()

        async def one():
            return await counters.count(Policy("address", 9, 60), "ada", 1)

        async def many():
            counting = [asyncio.create_task(one()) for _ in range(50)]
            await asyncio.sleep(0)
            counting[7].cancel()
            numbers = await asyncio.gather(*counting, return_exceptions=True)
            assert isinstance(numbers.pop(7), asyncio.CancelledError)
            return numbers

        together = await many()
        redis.kill()
        alone = await many()
        redis.start()
        await asyncio.sleep(PAUSE)
        again = [await one(), await one()]
        await counters.close()
        return together, alone, again

    together, alone, again = asyncio.run(count())
    assert together == [*range(1, 8), *range(9, 51)]  # who gave up is counted all the same
    assert sorted(alone) == [*range(1, 50)]
    assert again == [1, 2]  # by a Redis that has begun anew
    assert told == [False, True]
