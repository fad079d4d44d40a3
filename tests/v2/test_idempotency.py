"""Version 2: Idempotency-Key, by which a request that is sent again is done once."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import httpx2
import pytest
import sqlalchemy as sa
import time_machine

from app.domain import users
from tests.steps import PASSWORD, Steps, at_once
from tests.test_migrations import new_database, opened
from tests.test_requests import serving
from tests.v2.helpers import is_ok, listing

POST = {"title": "written once", "content": "c"}
RENEWED = {"x-request-id", "server-timing", "date", "idempotent-replayed"}
NO_KEY: dict[str, str] = {}
STORM = 50


def keyed(key=None):
    return {"Idempotency-Key": key or str(uuid4())}


@pytest.fixture
def admin(steps, database):
    person = steps.person("admin@example.com")
    with database.write() as connection:
        users.promote(connection, person.email)
    return person


@pytest.fixture
def requests(steps, admin):
    """Every POST of the version, by path: how it is sent so that it succeeds, and by whom."""
    pair = steps.tokens(admin.email)
    login = {"grant_type": "password", "username": admin.email, "password": PASSWORD}
    refresh = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    return [
        ("/v2/users", {"json": {"email": "new@example.com", "password": PASSWORD}}),
        ("/v2/posts", {"json": POST, "headers": admin.headers}),
        ("/v2/clients", {"json": {"id": "new", "name": "n", "contact": "c"}, "headers": admin.headers}),
        ("/v2/auth/token", {"data": login}),
        ("/v2/auth/token", {"data": refresh}),
        ("/v2/auth/revoke", {"data": {"token": steps.tokens(admin.email)["access_token"]}}),
    ]


def send(client, path, given, headers):
    return client.post(path, **{**given, "headers": {**given.get("headers", {}), **headers}})


def test_every_post_takes_a_key_and_replays_its_reply(client, requests):
    """Each POST that is documented is answered again to the byte, with its headers, and with a new request id."""
    paths = {path for path, item in client.app.state.installed.documents["v2"]["paths"].items() if "post" in item}
    assert {path for path, _ in requests} == paths
    for path, given in requests:
        key = keyed()
        first, again = send(client, path, given, key), send(client, path, given, key)
        assert first.is_success, first.text
        assert "idempotent-replayed" not in first.headers
        assert (again.status_code, again.content) == (first.status_code, first.content), path
        assert again.headers["idempotent-replayed"] == "true"
        kept = [{k: v for k, v in reply.headers.items() if k not in RENEWED} for reply in (first, again)]
        assert kept[0] == kept[1]
        assert again.headers["x-request-id"] != first.headers["x-request-id"]


def test_a_key_is_documented_wherever_it_is_taken(client):
    """The header is optional and bounded, and 409, 422 and the reply's own header are told."""
    for path, item in client.app.state.installed.documents["v2"]["paths"].items():
        if "post" in item:
            (header,) = (p for p in item["post"]["parameters"] if p["name"] == "Idempotency-Key")
            assert (header["in"], header["required"], header["schema"]["maxLength"]) == ("header", False, 255), path
            assert item["post"]["responses"].keys() >= {"409", "422"}
            (done,) = (reply for status, reply in item["post"]["responses"].items() if status.startswith("2"))
            assert "Idempotent-Replayed" in done["headers"]


def test_done_once(client, steps):
    """However often it is sent, in quotes or without, there is one post; another key, or none, makes another."""
    ada = steps.person()
    for headers in (keyed("one"), keyed('"one"'), keyed("one"), keyed("two"), NO_KEY):
        is_ok(client.post("/v2/posts", json=POST, headers=ada.headers | headers), 201)
    assert len(listing(client)["data"]) == 3


def test_a_key_belongs_to_one_request(client, steps):
    """The same key with anything else in the body is 422 and does nothing, and names the header."""
    ada, key = steps.person(), keyed()
    is_ok(client.post("/v2/posts", json=POST, headers=ada.headers | key), 201)
    for body in ({**POST, "title": "u"}, {**POST, "published": True}):
        reply = client.post("/v2/posts", json=body, headers=ada.headers | key)
        assert (reply.status_code, reply.json()["code"]) == (422, "idempotency-key-reused")
        assert [error["parameter"] for error in reply.json()["errors"]] == ["Idempotency-Key"]
    assert len(listing(client)["data"]) == 1


