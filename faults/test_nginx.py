"""The configuration in deploy/nginx.conf, with a real nginx in front of two real nodes.

It needs an `nginx` on the PATH (Debian: apt install nginx-light), and is skipped, with that word, where there is none.
"""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import httpx2
import pytest

from faults.conftest import Measured
from tests.server import LiveServer
from tests.steps import Steps
from tests.test_protocol import replies, until_closed

NGINX = shutil.which("nginx")
CONFIGURATION = Path(__file__).parents[1] / "deploy" / "nginx.conf"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
SECONDS = 20

pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx on the PATH: apt install nginx-light")


class Proxy:
    """nginx with our configuration, in which only addresses, ports and folders are others."""

    def __init__(self, folder: Path, nodes: tuple[int, int], *, tls: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        text = CONFIGURATION.read_text()
        text = replaced(text, "10.0.0.11:8000", f"127.0.0.1:{nodes[0]}")
        text = replaced(text, "10.0.0.12:8000", f"127.0.0.1:{nodes[1]}")
        text = replaced(text, "/dev/stdout", str(folder / "access.log"))
        paths = "".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
        text = replaced(text, "\nhttp {", f"\nhttp {{ {paths}")
        if tls:
            self.port = free_port()
            text = replaced(text, "# listen 443 ssl http2;", f"listen 127.0.0.1:{self.port} ssl http2;")
            text = text.replace("        # ssl_", "        ssl_").replace("/etc/nginx/tls", str(folder))
        text = replaced(text, "listen 80;", f"listen 127.0.0.1:{free_port() if tls else self.port};")
        (folder / "nginx.conf").write_text(text)
        at = ["-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
        self.command = [str(NGINX), *at, "-g", f"daemon off; pid {folder}/pid; user root;"]

    def __enter__(self) -> Self:
        subprocess.run([*self.command, "-t"], check=True, capture_output=True)
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise RuntimeError((self.folder / "error.log").read_text())

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=SECONDS)


class Recorder:
    """A node that notes the head of each request, and answers it, or ends the connection without a word."""

    def __init__(self, *, silent: bool) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.silent = silent
        self.heads: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.heads.append(connection.recv(65536).decode())
                if not self.silent:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old} stands {text.count(old)} times in {CONFIGURATION.name}"
    return text.replace(old, new)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def recorders(*, silent: bool) -> Iterator[tuple[Recorder, Recorder]]:
    nodes = Recorder(silent=silent), Recorder(silent=silent)
    try:
        yield nodes
    finally:
        for node in nodes:
            node.listener.close()


@contextmanager
def two_nodes(url: str, folder: Path) -> Iterator[tuple[Proxy, list[LiveServer]]]:
    """A proxy in front of two servers of one database."""
    with ExitStack() as stack:
        nodes = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            nodes.append(stack.enter_context(LiveServer(url, folder / name)))
        (folder / "nginx").mkdir()
        yield stack.enter_context(Proxy(folder / "nginx", (nodes[0].port, nodes[1].port))), nodes


def ask(proxy: Proxy, data: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS) as connection:
        connection.sendall(data)
        reply = replies(until_closed(connection))[0]
    return reply.status, reply.headers, json.loads(reply.body)


def test_two_nodes_behind_nginx(sqlite_url: str, tmp_path: Path, measured: Measured) -> None:
    """Both nodes are used, limits are answered in the version's form, and a killed node costs no request."""
    with two_nodes(sqlite_url, tmp_path) as (proxy, nodes), httpx2.Client(base_url=proxy.url) as client:
        steps = Steps(client)
        ada = steps.person()
        post = steps.post(ada)
        for _ in range(20):
            assert client.get(f"/v2/posts/{post['id']}").json()["title"] == "a title"
        assert all("/v2/posts/{post_id}" in {it.get("route") for it in node.events()} for node in nodes)
        reply = client.get("/v2/nothing", headers={"X-Request-ID": "from-outside"})
        assert reply.headers["x-request-id"] == reply.json()["request_id"] == "from-outside"
        assert len(client.get("/v2/posts", headers={"X-Request-ID": "<script>"}).headers["x-request-id"]) == 32
        limits(proxy, client)
        for path in ("/metrics", "//metrics", "/%6detrics", "/v2/../metrics", "/metrics%0a", "/metrics?x", "/metrics/"):
            assert ask(proxy, f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())[0] == 404
        statuses = {True: 0, False: 0}
        nodes[0].kill()
        for number in range(200):
            good = client.get("/v2/posts") if number % 2 else client.post("/v2/posts", json={}, headers=ada.headers)
            statuses[good.status_code in (200, 422)] += 1
        assert statuses[False] == 0
        measured("one node of two behind nginx killed", f"{statuses[True]} of 200 requests answered by the other")
        nodes[1].kill()
        for path, form in (("/v1/posts", ["detail"]), ("/v2/posts", ["type", "title", "status", "detail", "instance"])):
            reply = client.get(path)
            assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
            assert list(reply.json())[: len(form)] == form


