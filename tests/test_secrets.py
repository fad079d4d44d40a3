"""Secrets stay secret: whatever is sent, refused or broken, no log line and no reply gives one away."""

import socket
import stat
from base64 import b64encode
from contextlib import suppress
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
import sqlalchemy as sa

from tests.server import LiveServer
from tests.steps import Steps
from tests.test_cli import tandem
from tests.test_migrations import execute, new_database, opened

SECRETS = ("password", "new password", "header", "query", "form", "broken body", "key of the service", "cookie")
UPGRADE = (
    "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {'A' * 22}==\r\n"
)


@pytest.fixture
def secret():
    """A secret of each kind, that no other text has in it."""
    return {kind: f"s3cret-{uuid4().hex}" for kind in SECRETS}


def exchanges(secret, tokens):
    """Requests with a secret in every place where clients put one, rightly or by mistake: method, path, and how."""
    password, access, refresh = secret["password"], tokens["access_token"], tokens["refresh_token"]
    basic = b64encode(f"ada@example.com:{password}".encode()).decode()
    bearer = {"Authorization": f"Bearer {access}"}
    form = {"grant_type": "password", "username": "ada@example.com", "password": secret["form"]}
    broken = f'{{"password": "{secret["broken body"]}", "email": '.encode()
    as_json, as_text = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}
    yield "POST", "/v2/auth/token", {"data": form}
    yield "POST", "/v2/auth/token", {"data": {**form, "grant_type": secret["form"]}}
    yield "POST", "/v2/auth/token", {"data": {"grant_type": "refresh_token", "refresh_token": secret["form"]}}
    yield "POST", "/v2/auth/token", {"data": {"grant_type": "refresh_token", "refresh_token": access}}
    yield "POST", "/v2/auth/token", {"data": form, "headers": {"Authorization": f"Basic {basic}"}}
    yield "POST", "/v2/auth/token", {"json": form}
    yield "POST", "/v2/auth/token", {"files": {"password": secret["form"].encode()}}
    yield "POST", "/v2/auth/revoke", {"data": {"token": secret["form"]}}
    yield "POST", "/v2/auth/revoke", {"data": {"token": [secret["form"], secret["form"]]}}
    yield "POST", "/v1/login", {"data": {"username": "ada@example.com", "password": secret["form"]}}
    yield "POST", "/v1/login", {"json": {"username": "ada@example.com", "password": secret["form"]}}
    yield "POST", "/v1/login", {"data": {"username": secret["form"]}}
    yield "POST", "/portal/sign-in", {"data": {"email": "ada@example.com", "password": secret["form"]}}
    for version in ("/v1", "/v2"):
        users, posts = f"{version}/users", f"{version}/posts"
        for body in (
            {"email": "ada@example.com", "password": password},
            {"email": "no address", "password": password},
            {"password": password},
            {"email": "new@example.com", "password": [password]},
            {"email": "new@example.com", "password": {"password": password}},
            {"email": "new@example.com", "password": password * 100},
            {"email": "new@example.com", "password": password + "\0"},
            {"email": "new@example.com", "password": password, "passwort": password},
            {"email": {"password": password}, "password": 1},
            [password],
            password,
        ):
            yield "POST", users, {"json": body}
        yield "POST", users, {"content": broken, "headers": as_json}
        yield "POST", users, {"content": broken, "headers": as_text}
        yield "POST", users, {"content": broken + b"\xff", "headers": as_json}
        yield "POST", users, {"content": broken, "headers": {"Content-Type": f"application/{secret['header']}"}}
        for method, path in (("GET", posts), ("GET", f"{posts}/1"), ("DELETE", f"{posts}/77"), ("PUT", posts)):
            yield method, path, {"headers": bearer}
            yield method, path, {"headers": {"Authorization": f"Basic {basic}"}}
            yield method, path, {"headers": {"Authorization": f"Bearer {secret['header']}"}}
            yield method, path, {"headers": {"Authorization": secret["header"]}}
            yield method, path, {"headers": {"Authorization": f"Bearer {access}x"}}
            yield method, f"{path}?access_token={secret['query']}&password={secret['query']}&limit=-1", {}
            yield method, f"{path}?cursor={secret['query']}&token=%ff{secret['query']}", {}
        yield "GET", f"{version}/{secret['query']}", {}
        yield "POST", posts, {"json": {}, "headers": {**bearer, "Idempotency-Key": secret["header"]}}
        yield "GET", posts, {"headers": {"Cookie": f"tandem_session={secret['cookie']}; a={secret['cookie']}"}}
        yield "GET", posts, {"headers": {"X-Api-Key": secret["header"], "Proxy-Authorization": secret["header"]}}
    change = {"current_password": password, "new_password": secret["new password"]}
    yield "PUT", "/v2/users/me/password", {"json": change, "headers": {"Authorization": f"Bearer {secret['header']}"}}
    yield "PUT", "/v2/users/me/password", {"json": {**change, "current_password": "wrong"}, "headers": bearer}
    yield "PUT", "/v2/users/me/password", {"json": {**change, "new_password": 1}, "headers": bearer}
    yield "PUT", "/v2/users/me/password", {"json": change, "headers": bearer}
    yield "POST", "/v2/auth/token", {"data": {"grant_type": "refresh_token", "refresh_token": refresh}}
    yield "GET", "/portal/adoption", {"headers": {"Cookie": f"tandem_session={secret['cookie']}"}}
    yield "GET", f"/{secret['query']}?token={secret['query']}", {}


