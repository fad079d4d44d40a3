"""What holds for every request, whatever its path: identity, headers, one log line, limits, health, failures."""

import re
import signal
import socket
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from shutil import rmtree

import httpx2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.api.problems import PROBLEM_TYPES
from app.db import migrations, schema
from app.main import create_app
from tests.conftest import make_settings
from tests.server import LiveServer
from tests.steps import PASSWORD, Steps
from tests.test_migrations import execute, new_database, opened

SECONDS = 20  # to wait for what has to happen


@contextmanager
def serving(url, **changes):
    with TestClient(create_app(make_settings(url, **changes))) as client:
        yield client


@pytest.fixture
def nowhere(tmp_path):
    """A database for what needs none."""
    return f"sqlite:///{tmp_path}/nowhere.db"


@pytest.fixture
def own_url(database_url, tmp_path):
    with new_database(database_url, tmp_path) as url:
        yield url


@pytest.fixture
def live(live_server):
    with httpx2.Client(base_url=live_server.url) as client:
        yield client


def log_line(server, request_id):
    """The one line of the request; it is written when the reply is out already."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = [it for it in server.events() if it.get("request_id") == request_id and it["event"] == "request"]
        if found:
            assert len(found) == 1
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"no log line of request {request_id}")


def is_v2_problem(reply, status, code, path):
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"/problems/{code}")
    assert (body["instance"], body["request_id"]) == (path, reply.headers["x-request-id"])
    return body


def is_v1_error(reply, status):
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert list(body) == ["detail"]
    assert isinstance(body["detail"], str)
    return body["detail"]


def is_plain_problem(reply, status, code):
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.json()["code"], reply.json()["request_id"]) == (code, reply.headers["x-request-id"])


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 128])
def test_request_id_is_kept(live_server, live, given):
    """A well-formed X-Request-ID comes back in the reply, in the problem and in the log."""
    given = f"{live.base_url.port}-{given}"[:128]
    reply = live.get("/v2/nothing", headers={"X-Request-ID": given})
    assert reply.headers["x-request-id"] == reply.json()["request_id"] == given
    assert log_line(live_server, given)["status"] == 404


@pytest.mark.parametrize("given", [None, b"", b"x" * 129, b"a b", b"a/b", b"<script>", b"\xc3\xa4", b'"', b"a,b"])
def test_request_id_is_made(live, given):
    """Without an X-Request-ID, or with an ill-formed one, a new one is made that nobody had."""
    headers = {} if given is None else {b"X-Request-ID": given}
    made = [live.get("/livez", headers=headers).headers["x-request-id"] for _ in range(2)]
    for one in made:
        assert re.fullmatch(r"[0-9a-f]{32}", one), f"X-Request-ID {given!r} is ill-formed, and came back as {one!r}"
    assert made[0] != made[1]


def test_headers_of_every_reply(own_url):
    """Success, refusal and failure, in and outside the versions, carry the id, the time and what browsers obey."""
    with serving(own_url, allowed_hosts=("testserver",)) as client:
        steps = Steps(client)
        ada = steps.person()
        post_id = steps.post(ada)["id"]
        replies = {
            "200": client.get("/v2/posts"),
            "HEAD": client.head("/v2/posts"),
            "201": client.post("/v1/users", json={"email": "x@example.com", "password": "x"}),
            "204": client.delete(f"/v1/posts/{post_id}", headers=ada.headers),
            "400": client.get("/v2/posts", headers={"Host": "elsewhere.example"}),
            "401": client.get("/v1/posts"),
            "404": client.get("/v1/nothing"),
            "404 outside": client.get("/nothing"),
            "405": client.put("/v2/posts"),
            "413": client.post("/v1/users", content=b"x" * 2_000_000),
            "422": client.post("/v2/users", json={}),
            "200 outside": client.get("/versions"),
            "200 docs": client.get("/v2/docs"),
            "200 asset": client.get("/docs-assets/swagger-ui.css"),
            "200 page": client.get("/problems/not-found"),
        }
        with opened(own_url) as database:
            execute(database, "ALTER TABLE users RENAME TO people")
        replies["500"] = client.get("/v1/users/1")
    for name, reply in replies.items():
        if name != "HEAD":
            assert reply.status_code == int(name[:3]), name
        assert re.fullmatch(r"[0-9a-f]{32}", reply.headers["x-request-id"]), name
        assert re.fullmatch(r"app;dur=\d+\.\d", reply.headers["server-timing"]), name
        assert reply.headers["x-content-type-options"] == "nosniff", name
        assert reply.headers["x-frame-options"] == "DENY", name
        assert reply.headers["referrer-policy"] == "no-referrer", name
        assert reply.headers["cross-origin-resource-policy"] == "same-origin", name
        assert "cross-origin-opener-policy" not in reply.headers, name  # browsers complain of it without TLS
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"], name
        assert reply.headers["content-security-policy"].startswith("default-src 'none'") or "docs" in name, name
        assert "strict-transport-security" not in reply.headers, name
        assert "server" not in reply.headers, name
        for header in ("x-request-id", "content-security-policy", "x-frame-options"):
            assert len(reply.headers.get_list(header)) == 1, name


def test_strict_transport_in_production_alone(nowhere):
    """Browsers are told to stay with HTTPS, and to keep windows apart, in production; on errors too."""
    with serving(nowhere, environment="production", log_format="console") as client:
        for path in ("/livez", "/v2/nothing"):
            headers = client.get(path).headers
            assert headers.get("strict-transport-security") == "max-age=31536000", path
            assert headers.get("cross-origin-opener-policy") == "same-origin", path


def test_one_log_line_a_request(live_server, live):
    """Each request makes one JSON line that says who did what with which result, and holds nothing secret."""
    secret, marker = "hush hush pass", "a marker in the body"
    email = f"logged{time.monotonic_ns()}@example.com"
    ids = iter(f"log-{live_server.port}-{n}" for n in range(100))
    expected = {}
    tokens = []

    def ask(method, path, route, status, user=None, **kwargs):
        request_id = next(ids)
        headers = {**kwargs.pop("headers", {}), "X-Request-ID": request_id}
        reply = live.request(method, path, headers=headers, **kwargs)
        assert reply.status_code == status, reply.text
        version = path[1:3] if path.startswith(("/v1", "/v2")) else None
        line = {"method": method, "route": route, "version": version, "status": status, "user": user}
        expected[request_id] = line
        return reply

    me = ask("POST", "/v2/users", "/v2/users", 201, json={"email": email, "password": secret}).json()["id"]
    form = {"grant_type": "password", "username": email, "password": secret}
    pair = ask("POST", "/v2/auth/token", "/v2/auth/token", 200, data=form).json()
    tokens += [pair["access_token"], pair["refresh_token"]]
    old = ask("POST", "/v1/login/", "/v1/login", 200, data={"username": email, "password": secret}).json()
    tokens.append(old["access_token"])
    mine = {"Authorization": f"Bearer {pair['access_token']}"}
    body = {"title": marker, "content": marker}
    post_id = ask("POST", "/v2/posts", "/v2/posts", 201, me, json=body, headers=mine).json()["id"]
    theirs = {"Authorization": f"Bearer {old['access_token']}"}
    ask("GET", f"/v1/posts/{post_id}", "/v1/posts/{post_id}", 200, me, headers=theirs)
    ask("HEAD", "/v2/posts", "/v2/posts", 200)
    ask("GET", f"/v2/posts?q={secret}", "/v2/posts", 200)
    ask("POST", "/v1/login", "/v1/login", 403, data={"username": email, "password": secret + "!"})
    ask("POST", "/v2/users", "/v2/users", 422, json={"email": secret, "password": 1})
    ask("GET", "/v2/users/me", "/v2/users/me", 401, headers={"Authorization": f"Bearer {secret}"})
    ask("GET", "/v1/nothing", None, 404)
    ask("GET", "/livez", "/livez", 200)
    ask("POST", "/v1/users", None, 413, content=b"x" * 1_100_000)
    refresh = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    tokens.append(ask("POST", "/v2/auth/token", "/v2/auth/token", 200, data=refresh).json()["refresh_token"])
    for request_id, values in expected.items():
        line = log_line(live_server, request_id)
        assert {name: line[name] for name in values} == values
        assert line["duration_ms"] >= 0
        assert set(line) == {*values, "client", "duration_ms", "request_id", "event", "level", "logger", "timestamp"}
    text = live_server.log.read_text()
    for value in (secret, secret.replace(" ", "%20"), secret.replace(" ", "+"), marker, email, *tokens):
        assert value not in text
    assert all(line.startswith("{") for line in text[text.index("\n{") + 1 :].splitlines())


def test_gzip(client, steps):
    """Long replies are compressed for those who take it, which caches are told; short ones are not."""
    ada = steps.person()
    steps.post(ada, content="x" * 2000)
    reply = client.get("/v2/posts", headers={"Accept-Encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert int(reply.headers["content-length"]) < 1000
    assert "accept-encoding" in reply.headers["vary"].lower()
    plain = client.get("/v2/posts", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == reply.headers["vary"]
    assert plain.json() == reply.json()
    for accepted in ("gzip;q=0", "br, gzip; q=0.000", "*;q=0.5", ""):
        assert "content-encoding" not in client.get("/v2/posts", headers={"Accept-Encoding": accepted}).headers
    for accepted in ("br, gzip", "gzip;q=0.001", "identity;q=0.5, x-gzip;q=1.0"):
        assert "content-encoding" in client.get("/v2/posts", headers={"Accept-Encoding": accepted}).headers
    for accepted in ("gzip", "identity"):
        short = client.get("/livez", headers={"Accept-Encoding": accepted})
        assert not {"content-encoding", "vary"} & set(short.headers)


ALLOWED = "https://app.example"


@pytest.mark.parametrize("path", ["/v1/posts", "/v2/posts", "/v2/nothing", "/livez"])
def test_cors_for_an_allowed_origin(own_url, path):
    """A browser of an allowed origin may call and read the headers it needs, also of a refusal."""
    with serving(own_url, cors_origins=(ALLOWED,)) as client:
        reply = client.get(path, headers={"Origin": ALLOWED})
        assert reply.headers["access-control-allow-origin"] == ALLOWED
        assert "access-control-allow-credentials" not in reply.headers
        exposed = reply.headers["access-control-expose-headers"]
        assert {"X-Request-ID", "ETag", "Link", "Location", "Retry-After"} <= set(exposed.split(", "))
        asked = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization, if-match"}
        preflight = client.options(path, headers={"Origin": ALLOWED, **asked})
        assert preflight.status_code == 200, f"CORS preflight for PATCH: {preflight.text}"
        assert preflight.headers["access-control-allow-origin"] == ALLOWED
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
        assert preflight.headers["x-request-id"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://other.example",
        "null",
        "http://app.example",
        "https://app.example:444",
        "https://app.example.evil.example",
        "https://evilapp.example",
        "https://app.example.",
        "https://app.example@evil.example",
        "https://app.example\\.evil.example",
        "https://APP.example",
        "",
    ],
)
@pytest.mark.parametrize("credentials", [True, False], ids=["credentials", "none"])
def test_cors_for_other_origins(nowhere, origin, credentials):
    """Another origin, however alike, is told nothing that would let its browser go on."""
    with serving(nowhere, cors_origins=(ALLOWED,), cors_allow_credentials=credentials) as client:
        assert "access-control-allow-origin" not in client.get("/livez", headers={"Origin": origin}).headers
        preflight = client.options("/v2/posts", headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
        assert preflight.status_code == 400
        assert "access-control-allow-origin" not in preflight.headers
        allowed = client.get("/livez", headers={"Origin": ALLOWED})
        assert allowed.headers["access-control-allow-origin"] == ALLOWED
        assert allowed.headers.get("access-control-allow-credentials") == ("true" if credentials else None)


def test_no_cors_unless_configured(nowhere):
    """Without CORS_ORIGINS no reply speaks of origins; with * everybody may call, without credentials."""
    with serving(nowhere) as client:
        headers = client.get("/livez", headers={"Origin": ALLOWED}).headers
        assert not [name for name in headers if name.startswith("access-control")]
    with serving(nowhere, cors_origins=("*",)) as client:
        headers = client.get("/livez", headers={"Origin": ALLOWED}).headers
        assert headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize("host", ["api.example", "API.example:8000", "a.b.many.example", "[::1]:8000", "[::1]"])
def test_hosts_answered(nowhere, host):
    """Listed hosts are answered, with any port and in any case, and so are those below a wildcard."""
    with serving(nowhere, allowed_hosts=("api.example", "*.many.example", "[::1]")) as client:
        assert client.get("/livez", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["other.example", "api.example.evil.example", "evilapi.example", "many.example", ""])
def test_hosts_refused(nowhere, host):
    """Other hosts get 400 in the version's own form, wherever they ask."""
    with serving(nowhere, allowed_hosts=("api.example", "*.many.example", "[::1]")) as client:
        headers = {"Host": host}
        is_v2_problem(client.get("/v2/posts", headers=headers), 400, "invalid-host", "/v2/posts")
        is_v1_error(client.get("/v1/posts/", headers=headers), 400)
        is_plain_problem(client.get("/versions", headers=headers), 400, "invalid-host")
        assert client.get("/v2/docs", headers=headers).status_code == 400