def test_a_key_belongs_to_an_account(client, steps):
    """What somebody else sent with the same key and body is neither shown nor in the way; without a token it is 401."""
    ada, bob, key = steps.person(), steps.person(), keyed()
    first, second = (is_ok(client.post("/v2/posts", json=POST, headers=p.headers | key), 201) for p in (ada, bob))
    assert (first["author"]["id"], second["author"]["id"]) == (ada.id, bob.id)
    assert client.post("/v2/posts", json=POST, headers=key).status_code == 401


@pytest.mark.parametrize("changed", [{"password": "guessed wrong"}, {"display_name": "Eve"}, {"email": "e@e.example"}])
def test_a_guessed_key_shows_nothing(client, changed):
    """Who knows the key of a sign-up, and not all that was sent, is told neither the e-mail nor anything else of it."""
    body, key = {"email": "zoe@example.com", "password": PASSWORD}, keyed()  # a name that no request id can contain
    is_ok(client.post("/v2/users", json=body, headers=key), 201)
    reply = client.post("/v2/users", json=body | changed, headers=key)
    assert (reply.status_code, reply.json()["code"]) == (422, "idempotency-key-reused")
    assert "zoe" not in reply.text


def test_a_key_helps_nobody_to_guess_a_password(client, steps):
    """A login with a known key and a wrong password is refused as any, whether or not the key was used."""
    ada, key = steps.person(), keyed()
    form = {"grant_type": "password", "username": ada.email, "password": PASSWORD}
    is_ok(client.post("/v2/auth/token", data=form, headers=key))
    wrong = form | {"password": "guessed wrong"}
    used, unused = (client.post("/v2/auth/token", data=wrong, headers=headers) for headers in (key, keyed()))
    assert (used.status_code, used.content) == (unused.status_code, unused.content) == (400, unused.content)


def test_a_lost_refresh_is_made_good(client, steps):
    """Who lost the reply to a refresh gets the same tokens, which are good, and a session that lives on."""
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        form = {"grant_type": "refresh_token", "refresh_token": steps.tokens(steps.person().email)["refresh_token"]}
        key = keyed()
        lost = is_ok(client.post("/v2/auth/token", data=form, headers=key))
        clock.shift(timedelta(minutes=5))  # far beyond what is forgiven to one that is sent again without a key
        pair = is_ok(client.post("/v2/auth/token", data=form, headers=key))
        assert pair == lost
        assert client.get("/v2/users/me", headers={"Authorization": f"Bearer {pair['access_token']}"}).is_success
        form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
        assert client.post("/v2/auth/token", data=form, headers=keyed()).is_success


def test_no_tokens_after_the_session_has_ended(client, steps):
    """A refresh whose session was ended since is refused: a key brings no session back."""
    tokens, key = steps.tokens(steps.person().email), keyed()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    pair = is_ok(client.post("/v2/auth/token", data=form, headers=key))
    assert client.post("/v2/auth/revoke", data={"token": pair["access_token"]}).is_success
    assert client.post("/v2/auth/token", data=form, headers=key).json()["error"] == "invalid_grant"


def test_what_was_refused_may_be_sent_again(client, steps):
    """A refusal is not kept: with the same key, the same request is done once nothing is in its way."""
    body, key = {"email": "taken@example.com", "password": PASSWORD}, keyed()
    first = steps.person(body["email"])
    assert client.post("/v2/users", json=body, headers=key).status_code == 409
    assert client.delete("/v2/users/me", headers=first.headers).status_code == 204
    made = client.post("/v2/users", json=body, headers=key)
    assert "idempotent-replayed" not in made.headers
    is_ok(made, 201)


@pytest.mark.parametrize("key", ["", '""', '"half', "a b", "a,b", "a\\b", "k\u00e9".encode(), b"a\x7f", "k" * 256])
def test_what_is_no_key(client, steps, key):
    """An empty, a long or a strange key is 422, which names the header, and nothing is done."""
    ada = steps.person()
    reply = client.post("/v2/posts", json=POST, headers=[*ada.headers.items(), ("Idempotency-Key", key)])
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid-request")
    assert [(e["parameter"], e["code"]) for e in reply.json()["errors"]] == [("Idempotency-Key", "idempotency_key")]
    assert listing(client)["data"] == []


