"""Access and refresh tokens: what is no good is refused in one way, keys change without harm, ends are seen by all."""

import base64
import hmac
import json
import random
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
import time_machine
from fastapi.testclient import TestClient

from app.domain import users
from app.main import create_app
from tests.conftest import SECRET, make_settings
from tests.links import links_of
from tests.server import LiveServer
from tests.steps import PASSWORD, Steps, at_once
from tests.v2.helpers import is_oauth_error, is_ok, is_problem

# Where a token is needed, and where one may be sent.
PATHS = ["/v1/posts", "/v1/posts/1", "/v2/users/me", "/v2/posts", "/v2/clients"]
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
"""
ABSENT = object()


def encoded(content):
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(segment):
    return json.loads(base64.urlsafe_b64decode(segment + "=="))


def changed(members, changes):
    return {name: value for name, value in {**members, **changes}.items() if value is not ABSENT}


class Forger:
    """Whoever knows the secret, and what a genuine token looks like: a refusal has no reason but the one change."""

    def __init__(self, token):
        self.token = token
        self.header, self.payload, self.signature = token.split(".")

    def sign(self, header, payload, key=SECRET, digest="sha256"):
        return f"{header}.{payload}.{encoded(hmac.digest(key.encode(), f'{header}.{payload}'.encode(), digest))}"

    def headed(self, *, key=SECRET, digest="sha256", **changes):
        return self.sign(encoded(changed(decoded(self.header), changes)), self.payload, key, digest)

    def unsigned(self, **changes):
        return f"{encoded(changed(decoded(self.header), changes))}.{self.payload}."

    def claiming(self, **changes):
        return self.sign(self.header, encoded(changed(decoded(self.payload), changes)))

    def saying(self, raw):
        return self.sign(self.header, encoded(raw))

    def twice(self, **more):
        """The claims, and after them some once more."""
        first, again = json.dumps(decoded(self.payload)), json.dumps(more)
        return self.saying(f"{first[:-1]}, {again[1:]}".encode())

    def headed_twice(self, **more):
        first, again = json.dumps(decoded(self.header)), json.dumps(more)
        return self.sign(encoded(f"{first[:-1]}, {again[1:]}".encode()), self.payload)


def soon():
    return int(time.time()) + 60


NO_IDS: list[Any] = [
    "",
    None,
    1,
    ["a"],
    {},
    "\x00",
    "\ud800",
    "../../../../etc/passwd",
    "' OR 1=1 --",
    "f" * 33,
    ABSENT,
]
NO_NAMES: list[Any] = ["", "other", "Tandem", "tandem ", None, 1, True, [], ["tandem"], ["tandem", "x"], {}, ABSENT]
NO_TIMES: list[Any] = ["1e300", None, True, [], 1e300, -1e300, float("inf"), float("nan"), -1, 10**400, ABSENT]
# Each line of what must be refused, with its variants.
REFUSED: dict[str, Callable[[Any], list[str]]] = {
    "alg none": lambda f: [
        *(f.unsigned(alg=alg) for alg in ("none", "None", "NONE", "nOnE", "")),
        *(f.headed(alg=alg) for alg in ("none", "None", "NONE", "nOnE", "")),
    ],
    "another algorithm over the secret": lambda f: [
        *(f.headed(alg=alg) for alg in ("RS256", "ES256", "PS256", "EdDSA", "HS384", "HS512", "hs256", "HS256 ")),
        *(f.headed(alg=f"HS{bits}", digest=f"sha{bits}") for bits in (384, 512)),
    ],
    "HMAC over a public key": lambda f: [
        f.headed(key=PUBLIC_KEY),
        f.headed(key=PUBLIC_KEY.strip()),
        f.headed(key=PUBLIC_KEY, alg="RS256"),
        f.headed(key=""),
        f.headed(key="secret"),
    ],
    "unknown or missing alg": lambda f: [
        f.headed(alg=alg) for alg in ("XX256", "x" * 1000, None, 256, ["HS256"], {"alg": "HS256"}, True, ABSENT)
    ],
    "signature empty, stripped or cut": lambda f: [
        f"{f.header}.{f.payload}.",
        f"{f.header}.{f.payload}",
        f.token[:-1],
        f.token[:-4],
        f.token + "A",
        f.token + f.signature,
        f.sign(f.payload, f.header),
    ],
    "2, 4 and 5 parts": lambda f: [
        f"{f.payload}.{f.signature}",
        f".{f.payload}.{f.signature}",
        f"{f.header}..{f.signature}",
        f.token + ".",
        f"{f.token}.{f.signature}",
        f"{f.token}.{f.payload}.{f.signature}",
        "." * 4,
        "." * 2,
        "",
    ],
    "100 KB": lambda f: [
        f.claiming(client_id="x" * 75_000),
        f.headed(x="x" * 75_000),
        f.token + "A" * 100_000,
        "A" * 100_000,
        "." * 100_000,
        f.saying(b"[" * 100_000),
        encoded(b"[" * 75_000) + f".{f.payload}.{f.signature}",
        encoded(b"[" * 1400) + ".e30.AAAA",
    ],
    "bad base64": lambda f: [
        f.token + "=",
        f.token + "==",
        f"{f.header}=.{f.payload}.{f.signature}",
        f"{f.header}.{f.payload}=.{f.signature}",
        f"{f.header}.{f.payload}.!{f.signature[1:]}",
        f"{f.header}.{f.payload}.{f.signature[:20]} {f.signature[20:]}",
        f"{f.header}.{f.payload}.{f.signature[:-1]}{_sibling(f.signature[-1])}",
        f.sign("A", f.payload),
        f.sign("%00", f.payload),
        f"{f.header}.{f.payload}.%2B",
        f.token + "\u00e9",
    ],
    "members twice": lambda f: [
        f.twice(sub=decoded(f.payload)["sub"]),
        f.twice(sub="2"),
        f.twice(exp=soon()),
        f.headed_twice(alg="HS256"),
        f.headed_twice(alg="none"),
        f.headed_twice(kid=decoded(f.header)["kid"]),
    ],
    "headers that ask for more": lambda f: [
        f.headed(crit=["exp"]),
        f.headed(crit=[]),
        f.headed(crit=["b64"], b64=False),
        f.headed(crit=["b64"], b64=True),
        f.headed(b64=False),
        f.headed(b64=True),
        *(f.headed(**{name: "http://127.0.0.1:9/keys.json"}) for name in ("jku", "x5u")),
        f.headed(jwk={"kty": "oct", "k": encoded(SECRET.encode())}),
        f.headed(x5c=["AAAA"]),
        f.headed(zip="DEF"),
        f.headed(cty="JWT"),
        *(f.headed(typ=typ) for typ in ("JWT", "jwt", "AT+JWT", "application/at+jwt", "id+jwt", "", None, 1, ABSENT)),
    ],
    "kid": lambda f: [
        f.headed(kid=kid)
        for kid in (
            *("0" * 16, "f" * 10_000, "../../../../dev/null", "/dev/null", "' UNION SELECT 'a", "http://127.0.0.1:9/"),
            *("", "\x00", "\ud800", None, 0, 1e300, [], [decoded(f.header)["kid"]], {}, ABSENT),
            decoded(f.header)["kid"].upper() + " ",
        )
    ],
    "exp": lambda f: [
        *(f.claiming(exp=value) for value in (*NO_TIMES, str(soon()), soon() + 0.5, int(time.time()), soon() - 120)),
        f.claiming(exp=soon() + 86_400),  # a longer life than is given to any
        f.claiming(iat=-(10**400), exp=soon()),
    ],
    "nbf and iat": lambda f: [
        *(f.claiming(nbf=value) for value in (soon(), str(int(time.time())), "", None, 1e300, True, [1], 10**400)),
        *(f.claiming(iat=value, exp=soon()) for value in (*NO_TIMES, soon() - 30, str(int(time.time())))),
    ],
    "iss and aud": lambda f: [f.claiming(**{claim: value}) for claim in ("iss", "aud") for value in NO_NAMES],
    "sub": lambda f: [
        f.claiming(sub=sub)
        for sub in (
            *(
                int(decoded(f.payload)["sub"]),
                0,
                "0",
                "-1",
                "+1",
                " 1",
                "1 ",
                "1\n",
                "01",
                "1.0",
                "1_0",
                "0x1",
                "\u0661",
            ),
            *(str(2**63 - 1), str(2**63), 2**63, str(10**18), "9" * 5000, True, *NO_IDS),
        )
    ],
    "sid and jti": lambda f: [
        *(f.claiming(**{claim: value}) for claim in ("sid", "jti") for value in NO_IDS),
        f.claiming(sid=secrets.token_hex(16)),
    ],
    "no JSON object": lambda f: [
        *(
            f.saying(raw)
            for raw in (b"", b"{", b"null", b"[]", b'"a"', b"1", b"\xff", b"{}", b'{"a":' * 200, b"1" * 1000)
        ),
        f.saying(b"\xef\xbb\xbf" + json.dumps(decoded(f.payload)).encode()),
        f.sign(encoded(b"\xff"), f.payload),
        f.sign(encoded([decoded(f.header)]), f.payload),
        f.sign(encoded(b"null"), f.payload),
        f.claiming(client_id=1),
        f.claiming(client_id="\ud800"),
    ],
}


def _sibling(character):
    """Another last character of the same bytes: it differs in the bits that do not count."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) ^ 1]