def test_health_is_told_to_any_host(own_url):
    """Probes call by address: whatever hosts are answered, health is."""
    with serving(own_url, allowed_hosts=("api.example",)) as client:
        for path in ("/livez", "/readyz"):
            assert client.get(path, headers={"Host": "127.0.0.1:8000"}).status_code == 200


def test_ready_while_every_request_waits(database_url, tmp_path):
    """A service whose only thread waits for a row, or for SQLite's write lock, still says that it is ready. So it does
    when also the threads that hash wait, to count what was guessed.
    """
    limits = {
        "DATABASE_POOL_SIZE": "1",
        "PASSWORD_HASH_WORKERS": "2",
        "DATABASE_LOCK_TIMEOUT": "60",
        "DATABASE_STATEMENT_TIMEOUT": "60",
        "REQUEST_DEADLINE_SECONDS": "90",
    }
    with (
        new_database(database_url, tmp_path) as url,
        LiveServer(url, tmp_path, **limits) as server,
        httpx2.Client(base_url=server.url, timeout=60) as client,
        ThreadPoolExecutor() as pool,
    ):
        steps = Steps(client)
        ada = steps.person()
        post = steps.post(ada)
        with opened(url) as database, database.write() as connection:
            connection.execute(sa.text("UPDATE posts SET content = 'held'"))
            if database.engine.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE login_failures IN SHARE MODE"))
            guess = {"grant_type": "password", "username": ada.email, "password": "wrong"}
            guesses = [pool.submit(client.post, "/v2/auth/token", data=guess) for _ in range(2)]
            time.sleep(0.5)  # they look the account up, by the thread that is to wait
            change = pool.submit(client.delete, f"/v2/posts/{post['id']}", headers=ada.headers)
            for _ in range(3):
                assert client.get("/readyz").status_code == 200
            assert not any(waiting.done() for waiting in (change, *guesses))
        assert change.result().status_code == 204
        assert [guess.result().status_code for guess in guesses] == [400] * 2