def test_one_key_a_request(client, steps):
    """Two such headers are 422, even when they say the same."""
    headers = [*steps.person().headers.items(), ("Idempotency-Key", "one"), ("Idempotency-Key", "one")]
    reply = client.post("/v2/posts", json=POST, headers=headers)
    assert (reply.status_code, reply.json()["errors"][0]["parameter"]) == (422, "Idempotency-Key")


def test_the_longest_key(client, steps):
    """255 characters are a key as any."""
    headers = steps.person().headers | keyed("k" * 255)
    first, again = (is_ok(client.post("/v2/posts", json=POST, headers=headers), 201) for _ in range(2))
    assert first == again


def test_who_reads_the_table_learns_nothing(client, requests, database):
    """What is kept holds no e-mail, no token, no password, no title and no key in any readable form."""
    key = keyed("a-key-to-look-for")
    for path, given in requests:
        assert send(client, path, given, key).is_success or path == "/v2/auth/token"
    with database.read() as connection:
        kept = connection.execute(sa.text("SELECT id, reply FROM idempotency_keys")).all()
    assert len(kept) == 5
    everything = b"\n".join(row.id.encode() + bytes(row.reply) for row in kept)
    for secret in (b"example.com", b"access_token", b"eyJ", b"written once", PASSWORD.encode(), b"a-key-to-look-for"):
        assert secret not in everything


def test_keys_are_forgotten_after_a_day(client, database):
    """A key is good for 24 hours; then it is new, and requests with keys clear away those of the day before."""

    def sign_up(number, key):
        return client.post("/v2/users", json={"email": f"{number}@e.example", "password": PASSWORD}, headers=keyed(key))

    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        for number in range(12):
            is_ok(sign_up(number, f"key-{number}"), 201)
        clock.shift(timedelta(hours=24) - timedelta(seconds=1))
        assert sign_up(0, "key-0").headers["idempotent-replayed"] == "true"
        clock.shift(timedelta(seconds=1))
        assert sign_up(0, "key-0").json()["code"] == "email-taken"
        is_ok(sign_up(12, "key-0"), 201)
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM idempotency_keys")).scalar() == 2


def test_fifty_at_once_are_one(live_server):
    """Of fifty parallel requests with one key one is done: all are answered as it was, or that it is being done."""
    with httpx2.Client(base_url=live_server.url, timeout=60, limits=httpx2.Limits(max_connections=STORM)) as live:
        ada, key = Steps(live).person(), keyed()
        writing = partial(live.post, "/v2/posts", json=POST, headers=ada.headers | key)
        body = {"email": f"{uuid4()}@example.com", "password": PASSWORD}
        for send_it in (writing, partial(live.post, "/v2/users", json=body, headers=key)):
            replies = at_once(*[send_it] * STORM)
            assert {reply.status_code for reply in replies} <= {201, 409}
            assert len({reply.content for reply in replies if reply.status_code == 201}) == 1
            assert sum("idempotent-replayed" not in r.headers for r in replies if r.status_code == 201) == 1
            assert send_it().headers["idempotent-replayed"] == "true"
        assert len(listing(live, author_id=ada.id)["data"]) == 1


def test_still_being_worked_on(postgres_url, tmp_path):
    """A key that another transaction holds for too long is 409, which says when to ask again."""
    with (
        new_database(postgres_url, tmp_path) as url,
        serving(url, database_lock_timeout=0.1) as client,
        opened(url) as database,
    ):
        ada = Steps(client).person()
        with database.write() as connection:
            connection.execute(sa.text("LOCK TABLE idempotency_keys"))
            reply = client.post("/v2/posts", json=POST, headers=ada.headers | keyed("k"))
        assert (reply.status_code, reply.json()["code"]) == (409, "idempotency-key-in-use")
        assert int(reply.headers["retry-after"]) > 0
        is_ok(client.post("/v2/posts", json=POST, headers=ada.headers | keyed("k")), 201)


def test_a_browser_may_send_a_key_and_read_of_the_replay(tmp_path):
    """CORS allows the header of the request and exposes that of the reply."""
    origin = {"Origin": "https://app.example"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
    with serving(f"sqlite:///{tmp_path}/t.db", cors_origins=("https://app.example",)) as client:
        allowed = client.options("/v2/posts", headers=origin | asked)
        assert allowed.status_code == 200
        assert "Idempotency-Key" in allowed.headers["access-control-allow-headers"]
        exposed = client.get("/livez", headers=origin).headers["access-control-expose-headers"]
        assert "Idempotent-Replayed" in exposed