def limits(proxy: Proxy, client: httpx2.Client) -> None:
    for path, kind in (("/v1/users", "application/json"), ("/v2/users", "application/problem+json")):
        reply = client.post(path, content=b"x" * 2_000_000)
        assert (reply.status_code, reply.headers["content-type"]) == (413, kind)
        assert client.post(path, content=b"x" * 1024 * 1024).status_code == (422 if "v1" in path else 415)
        head = f"POST {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nX-A: ".encode()
        status, headers, _ = ask(proxy, head + b"a" * 100_000 + b"\r\n\r\n")
        assert (status, headers["content-type"]) == (431, kind)
        status, headers, _ = ask(proxy, f"GET {path}?q={'a' * 100_000} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        assert status == 414


def test_what_a_node_is_told(tmp_path: Path) -> None:
    """A node is told the address that nginx saw and nothing that the client made up."""
    with recorders(silent=False) as nodes, Proxy(tmp_path, (nodes[0].port, nodes[1].port)) as proxy:
        forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "Forwarded": "for=6.6.6.6"}
        assert httpx2.get(f"{proxy.url}/v2/posts?q=1", headers={**forged, "X-Request-ID": "mine"}).status_code == 200
        (head,) = nodes[0].heads + nodes[1].heads
    assert "6.6.6.6" not in head
    lines = head.lower().split("\r\n")
    assert lines[0] == "get /v2/posts?q=1 http/1.1"
    assert {"x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-request-id: mine"} <= set(lines)
    assert not [line for line in lines if line.startswith("forwarded:")]


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("PUT", 2), ("POST", 1), ("PATCH", 1)])
def test_a_post_is_sent_once(tmp_path: Path, method: str, times: int) -> None:
    """What a node takes and does not answer goes to the other one only where twice is the same as once."""
    with recorders(silent=True) as nodes, Proxy(tmp_path, (nodes[0].port, nodes[1].port)) as proxy:
        reply = httpx2.request(method, f"{proxy.url}/v2/posts", json={}, timeout=SECONDS)
        assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")
        assert reply.headers["retry-after"] == "1"
    assert len(nodes[0].heads + nodes[1].heads) == times


def test_tls_and_http_2(tmp_path: Path) -> None:
    """With the lines for TLS in force HTTP/2 is offered, and nodes are told that the client came by https."""
    subject = ["-subj", "/CN=localhost", "-days", "2", "-keyout", "privkey.pem", "-out", "fullchain.pem"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(cafile=str(tmp_path / "fullchain.pem"))
    with recorders(silent=False) as nodes, Proxy(tmp_path, (nodes[0].port, nodes[1].port), tls=True) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS) as connection:
            context.set_alpn_protocols(["h2"])
            with context.wrap_socket(connection, server_hostname="localhost") as secured:
                assert secured.selected_alpn_protocol() == "h2"
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS) as connection:
            context.set_alpn_protocols(["http/1.1"])
            with context.wrap_socket(connection, server_hostname="localhost") as secured:
                secured.sendall(b"GET /v2/posts HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
                assert secured.recv(65536).startswith(b"HTTP/1.1 200 ")
        (head,) = nodes[0].heads + nodes[1].heads
    assert "x-forwarded-proto: https" in head.lower()