def test_a_client_that_leaves_is_no_bug(tmp_path):
    """Hanging up before the body is complete leaves no error in the log."""
    with new_database("sqlite", tmp_path) as url, LiveServer(url, tmp_path) as server:
        for path in ("/v2/auth/token", "/v2/users", "/v1/login"):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                connection.sendall(f"{head}Content-Length: 100\r\n\r\nabc".encode())
        deadline = time.monotonic() + SECONDS
        while sum(it["event"] == "request" for it in server.events()) < 4:  # the first one is the start's own
            assert time.monotonic() < deadline, server.events()
            time.sleep(0.01)
        assert not [it for it in server.events() if it["level"] == "error"]


def test_assets_name_their_methods(nowhere):
    """Also what is mounted says which methods it answers to."""
    with serving(nowhere) as client:
        reply = client.post("/docs-assets/favicon.png")
        assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")


def chunked(size):
    for start in range(0, size, 100_000):
        yield b"x" * min(100_000, size - start)


@pytest.mark.parametrize("size", [1_048_577, 5_000_000])
@pytest.mark.parametrize("body", [bytes, chunked])
def test_bodies_that_are_too_large(live, body, size):
    """A body beyond the limit is 413 in the version's own form, whether it says its length or comes in chunks."""
    for path, media_type in (
        ("/v2/users", "application/json"),
        ("/v2/auth/token", "application/x-www-form-urlencoded"),
    ):
        reply = live.post(path, content=body(size), headers={"Content-Type": media_type})
        is_v2_problem(reply, 413, "content-too-large", path)
    for path, media_type in (("/v1/users", "application/json"), ("/v1/login", "application/x-www-form-urlencoded")):
        reply = live.post(path, content=body(size), headers={"Content-Type": media_type})
        assert "1048576" in is_v1_error(reply, 413)
    assert live.get("/livez").status_code == 200


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("media_type", ["multipart/form-data; boundary=X", "Multipart/Form-Data; boundary=X"])
def test_multipart_bodies_that_are_too_large(live, media_type, chunks):
    """No route takes files, and the parts of a form take long to take apart: 64 KiB are the most."""

    def send(path, size):
        head, end = b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n', b"\r\n--X--\r\n"
        body = head + b"x" * (size - len(head) - len(end)) + end
        content = iter([body[:1000], body[1000:]]) if chunks else body
        return live.post(path, content=content, headers={"Content-Type": media_type})

    assert "65536" in is_v1_error(send("/v1/login", 65_537), 413)
    is_v2_problem(send("/v2/users", 65_537), 413, "content-too-large", "/v2/users")
    told = send("/v1/login", 65_536).json()["detail"]
    assert ["body", "username"] in [fault["loc"] for fault in told]  # it was read