def by_hand(port, secret):
    """What no client library would send: neither is what cannot be read as HTTP shown, nor a path that is upgraded."""
    for head in (
        f"GET /v2/posts HTTP/1.1\r\nAuthorization: Bearer {secret['header']}\r\nno colon {secret['header']}\r\n\r\n",
        f"{secret['header']} / HTTP/1.1\r\n\r\n",
        f"GET http://ada:{secret['query']}@127.0.0.1/v2/posts HTTP/1.1\r\nHost: a\r\n\r\n",
        f"GET /v2/posts?access_token={secret['query']} HTTP/1.1\r\n{UPGRADE}\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(head.encode())
            connection.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while connection.recv(10_000):
                    pass


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_secret_is_told(database_url, tmp_path, secret, log_format):
    """At the most talkative level no password, hash, token or key that was sent or is kept is in the log, not even the
    beginning of a hash; and none is in a reply to who did not ask for it, also when the database breaks.
    """
    replies, hashes = [], []
    with new_database(database_url, tmp_path) as url:
        settings = {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": log_format, "SECRET_KEY": secret["key of the service"] * 2}
        with LiveServer(url, tmp_path, **settings) as server, httpx2.Client(base_url=server.url) as client:
            made = client.post("/v2/users", json={"email": "ada@example.com", "password": secret["password"]})
            assert made.status_code == 201
            steps = Steps(client)
            tokens = steps.tokens("ada@example.com", secret["password"])
            with opened(url) as database:
                for broken in (False, True):
                    if broken:
                        with database.read() as connection:
                            hashes = list(connection.execute(sa.text("SELECT password_hash FROM users")).scalars())
                            hashes += connection.execute(sa.text("SELECT token_hash FROM refresh_tokens")).scalars()
                        execute(database, "ALTER TABLE users RENAME COLUMN password_hash TO hash")
                        execute(database, "ALTER TABLE refresh_tokens RENAME COLUMN token_hash TO hash")
                    asked = [client.request(method, path, **how) for method, path, how in exchanges(secret, tokens)]
                    assert any(reply.status_code == 500 for reply in asked) is broken
                    replies += [f"{reply.text}\n{reply.headers}" for reply in asked]
            by_hand(server.port, secret)
        log = server.log.read_text()
    assert "Traceback" in log
    assert len(hashes) > 1
    url_encoded = {f"{kind}, quoted": quote(text, safe="") for kind, text in tokens.items() if isinstance(text, str)}
    everything = {**secret, **{f"hash {n}": text[:24] for n, text in enumerate(hashes)}, **url_encoded}
    everything["access token"], everything["refresh token"] = tokens["access_token"], tokens["refresh_token"]
    everything["basic"] = b64encode(f"ada@example.com:{secret['password']}".encode()).decode()[24:]
    del everything["token_type, quoted"]
    told = {kind: [line for line in log.splitlines() if text in line][:1] for kind, text in everything.items()}
    assert not {kind: lines for kind, lines in told.items() if lines}
    echoed = {kind for kind, text in everything.items() if any(text in reply for reply in replies)}
    assert not echoed - {"query"}  # a 404 says which path it was asked for


def test_no_row_is_told(postgres_url, tmp_path):
    """An error of PostgreSQL that quotes the row, or the statement with its values, is logged without them."""
    with new_database(postgres_url, tmp_path) as url, LiveServer(url, tmp_path) as server:
        with opened(url) as database:
            execute(database, "ALTER TABLE users ADD CONSTRAINT ck_users_none CHECK (id < 0)")
        body = {"email": "ada@example.com", "password": "correct horse", "display_name": "Countess\n\nAda"}
        assert httpx2.post(f"{server.url}/v2/users", json=body).status_code == 500
        log = server.log.read_text()
    assert "ck_users_none" in log
    for value in ("ada@example.com", "$bcrypt", "Countess", "Failing row"):
        assert value not in log


def test_nobody_writes_lines_of_the_log(tmp_path):
    """Line breaks and escape sequences in what a client sends neither begin a line of the log nor reach a terminal."""
    forged = "\r\n2026-01-01 [info] forged"
    escape = "\x1b[2J\x9b2J"
    with new_database("sqlite", tmp_path) as url, LiveServer(url, tmp_path, LOG_FORMAT="console") as server:
        with httpx2.Client(base_url=server.url) as client:
            ada = Steps(client).person("ada@example.com", display_name=f"Ada{escape}")
            for text in (forged, escape):
                client.get(f"/v2/posts/{quote(text)}?a={quote(text)}&limit={quote(text)}")
                client.post("/v2/posts", json={"title": text, "content": text, text: text}, headers=ada.headers)
                client.post("/v1/users", json={"email": f"{text}@example.com", "password": text})
                client.post("/v2/auth/token", data={"grant_type": text, "username": text, "client_id": text})
                client.post("/v2/posts", content=text.encode(), headers={"Content-Type": "application/json"})
        for line in (f"User-Agent: evil{escape}/1.0", f"X-Request-ID: a{escape}", f"Referer: {escape}"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
                connection.sendall(
                    f"GET /v2/posts HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{line}\r\n\r\n".encode("latin-1")
                )
                while connection.recv(10_000):
                    pass
        log = server.log.read_bytes()
    assert b"/v2/posts" in log
    assert b"forged" not in log
    assert b"\x1b" not in log
    assert b"\x9b" not in log


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": "postgresql://ada:{secret}@127.0.0.1:1/name"},
        {"DATABASE_URL": "postgresql://ada@127.0.0.1:1/name?password={secret}"},
        {"DATABASE_URL": "mysql://ada:{secret}@127.0.0.1/name"},
        {"DATABASE_URL": "postgresql://ada:{secret}@[127.0.0.1/name"},
        {"DATABASE_URL": "postgresql://ada:{secret}@127.0.0.1:port/name"},
        {"DATABASE_URL": "ada:{secret}@127.0.0.1"},
        {"SECRET_KEY": "{secret}"},
        {"SECRET_KEY": "{secret}", "ENVIRONMENT": "production"},
    ],
    ids=str,
)
@pytest.mark.parametrize("command", [("settings",), ("db", "current"), ("serve",)], ids=" ".join)
@pytest.mark.usefixtures("scratch")
def test_no_command_tells_a_secret(environment, command):
    """Whatever is wrong with an address or a key, no command shows what is secret."""
    hidden = "s3cret-0123456789"
    given = {name: value.replace("{secret}", hidden) for name, value in environment.items()}
    done = tandem(*command, DATABASE_CONNECT_WAIT="0", **given)
    assert done.code == 1 or command == ("settings",)
    assert hidden not in done.out + done.err


def test_the_database_is_its_owners(tmp_path):
    """An embedded database, with all that SQLite puts beside it, and the key are readable by their owner only."""
    url = f"sqlite:///{tmp_path}/own/tandem.db"
    assert tandem("db", "upgrade", DATABASE_URL=url).code == 0
    with LiveServer(url, tmp_path, SECRET_KEY="") as server:
        assert httpx2.get(f"{server.url}/v2/posts").status_code == 200
        modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in (tmp_path / "own").iterdir()}
    assert modes == dict.fromkeys(("tandem.db", "tandem.db-wal", "tandem.db-shm", "secret_key"), 0o600)
