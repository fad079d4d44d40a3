"""Clients that are slow on purpose: they are let go in time, and meanwhile nobody else notices them."""

import random
import socket
import statistics
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil

from faults.conftest import Measured
from tests.server import LiveServer
from tests.steps import Steps

OF_EACH_KIND = 50
LONGEST = 30  # seconds until the last is closed
LONG_REPLY = 100 * 50_000  # characters: more than the buffers between two processes hold
HEADERS = b"Host: here\r\nContent-Type: application/json\r\n"
KINDS = {  # what is sent at once, before the slow part
    "slow headers": b"POST /v2/users HTTP/1.1\r\n" + HEADERS + b"X-Slow: ",
    "slow body": b"POST /v2/users HTTP/1.1\r\n" + HEADERS + b"Content-Length: 100000\r\n\r\n",
    "slow reading": b"GET /v2/posts?limit=100 HTTP/1.1\r\n" + HEADERS + b"\r\n",
    "idle": b"",
}


def test_200_slow_sockets(sqlite_url: str, tmp_path: Path, measured: Measured) -> None:
    """50 each with slow headers, a slow body, slow reading and silence: all closed within 30 s, others are served."""
    with LiveServer(sqlite_url, tmp_path) as server, httpx2.Client(base_url=server.url, timeout=LONGEST) as client:
        steps = Steps(client)
        ada = steps.person()
        for _ in range(100):
            steps.post(ada, content="x" * (LONG_REPLY // 100))
        quiet = durations(client, seconds=3)
        sockets = {connect(server.port, sent): kind for kind, sent in KINDS.items() for _ in range(OF_EACH_KIND)}
        closed: dict[socket.socket, float] = {}
        done = threading.Event()
        dripping = threading.Thread(target=drip, args=(sockets, done))
        started = time.monotonic()
        dripping.start()
        busy = []
        while len(closed) < len(sockets) and time.monotonic() - started < LONGEST + 5:
            busy += durations(client, seconds=0.5)
            held = {one.raddr.port for one in psutil.Process(server.process.pid).net_connections("tcp") if one.raddr}
            for connection in sockets:
                if connection.getsockname()[1] in held:  # perhaps not at once: the server accepts when it comes to it
                    closed.pop(connection, None)
                else:
                    closed.setdefault(connection, time.monotonic() - started)
        done.set()
        dripping.join()
        for connection in sockets:
            connection.close()
        assert client.get("/readyz").status_code == 200
    assert "Traceback" not in server.log.read_text()
    assert Counter(sockets[connection] for connection in closed) == dict.fromkeys(KINDS, OF_EACH_KIND)
    assert max(closed.values()) < LONGEST
    for kind in KINDS:
        last = max(seconds for connection, seconds in closed.items() if sockets[connection] == kind)
        measured(f"{OF_EACH_KIND} sockets, {kind}", f"the last closed after {last:.1f} s")
    before, during = (1000 * statistics.quantiles(found, n=100)[98] for found in (quiet, busy))
    measured(
        f"ordinary requests beside {len(sockets)} slow sockets",
        f"{len(busy)} of {len(busy)} are 200, p99 {during:.0f} ms; {before:.0f} ms without them",
    )


def connect(port: int, sent: bytes) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    connection.sendall(sent)
    connection.setblocking(False)
    return connection


def durations(client: httpx2.Client, seconds: float) -> list[float]:
    """How long ordinary requests took, one after the other, each of which must be 200."""
    found = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.monotonic()
        assert client.get(f"/v2/posts/{random.randint(1, 100)}").status_code == 200
        found.append(time.monotonic() - started)
        time.sleep(0.005)
    return found


def drip(sockets: dict[socket.socket, str], done: threading.Event) -> None:
    """Send, or read, one byte a second on each, as long as it is open."""
    while not done.wait(1):
        for connection, kind in sockets.items():
            with suppress(OSError):  # it was closed, or nothing can be sent just now
                if kind in ("slow headers", "slow body"):
                    connection.send(b"x")
                elif kind == "slow reading":
                    connection.recv(1)