@pytest.mark.parametrize("stream", [False, True])
def test_the_limit_is_exact(nowhere, stream):
    """A body of MAX_BODY_BYTES is read, one more byte is not."""
    with serving(nowhere, max_body_bytes=2048) as client:
        for size, status in ((2048, 422), (2049, 413)):
            content = b'{"x":"' + b"x" * (size - 8) + b'"}'
            for path in ("/v1/users", "/v2/users"):
                sent = iter([content[:1000], content[1000:]]) if stream else content
                reply = client.post(path, content=sent, headers={"Content-Type": "application/json"})
                assert reply.status_code == status, (size, path)


def test_health(own_url):
    """/livez asks nobody; /readyz is 200 with the newest schema or that of a later release, and 503 before."""
    with serving(own_url) as client, opened(own_url) as database:
        assert client.get("/readyz").json() == client.get("/livez").json() == {"status": "ok"}
        assert client.head("/readyz").status_code == 200
        execute(database, "UPDATE alembic_version SET version_num = '9999'")  # a release to come
        assert client.get("/readyz").status_code == 200
        execute(database, "UPDATE alembic_version SET version_num = '0001'")
        not_ready = client.get("/readyz")
        is_plain_problem(not_ready, 503, "unavailable")
        assert "tandem db upgrade" in not_ready.json()["detail"]
        execute(database, f"UPDATE alembic_version SET version_num = '{schema.newest()}'")
        assert client.get("/readyz").status_code == 200
        migrations.downgrade(database, "base")
        not_ready = client.get("/readyz")
        is_plain_problem(not_ready, 503, "unavailable")
        assert int(not_ready.headers["retry-after"]) > 0
        assert client.get("/livez").status_code == 200


