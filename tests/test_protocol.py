"""What arrives at the socket: requests that are malformed, too large, too slow or ambiguous, over real connections."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.parser import BytesParser
from functools import partial
from http.client import HTTPResponse
from typing import Any, NamedTuple

import httpx2
import pytest
import uvicorn

from app.serving import BoundedHttp, Bounds
from tests.server import LiveServer
from tests.steps import PASSWORD, Steps
from tests.test_migrations import new_database

SECONDS = 20  # to wait for what has to happen
HOST = b"Host: here\r\n"
JSON = HOST + b"Content-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n\r\n"
SIGN_UP = b"POST /v2/users HTTP/1.1\r\n"
LIMIT = 65536


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """What a connection may do does not depend on the database: one is enough. Clients have half a second."""
    folder = tmp_path_factory.mktemp("protocol")
    with new_database("sqlite", folder) as url, LiveServer(url, folder, CLIENT_TIMEOUT="0.5") as server:
        yield server
        assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A server with the time-outs that it has by default."""
    folder = tmp_path_factory.mktemp("patient")
    with new_database("sqlite", folder) as url, LiveServer(url, folder, WORKERS="2") as server:
        yield server
        assert "Traceback" not in server.log.read_text()


@contextmanager
def connected(server: LiveServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
        yield connection


def until_closed(connection: socket.socket) -> bytes:
    """All that the server sends before it closes the connection."""
    received = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:  # it was closed with some of what was sent unread
            return received
        if not piece:
            return received
        received += piece


def replies(text: bytes) -> list[Reply]:
    """The replies that a connection brought, each with a Content-Length."""
    found = []
    while text:
        head, _, text = text.partition(b"\r\n\r\n")
        line, _, fields = head.partition(b"\r\n")
        headers = {name.lower(): value for name, value in BytesParser().parsebytes(fields).items()}
        length = int(headers.get("content-length", 0))
        found.append(Reply(int(line.split()[1]), headers, text[:length]))
        text = text[length:]
    return found


def ask(server: LiveServer, data: bytes) -> list[Reply]:
    """What is answered until the server closes the connection."""
    with connected(server) as connection:
        with suppress(ConnectionResetError, BrokenPipeError):  # answered and closed before all of it was sent
            connection.sendall(data)
        return replies(until_closed(connection))


def is_refusal(reply: Reply, status: int, code: str, path: str) -> None:
    """A refusal in the form of the version that the path begins with, with all that every reply carries."""
    assert reply.status == status
    assert reply.headers["connection"] == "close"
    assert reply.headers["x-request-id"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    body = json.loads(reply.body)
    if path.startswith("/v1"):
        assert reply.headers["content-type"] == "application/json"
        assert list(body) == ["detail"]
        assert reply.headers["deprecation"]
    else:
        assert reply.headers["content-type"] == "application/problem+json"
        assert (body["code"], body["request_id"]) == (code, reply.headers["x-request-id"])
        assert str(body.get("instance")).startswith("/v2" if path.startswith("/v2") else "None")


MALFORMED = {
    "content-length and transfer-encoding": SIGN_UP + JSON + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two content-lengths": SIGN_UP + JSON + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "list of lengths": SIGN_UP + JSON + b"Content-Length: 2, 2\r\n\r\n{}",
    "signed length": SIGN_UP + JSON + b"Content-Length: +2\r\n\r\n{}",
    "length of 30 digits": SIGN_UP + JSON + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n{}",
    "unknown transfer-encoding": SIGN_UP + JSON + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": SIGN_UP + JSON + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "space before colon": SIGN_UP + JSON + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "folded header": b"GET /v2/posts HTTP/1.1\r\n" + HOST + b"X-A: a\r\n b\r\n\r\n",
    "line feeds alone": b"GET /v2/posts HTTP/1.1\nHost: here\n\n",
    "carriage return in a header": b"GET /v2/posts HTTP/1.1\r\n" + HOST + b"X-A: a\rb\r\n\r\n",
    "NUL in a header": b"GET /v2/posts HTTP/1.1\r\n" + HOST + b"X-A: a\x00b\r\n\r\n",
    "bytes in the path": b"GET /v2/posts/\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the query": b"GET /v2/posts?q=\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "control character in the path": b"GET /v2/posts/\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no such version": b"GET /v2/posts HTTP/9.9\r\n" + HOST + b"\r\n",
    "unknown method": b"ZQ /v2/posts HTTP/1.1\r\n" + HOST + b"\r\n",
    "method of 10 KB": b"ZQ" * 5000 + b" /v2/posts HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"zq" * 100,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "authority for a path": b"CONNECT zq.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "relative path": b"GET zq HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_400_and_the_end_of_the_connection(patient, data):
    """What is no HTTP/1.1, or could be read in two ways, is one 400 without an echo, and nothing after it is read."""
    (reply,) = ask(patient, data + b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")
    target_is_read = b" /v2/users" in data or (b" /v2/posts H" in data and b"ZQ" not in data)
    is_refusal(reply, 400, "malformed-request", "/v2" if target_is_read else "/")
    assert b"zq" not in reply.body.lower()


@pytest.mark.parametrize(
    "chunk", [b"zq\r\n{}\r\n", b"fffffffffffffffff\r\n{}", b"2\n{}\n", b"2\r\n{}zq\r\n", b"-2\r\n{}"]
)
def test_a_malformed_chunk_is_400_and_the_end_of_the_connection(patient, chunk):
    """A body whose chunks cannot be told apart is refused by the application that was reading it."""
    for path in ("/v1/users", "/v2/users"):
        (reply,) = ask(patient, b"POST " + path.encode() + b" HTTP/1.1\r\n" + CHUNKED + chunk)
        assert (reply.status, reply.headers["connection"]) == (400, "close")
        assert b"zq" not in reply.body
        assert "loc" not in json.loads(reply.body)


@pytest.mark.parametrize("path", ["/v1/posts", "/v2/posts", "/livez"])
def test_a_large_head_is_refused(patient, path):
    """100 KB in one header, in many, or in the URL are 431 and 414, in the version's form; what is allowed is read."""
    start = f"GET {path} HTTP/1.1\r\n".encode() + HOST
    for head in (b"X-A: " + b"zq" * 50_000, b"\r\n".join(b"X-%d: zqzqzqzq" % number for number in range(7_000))):
        (reply,) = ask(patient, start + head + b"\r\n\r\n")
        is_refusal(reply, 431, "request-header-fields-too-large", path)
        assert b"zq" not in reply.body
        assert f"at most {LIMIT} bytes".encode() in reply.body
    (reply,) = ask(patient, f"GET {path}?q={'zq' * 50_000} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
    is_refusal(reply, 414, "uri-too-long", path)
    assert b"zq" not in reply.body
    head = start + b"Connection: close\r\nX-A: "
    (reply,) = ask(patient, head + b"a" * (LIMIT - len(head) - 4) + b"\r\n\r\n")
    assert reply.status == (401 if path == "/v1/posts" else 200)


@pytest.mark.parametrize("more", [b"0\r\nX-A: %s\r\n\r\n", b"2;a=%s\r\n{}\r\n0\r\n\r\n"], ids=["trailer", "extension"])
def test_what_surrounds_chunks_is_bounded_as_well(patient, more):
    """Trailers and chunk extensions, which are neither head nor body, are 431 when they are large."""
    (reply,) = ask(patient, SIGN_UP + CHUNKED + more % (b"zq" * 100_000))
    assert (reply.status, reply.headers["connection"]) == (431, "close")
    assert b"zq" not in reply.body


def test_trailers_are_no_headers(patient):
    """A token that comes after the body is none: a proxy judged the headers that came before (RFC 9110, 6.5.1)."""
    with httpx2.Client(base_url=patient.url) as client:
        token = Steps(client).person().headers["Authorization"].encode()
    body = b'{"title": "t", "content": "c"}'
    chunk = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    post = b"POST /v2/posts HTTP/1.1\r\n"
    (reply,) = ask(
        patient, post + b"Connection: close\r\n" + CHUNKED + chunk + b"Authorization: " + token + b"\r\n\r\n"
    )
    assert reply.status == 401
    header = b"Connection: close\r\nAuthorization: " + token + b"\r\n"
    (reply,) = ask(patient, post + header + CHUNKED + chunk + b"\r\n")
    assert reply.status == 201


@pytest.mark.parametrize(
    "hosts", [b"", b"Host: a\r\nHost: b\r\n", b"Host: a\r\nHost: a\r\n"], ids=["none", "two", "same"]
)
def test_a_request_names_one_host(patient, hosts):
    """A request of HTTP/1.1 without a Host, or with two, is 400 (RFC 9112, section 3.2); HTTP/1.0 knew none."""
    (reply,) = ask(patient, b"GET /v2/posts HTTP/1.1\r\nConnection: close\r\n" + hosts + b"\r\n")
    assert (reply.status, json.loads(reply.body)["code"]) == (400, "invalid-host")
    (reply,) = ask(patient, b"GET /v2/posts HTTP/1.0\r\n\r\n")
    assert reply.status == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://elsewhere.example/v2/posts", 200),
        ("//v2/posts", 404),
        ("/v2//posts", 404),
        ("/v2/../v2/posts", 404),
        ("/v2/%2e%2e/livez", 404),
        ("/v2/posts/%00", 422),
        ("/v2/posts/%ff", 422),
        ("/v2/posts%0a", 404),
        ("/v1/posts%0a/", 404),
        ("/livez%0a", 404),
        ("/metrics%0a", 404),
        ("/docs-assets/..%2f..%2fpyproject.toml", 404),
        ("/docs-assets/%00", 404),
        ("/v2/posts/1%0d%0aSet-Cookie:%20zq=1", 422),
        ("/v1/nothing%0d%0aSet-Cookie:%20zq=1", 404),
        ("/portal/sign-in?next=/%0d%0aSet-Cookie:%20zq=1", 200),
        ("*", 404),
    ],
)
def test_strange_targets(patient, target, status):
    """Targets that are not what they seem reach what they name, or nothing, and write no header of their own."""
    with connected(patient) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nConnection: close\r\n".encode() + HOST + b"\r\n")
        text = until_closed(connection)
    assert text.split()[1] == str(status).encode()
    assert b"\nset-cookie: zq" not in text.lower()


LAST = b"GET /livez HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"


@pytest.mark.parametrize("pace", ["at once", "byte by byte"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_an_upgrade_is_ignored(patient, protocol, framing, pace):
    """Whoever offers another protocol is answered in HTTP/1.1, body and all, and so is what they ask for next."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\nuPGRADE: " + protocol + b"\r\n"
    email = "-".join((protocol.decode(), framing, pace.replace(" ", "-"))) + "@example.com"
    body = json.dumps({"email": email, "password": PASSWORD}).encode()
    signing_up = {
        "length": JSON + offer + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        "chunks": offer + CHUNKED + b"5\r\n" + body[:5] + b"\r\n%x\r\n" % len(body[5:]) + body[5:] + b"\r\n0\r\n\r\n",
    }[framing]
    sent = b"GET /v2/posts HTTP/1.1\r\n" + HOST + offer + b"\r\n" + SIGN_UP + signing_up + LAST
    with connected(patient) as connection:
        for piece in [sent] if pace == "at once" else [sent[at : at + 1] for at in range(len(sent))]:
            connection.sendall(piece)
        found = replies(until_closed(connection))
    assert [reply.status for reply in found] == [200, 201, 200]
    assert json.loads(found[1].body)["email"] == email


def test_an_upgrade_changes_no_framing(patient):
    """What is ambiguous or malformed is refused with an offer of another protocol as without; a body is no request."""
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    both = offer + JSON + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    for refused in (both, offer + CHUNKED + b"zq\r\n"):
        (reply,) = ask(patient, SIGN_UP + refused + LAST)
        assert reply.status == 400
    hidden = b"GET /v2/tags HTTP/1.1\r\n" + HOST + b"\r\n"
    found = ask(patient, SIGN_UP + JSON + offer + b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden + LAST)
    assert [reply.status for reply in found] == [422, 200]
    many = 200
    found = ask(patient, (b"GET /livez HTTP/1.1\r\n" + HOST + offer + b"\r\n") * many + LAST)
    assert [reply.status for reply in found] == [200] * (many + 1)


def test_requests_sent_ahead_are_answered_in_order(patient):
    """What was asked before something malformed is answered first."""
    good = b"GET /versions HTTP/1.1\r\n" + HOST + b"\r\n"
    found = ask(patient, good + b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n" + b"GARBAGE\r\n\r\n" + good)
    assert [reply.status for reply in found] == [200, 200, 400]
    assert json.loads(found[1].body) == {"status": "ok"}


def test_a_reply_comes_in_one_piece(patient):
    """Head and body are sent together: in two pieces they would be two packets, and wake the client twice."""
    with connected(patient) as connection:
        for _ in range(50):
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
            assert body, head


def test_a_stream_waits_for_its_client():
    """Who streams to a client that takes nothing is held back after some megabytes, however small its pieces are."""
    sent, held_back_at = 0, []

    async def stream(_scope, _receive, send):
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(4000):
            await send({"type": "http.response.body", "body": bytes(50_000), "more_body": True})
            sent += 50_000

    async def asked_and_left():
        http: Any = partial(BoundedHttp, Bounds(65536, 20))  # which uvicorn calls, whatever its types say
        with socket.create_server(("127.0.0.1", 0)) as listening, suppress(asyncio.CancelledError):
            server = uvicorn.Server(uvicorn.Config(stream, http=http, ws="none", lifespan="off", log_config=None))
            serving = asyncio.create_task(server.serve([listening]))
            _, client = await asyncio.open_connection(*listening.getsockname())
            client.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.sleep(1)
            held_back_at.append(sent)
            client.transport.abort()
            server.should_exit = server.force_exit = True
            await serving

    asyncio.run(asked_and_left())
    assert 0 < held_back_at[0] < 40_000_000


def test_a_body_may_be_asked_for(patient):
    """`Expect: 100-continue` is answered where the body is read, and with the refusal alone where it is too large."""
    with connected(patient) as connection:
        connection.sendall(SIGN_UP + JSON + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert replies(until_closed(connection))[0].status == 422
    (reply,) = ask(patient, SIGN_UP + JSON + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n")
    assert reply.status == 413


@pytest.mark.parametrize("path", ["/v1/users", "/v2/users", "/v1/login", "/v2/auth/token", "/v2/nothing"])
def test_a_chunked_body_beyond_the_limit_is_413(patient, path):
    """A body that does not say how large it will be is refused once it has become too large."""
    kind = b"application/x-www-form-urlencoded" if path in ("/v1/login", "/v2/auth/token") else b"application/json"
    head = b"Content-Type: " + kind + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"10000\r\n" + b"a" * 65536 + b"\r\n" for _ in range(20))
    with connected(patient) as connection:
        connection.sendall(b"POST " + path.encode() + b" HTTP/1.1\r\n" + HOST + head)
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(chunks)
        found = connection.recv(65536)
    assert found.split()[1] == (b"404" if path == "/v2/nothing" else b"413")


@pytest.mark.parametrize("path", ["/v1/users", "/v2/users", "/users"])
def test_a_slow_request_is_408(server, path):
    """A head, or a body, that has not come in time is 408 in the version's form, and the connection is closed."""
    line = f"POST {path} HTTP/1.1\r\n".encode()
    (reply,) = ask(server, line + b"Host: he")
    is_refusal(reply, 408, "request-timeout", path)
    if path == "/users":
        return  # nothing reads a body there
    for body in (b"Content-Length: 10\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"):
        (reply,) = ask(server, line + JSON + body)
        assert (reply.status, reply.headers["connection"]) == (408, "close")


def test_a_trickle_is_no_excuse(server):
    """The time is that of the whole request: a byte now and then does not prolong it, before or after the reply."""
    for start in (SIGN_UP + b"X-A: ", SIGN_UP + JSON + b"Content-Length: 1000\r\n\r\n"):
        with connected(server) as connection:
            connection.sendall(start)
            assert replies(trickle(connection))[0].status == 408
    with connected(server) as connection:
        connection.sendall(b"POST /v2/nothing HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n")
        assert [reply.status for reply in replies(trickle(connection))] == [404]


def trickle(connection: socket.socket, piece_sent: bytes = b"x") -> bytes:
    """Send a little at a time until the server closes; gives what it said."""
    received = b""
    connection.settimeout(0.1)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            connection.send(piece_sent)
            piece = connection.recv(65536)
            if not piece:
                return received
            received += piece
        except TimeoutError:
            pass
        except (ConnectionResetError, BrokenPipeError):
            return received
    raise AssertionError("the connection stays open")


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"], ids=["new", "used"])
def test_an_idle_connection_is_closed(server, sent):
    """Whoever connects and says nothing, or nothing any more but line ends, is let go without a word."""
    assert ask(server, b"") == []
    with connected(server) as connection:
        connection.sendall(sent)
        assert [reply.status for reply in replies(trickle(connection, b"\r\n"))] == ([200] if sent else [])


def test_a_body_after_the_reply_keeps_no_connection(server):
    """A connection whose request is answered before its body comes is closed as any other that is idle."""
    with connected(server) as connection:
        connection.sendall(b"POST /v2/nothing HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n")
        reply = HTTPResponse(connection)
        reply.begin()
        assert reply.status == 404
        reply.read()
        connection.sendall(b"{}")
        assert until_closed(connection) == b""


def test_a_reply_that_nobody_reads_is_given_up(server):
    """A client that takes nothing of a long reply is cut off, with what is left unsent; one that reads gets all."""
    with httpx2.Client(base_url=server.url, timeout=SECONDS) as client:
        steps = Steps(client)
        ada = steps.person()
        for _ in range(100):
            steps.post(ada, content="\U0001f388" * 50_000)
        whole = len(client.get("/v2/posts?limit=100", headers={"Accept-Encoding": "identity"}).content)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(SECONDS)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"GET /v2/posts?limit=100 HTTP/1.1\r\n" + HOST + b"\r\n")
        time.sleep(2)  # the server gives up after about half of one
        received = len(until_closed(connection))
    assert 0 < received < whole