@pytest.fixture
def isolated(monkeypatch):
    """No socket of this process may connect anywhere, and no name may be looked up."""

    def refuse(*_args, **_options):
        raise AssertionError("a connection was tried")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)


def reply_to(client, path, token=None):
    """All of the reply that could differ by what was sent: status, headers and bytes."""
    headers = {"X-Request-ID": "same"} | ({"Authorization": f"Bearer {token}".encode()} if token is not None else {})
    reply = client.get(path, headers=headers)
    return reply.status_code, [it for it in sorted(reply.headers.items()) if it[0] != "server-timing"], reply.content


def is_refused(client, *tokens):
    """Each is 401 with the same reply as a word that is no token, and is no way out of the session it names either."""
    for path in PATHS:
        status, headers, content = nonsense = reply_to(client, path, "nonsense")
        assert status == 401
        assert ("www-authenticate", "Bearer") in headers
        assert b"validate credentials" in content
        for token in tokens:
            assert reply_to(client, path, token) == nonsense, (path, token[:200])
    for token in tokens:
        client.post("/v2/auth/revoke", data={"token": token})
        assert portal(client, token).status_code == 303


def portal(client, token):
    cookie = f"tandem_portal={token}".encode()
    return client.get("/portal/adoption", headers={"Cookie": cookie}, follow_redirects=False)