def unavailable_everywhere(client):
    """Each way to the database says 503 in its form and when to come back; what needs none goes on."""
    ready = client.get("/readyz")
    is_plain_problem(ready, 503, "unavailable")
    v2 = [client.get("/v2/posts"), client.post("/v2/users", json={"email": "a@b.example", "password": PASSWORD})]
    for reply, path in zip(v2, ("/v2/posts", "/v2/users"), strict=True):
        is_v2_problem(reply, 503, "unavailable", path)
    v1 = [client.get("/v1/users/1"), client.post("/v1/login", data={"username": "a@b.example", "password": "x"})]
    for reply in v1:
        is_v1_error(reply, 503)
    for reply in (ready, *v1, *v2):
        assert int(reply.headers["retry-after"]) > 0
        assert "127.0.0.1" not in reply.text
        assert "sqlite" not in reply.text
    assert client.get("/livez").status_code == 200
    assert client.get("/v2/openapi.json").status_code == 200


def test_postgresql_away():
    """Where nobody listens at the database's address, everything that needs it is 503."""
    with serving("postgresql://u:hush@127.0.0.1:1/name") as client:
        unavailable_everywhere(client)


def test_sqlite_away(tmp_path):
    """Where the database's folder has gone, everything that needs it is 503, and 200 again once it is back."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with serving(f"sqlite:///{folder}/t.db") as client:
        rmtree(folder)
        unavailable_everywhere(client)
        assert not folder.exists()  # or what comes back would lie within what was made meanwhile
        folder.mkdir()
        with opened(f"sqlite:///{folder}/t.db") as database:
            migrations.upgrade(database)
        assert client.get("/readyz").status_code == 200
        assert client.get("/v2/posts").status_code == 200


def test_postgresql_ends_connections(postgres_url, tmp_path):
    """Connections that the database ended cost 503 at most, and the service finds back by itself."""
    with new_database(postgres_url, tmp_path) as url, serving(url) as client, opened(url) as database:
        assert client.get("/v2/posts").status_code == 200
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        execute(database, f"{ended} WHERE datname = current_database() AND pid <> pg_backend_pid()")
        statuses = [client.get("/v2/posts").status_code for _ in range(3)]
        assert set(statuses) <= {200, 503}
        assert statuses[-1] == 200


def test_a_busy_database(own_url):
    """A lock that somebody holds for too long is 503 to a writer, who succeeds once it is free."""
    with serving(own_url, database_statement_timeout=0.2) as client, opened(own_url) as database:
        person = {"email": "a@b.example", "password": PASSWORD}
        with database.write() as connection:
            postgresql = database.engine.dialect.name == "postgresql"
            connection.execute(sa.text("LOCK TABLE users" if postgresql else "SELECT 1"))  # SQLite's lock is its BEGIN
            reply = client.post("/v2/users", json=person)
            is_v2_problem(reply, 503, "unavailable", "/v2/users")
            assert int(reply.headers["retry-after"]) > 0
            is_v1_error(client.post("/v1/users", json=person), 503)
        assert client.post("/v2/users", json=person).status_code == 201


def test_a_bug(own_url):
    """A statement that is wrong for the schema is 500 with the request id, in the version's own form, nothing else."""
    with serving(own_url) as client:
        with opened(own_url) as database:
            execute(database, "ALTER TABLE users RENAME TO people")
        headers = {"X-Request-ID": "a-bug"}
        body = is_v2_problem(client.get("/v2/users/1", headers=headers), 500, "internal-error", "/v2/users/1")
        assert body["request_id"] == "a-bug"
        assert "a-bug" in is_v1_error(client.get("/v1/users/1", headers=headers), 500)
        for path in ("/v1/users/1", "/v2/users/1"):
            text = client.get(path).text
            assert not re.search(r"select|people|users\.|no such table|Traceback|sqlalchemy", text, re.IGNORECASE)
            assert "retry-after" not in client.get(path).headers
        assert client.get("/livez").status_code == 200


def test_a_bug_is_logged(tmp_path):
    """The log holds a bug's traceback under its request id, without the values of the statement; the server goes on."""
    with new_database("sqlite", tmp_path) as url, opened(url) as database:
        execute(database, "ALTER TABLE users RENAME COLUMN bio TO biography")
        with LiveServer(url, tmp_path) as server:
            person = {"email": "somebody@example.com", "password": "hush hush pass"}
            headers = {"X-Request-ID": "a-bug"}
            assert httpx2.post(f"{server.url}/v2/users", json=person, headers=headers).status_code == 500
            assert log_line(server, "a-bug")["status"] == 500
            assert httpx2.get(f"{server.url}/v2/posts").status_code == 200
        (bug,) = [it for it in server.events() if it["event"] == "unhandled error"]
        assert (bug["request_id"], bug["level"]) == ("a-bug", "error")
        assert "OperationalError" in bug["exception"]
        assert "hush" not in server.log.read_text()
        assert "somebody@" not in server.log.read_text()


@pytest.mark.parametrize("path", ["/", "/policy", "/portal/sign-in", "/v1/docs", "/v2/docs", "/problems/not-found"])
def test_pages_come_from_here_alone(nowhere, path):
    """A page names no other host, all it loads or links to answers, and its policy lets its own scripts run."""
    with opened(nowhere) as database:
        migrations.upgrade(database)  # for the portal's link to /readyz
    with serving(nowhere) as client:
        page = client.get(path)
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert not re.search(r"(https?:)?//[\w-]+\.\w", page.text)
        links = re.findall(r"""(?:src|href)=["']([^"']*)["']|url: '([^']*)'""", page.text)
        assert links or path.startswith("/problems")
        for link in ("".join(found) for found in links):
            if link.startswith("#"):
                assert f'id="{link[1:]}"' in page.text
                continue
            if link == "data:,":  # the icon that is none
                continue
            assert link.startswith("/")
            assert client.get(link).status_code == 200, link
        policy = page.headers["content-security-policy"]
        for script in re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL):
            assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
        assert "unsafe-eval" not in policy
        assert not re.search(r"script-src[^;]*unsafe-inline", policy)