def works(client, token):
    return reply_to(client, "/v1/posts", token)[0] == reply_to(client, "/v2/users/me", token)[0] == 200


@pytest.fixture
def genuine(client, steps, database):
    """An administrator's token, which works everywhere; at the end it still does."""
    ada = steps.person()
    steps.post(ada)
    with database.write() as connection:
        users.promote(connection, ada.email)
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    yield token
    assert works(client, token)
    assert portal(client, token).status_code == 200


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_no_token_of_ours(client, genuine, isolated, line):  # noqa: ARG001 - it forbids
    """Each forgery, also if signed with the secret itself, is the same 401 everywhere, and connects to nothing."""
    is_refused(client, *REFUSED[line](Forger(genuine)))


def test_the_forger_makes_good_tokens(client, genuine):
    """What the forgeries are made from is accepted: each of them is refused for its one change alone."""
    forger = Forger(genuine)
    for token in (forger.headed(), forger.claiming(), forger.claiming(nbf=int(time.time())), forger.claiming(x=1)):
        assert reply_to(client, "/v2/users/me", token)[0] == 200, token


@pytest.mark.parametrize("sent", ["Bearer {}", "bearer {}", "Bearer   {}", "Bearer {} "])
def test_spaces_around_a_token_are_none_of_it(client, genuine, sent):
    """One or more stand between scheme and token (RFC 9110, section 11.6.2); version 1 always took them so."""
    for path in ("/v1/posts", "/v2/users/me"):
        assert client.get(path, headers={"Authorization": sent.format(genuine)}).status_code == 200


def test_a_thousand_flipped_signatures(client, genuine):
    """A signature with one to eight bits flipped is never good."""
    dice = random.Random(8725)
    signature = base64.urlsafe_b64decode(genuine.rpartition(".")[2] + "=")
    refused = reply_to(client, "/v2/users/me", "nonsense")
    for _ in range(1000):
        flipped = int.from_bytes(signature)
        for bit in dice.sample(range(256), dice.randint(1, 8)):
            flipped ^= 1 << bit
        token = f"{genuine.rpartition('.')[0]}.{encoded(flipped.to_bytes(32))}"
        assert reply_to(client, "/v2/users/me", token) == refused


def test_tokens_of_another_secret(client, genuine):
    """A token that is right in all but the key is refused, whichever key it says it was signed with."""
    forger, other = Forger(genuine), "another secret, which is as long as need be"
    is_refused(client, forger.headed(key=other), forger.headed(key=other, kid=secrets.token_hex(8)))