def test_docs_off(nowhere):
    """DOCS_ENABLED=false removes the portal, the pages, their assets and the documents, and nothing else."""
    with serving(nowhere, docs_enabled=False) as client:
        for path in ("/", "/docs-assets/swagger-ui.css"):
            is_plain_problem(client.get(path), 404, "not-found")
        for page in ("docs", "openapi.json"):
            is_v2_problem(client.get(f"/v2/{page}"), 404, "not-found", f"/v2/{page}")
            is_v1_error(client.get(f"/v1/{page}"), 404)
        assert client.get("/versions").status_code == 200
        assert client.get("/problems/not-found").status_code == 200
        assert client.get("/v1/posts").status_code == 401
    with serving(nowhere) as client:
        for path in ("/docs", "/redoc", "/openapi.json"):  # the framework's own
            assert client.get(path).status_code == 404


def test_versions(nowhere):
    """/versions lists both with their state, and where it says they are described, they are."""
    with serving(nowhere) as client:
        reply = client.get("/versions")
        assert reply.status_code == 200, f"/versions: {reply.text}"
        found = reply.json()["versions"]
        assert [(one["name"], one["status"], one["base"]) for one in found] == [
            ("v1", "deprecated", "/v1"),
            ("v2", "current", "/v2"),
        ]
        for one in found:
            document = client.get(one["openapi"]).json()
            assert all(path.startswith(f"{one['base']}/") for path in document["paths"])
            assert client.get(one["docs"]).status_code == 200


@pytest.mark.parametrize("code", PROBLEM_TYPES)
def test_every_problem_type_has_a_page(session_client, code):
    """What the `type` of a problem leads to explains it and says its status."""
    page = session_client.get(f"/problems/{code}")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert PROBLEM_TYPES[code].title in page.text
    assert f"Status {PROBLEM_TYPES[code].status}." in page.text


def test_no_page_for_what_is_no_problem(nowhere):
    """An unknown code is a problem itself, and is not echoed."""
    with serving(nowhere) as client:
        reply = client.get("/problems/%3Cscript%3E")
        is_plain_problem(reply, 404, "not-found")
        assert "script" not in reply.text


def test_graceful_stop(tmp_path):
    """SIGTERM while a login is in flight: nobody new gets in, the login is answered, then the process ends."""
    with new_database("sqlite", tmp_path) as url, LiveServer(url, tmp_path, BCRYPT_ROUNDS="12") as server:
        with httpx2.Client(base_url=server.url, timeout=SECONDS) as client:
            ada = Steps(client).person("ada@example.com")
        form = f"username={ada.email}&password={PASSWORD.replace(' ', '+')}".encode()
        with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
            head = f"POST /v1/login HTTP/1.1\r\nHost: here\r\nContent-Length: {len(form)}\r\nExpect: 100-continue\r\n"
            connection.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")  # the route is reading: it is in flight
            server.process.send_signal(signal.SIGTERM)
            wait_until_refused(server.port)
            connection.sendall(form)
            reply = b"".join(iter(lambda: connection.recv(10_000), b""))
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert b'"access_token"' in reply
        server.process.wait(timeout=SECONDS)
        assert "Traceback" not in server.log.read_text()


def wait_until_refused(port):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError("the server goes on listening")