@pytest.mark.parametrize("end", ["logout", "logout by refresh token", "password", "deletion", "time"])
def test_tokens_that_were_good_once(client, steps, end, isolated):  # noqa: ARG001 - it forbids
    """What was good and has been ended, in whatever way, gets the reply that nonsense gets; ended twice is no error."""
    ada = steps.person()
    steps.post(ada)
    mine, other = steps.tokens(ada.email), ada.headers
    token = mine["access_token"]
    assert works(client, token)
    match end:
        case "logout":
            is_ok_empty(client.post("/v2/auth/revoke", data={"token": token}))
        case "logout by refresh token":
            is_ok_empty(client.post("/v2/auth/revoke", data={"token": mine["refresh_token"]}))
        case "password":
            body = {"current_password": PASSWORD, "new_password": "battery staple"}
            is_ok(client.put("/v2/users/me/password", json=body, headers=other), 204)
        case "deletion":
            is_ok(client.delete("/v2/users/me", headers=other), 204)
    with time_machine.travel(time.time() + (1800 if end == "time" else 0), tick=False):
        is_refused(client, token)
    is_ok_empty(client.post("/v2/auth/revoke", data={"token": token}))


def is_ok_empty(reply):
    assert (reply.status_code, reply.content) == (200, b"")


def test_a_refresh_token_opens_nothing_and_an_access_token_refreshes_nothing(client, genuine, steps):
    """Each kind is worth nothing in the place of the other."""
    ada = steps.person()
    tokens = steps.tokens(ada.email)
    is_refused(client, secrets.token_urlsafe(32))
    is_oauth_error(refresh(client, genuine), "invalid_grant")
    status, *_ = reply = reply_to(client, "/v2/users/me", tokens["refresh_token"])
    assert status == 401
    assert reply == reply_to(client, "/v2/users/me", "nonsense")


def refresh(client, token):
    return client.post("/v2/auth/token", data={"grant_type": "refresh_token", "refresh_token": token})


OLD, NEW = "the old secret that must be replaced", "the new secret that is to replace it"
# The rounds of a change: the secret and the fallbacks of a machine before and after it.
ROUNDS = [((OLD, ""), (OLD, NEW)), ((OLD, NEW), (NEW, OLD)), ((NEW, OLD), (NEW, ""))]


@pytest.fixture
def machines(settings, database):  # noqa: ARG001 - empties it
    """A service over the same database for each secret and fallback there is in the rounds."""
    with ExitStack() as stack:
        yield {
            keys: stack.enter_context(
                TestClient(
                    create_app(make_settings(settings.database_url, secret_key=keys[0], secret_key_fallbacks=keys[1]))
                )
            )
            for keys in {keys for round_ in ROUNDS for keys in round_}
        }


def test_the_key_changes_without_a_wrong_401(machines, database):
    """In every round, what a machine hands out is good on the ones that have changed and those that have not yet.

    Access tokens of both versions, refresh tokens, the portal's cookie, cursors, replies that are kept for an
    Idempotency-Key; those of earlier rounds, too. When the
    old key is gone, which is after the lifetime of what it signed, nothing of it is accepted any more.
    """
    steps = Steps(machines[OLD, ""])
    ada = steps.person()
    for _ in range(3):
        steps.post(ada)
    with database.write() as connection:
        users.promote(connection, ada.email)
    handed: list[Any] = []
    outdated: list[Any] = []
    for before, after in ROUNDS:
        both = machines[before], machines[after]
        if after == (NEW, ""):
            outdated, handed = handed[:-1], handed[-1:]
        handed += [hand_out(machine, ada) for machine in both]
        for machine in both:
            for token, pages in handed:
                assert works(machine, token)
                assert portal(machine, token).status_code == 200
                assert [len(is_ok(machine.get(page))["data"]) for page in pages] == [1, 1]
        for one, other in (both, both[::-1]):
            assert refresh(other, Steps(one).tokens(ada.email)["refresh_token"]).status_code == 200
            post = {"title": "once", "content": "some content"}
            key = {"Idempotency-Key": secrets.token_hex(16), **Steps(one).log_in(ada.email)}
            first, again = (machine.post("/v2/posts", json=post, headers=key) for machine in (one, other))
            assert (first.status_code, again.headers.get("Idempotent-Replayed")) == (201, "true")
            assert again.content == first.content
    assert outdated
    for token, pages in outdated:
        is_refused(machines[NEW, ""], token)
        for page in pages:
            is_problem(machines[NEW, ""].get(page), "invalid-cursor")


def hand_out(machine, person):
    """A token of version 1, and pages by cursor: the one version 1 links to in version 2, and the one after it."""
    form = {"username": person.email, "password": PASSWORD}
    token = is_ok(machine.post("/v1/login", data=form))["access_token"]
    old_page = machine.get("/v1/posts?limit=1&skip=1", headers={"Authorization": f"Bearer {token}"})
    page = linked(old_page, "successor-version")
    return token, [page, linked(machine.get(page), "next")]


def linked(reply, relation):
    (target,) = [link.target for link in links_of(reply) if link.relation == relation]
    assert "cursor=" in target
    return target


def test_every_machine_names_a_key_alike(machines):
    """The header's `kid` is the same wherever a key signs, and another for another key."""
    kids: dict[str, set[str]] = {}
    for (secret, _), machine in machines.items():
        token = Steps(machine).person().headers["Authorization"].removeprefix("Bearer ")
        header = decoded(token.partition(".")[0])
        assert set(header) == {"alg", "typ", "kid"}
        kids.setdefault(secret, set()).add(header["kid"])
    assert [len(names) for names in kids.values()] == [1, 1]
    assert kids[OLD] != kids[NEW]


@pytest.fixture(scope="module")
def workers(database_url, tmp_path_factory):
    """A server of two processes."""
    with LiveServer(database_url, tmp_path_factory.mktemp("workers"), WORKERS="2") as server:
        yield server


def test_twenty_refreshes_at_once_make_no_fork(client, steps, workers):  # noqa: ARG001 - empties the database
    """Of twenty parallel uses, over two processes, one succeeds; the chain goes on from it, and from nowhere else."""
    token = steps.tokens(steps.person().email)["refresh_token"]
    with httpx2.Client(base_url=workers.url, timeout=30) as live:
        for _ in range(3):
            replies = at_once(*[lambda used=token: refresh(live, used)] * 20)
            (granted,) = [reply for reply in replies if reply.status_code == 200]
            for reply in replies:
                if reply is not granted:
                    is_oauth_error(reply, "invalid_grant")
            token = is_ok(granted)["refresh_token"]
        assert works(live, is_ok(granted)["access_token"])


def test_a_stolen_refresh_token_ends_the_family(client, steps):
    """Each link of a chain that comes back more than ten seconds after its use ends all of it, in both versions.

    Within the ten seconds it is only refused, so that a lost reply costs nobody the session.
    """
    ada = steps.person()
    with time_machine.travel(time.time(), tick=False) as clock:
        for stolen in range(3):
            chain = [steps.tokens(ada.email)]
            for _ in range(3):
                clock.shift(60)
                chain.append(is_ok(refresh(client, chain[-1]["refresh_token"])))
            clock.shift(10 if stolen == 2 else 0)
            if stolen == 2:  # the one that was used last, just now
                is_oauth_error(refresh(client, chain[2]["refresh_token"]), "invalid_grant")
                assert works(client, chain[-1]["access_token"])
                clock.shift(1)
            is_oauth_error(refresh(client, chain[stolen]["refresh_token"]), "invalid_grant")
            is_oauth_error(refresh(client, chain[-1]["refresh_token"]), "invalid_grant")
            is_refused(client, *(link["access_token"] for link in chain))


def test_nothing_that_opens_is_stored(client, steps, database):
    """Nothing in the database is, or holds, a token or a password that would open anything."""
    tokens = steps.tokens(steps.person().email)
    following = is_ok(refresh(client, tokens["refresh_token"]))
    given = [PASSWORD, *(pair[kind] for pair in (tokens, following) for kind in ("access_token", "refresh_token"))]
    with database.read() as connection:
        tables = sa.inspect(connection).get_table_names()
        rows = [repr(row) for table in tables for row in connection.execute(sa.text(f'SELECT * FROM "{table}"'))]
    assert len(rows) >= 4
    for value in given:
        assert not [row for row in rows if value in row]


def test_a_logout_is_seen_by_every_worker(client, steps, workers):  # noqa: ARG001 - empties the database
    """Once a logout is answered, the token is refused by every process, also by the ones that have just accepted it."""
    ada = steps.person()
    steps.post(ada)
    connections = workers.connection_to_each_worker(2)
    for ended_by in connections:
        token = steps.tokens(ada.email)["access_token"]
        assert [status_over(connection, "GET", "/v1/posts", token) for connection in connections] == [200, 200]
        assert status_over(ended_by, "POST", "/v2/auth/revoke", token) == 200
        assert [status_over(connection, "GET", "/v1/posts", token) for connection in connections] == [401, 401]
    for connection in connections:
        connection.close()


def status_over(connection, method, path, token):
    body = f"token={token}" if method == "POST" else None
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    reply.read()
    return reply.status
