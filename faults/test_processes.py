"""Servers that are stopped, replaced and killed while they are asked."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection

import httpx2
import pytest

from faults.callers import load, people, titles_in
from faults.conftest import Measured
from faults.postgres import PostgresServer
from tests.server import LiveServer

ROUNDS = 2


@pytest.mark.parametrize("fresh_connections", [False, True], ids=["kept connections", "a connection a request"])
def test_a_rolling_restart_fails_nobody(
    postgres: PostgresServer, tmp_path: Path, measured: Measured, fresh_connections: bool
) -> None:
    """Two nodes of two workers, stopped and started in turn at 100 requests/s: each request is answered, and no 5xx."""
    with ExitStack() as stack:
        nodes = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            nodes.append(stack.enter_context(LiveServer(postgres.url, tmp_path / name, WORKERS="2")))
        emails = people(nodes[0].url, 16)
        with load(
            [node.port for node in nodes], emails=emails, rate=100, fresh_connections=fresh_connections
        ) as account:
            time.sleep(1)
            for node in nodes * ROUNDS:
                assert node.stop() in (0, -signal.SIGTERM)
                node.start()
            time.sleep(1)
    rows = titles_in(postgres.url)
    kind = "fresh" if fresh_connections else "kept"
    measured(
        f"rolling restart, {2 * ROUNDS} stops, {kind} connections",
        f"{len(account.answered)} requests, {account.errors} 5xx, {len(account.failures)} unanswered,"
        f" longest {account.longest():.2f} s",
    )
    assert not account.failures
    assert not account.errors
    assert all(rows[title] == 1 for title in account.titles)


def test_a_stop_answers_what_is_on_its_way(sqlite_url: str, tmp_path: Path) -> None:
    """After SIGTERM a request on a connection that was idle, or had not asked yet, is answered, and is the last there;
    new connections are refused, and the process ends.
    """
    for workers in ("1", "2"):
        with LiveServer(sqlite_url, tmp_path, WORKERS=workers) as server:
            kept, fresh = (HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(2))
            kept.request("GET", "/v2/posts")
            assert kept.getresponse().read()
            fresh.connect()
            server.process.terminate()
            began = time.monotonic()
            while not refuses(server.port):
                assert time.monotonic() - began < 5
                time.sleep(0.01)
            for connection in (kept, fresh):
                connection.request("GET", "/v2/posts")
                reply = connection.getresponse()
                assert reply.status == 200, workers
                assert reply.headers["Connection"] == "close"
                assert reply.read()
                assert connection.sock is None
            server.process.wait(timeout=5)


def refuses(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_killed_worker_is_replaced(postgres: PostgresServer, tmp_path: Path, measured: Measured) -> None:
    """`kill -9` of one of two workers, five times at 50 requests/s: two serve again within 2 s, only what it was just
    answering is lost, what was acknowledged is there, and the metrics go on from where they were.
    """
    with LiveServer(postgres.url, tmp_path, WORKERS="2") as server:
        emails = people(server.url, 16)
        times = []
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import app.main"], check=True)
        start = time.monotonic() - began
        with load([server.port], emails=emails, rate=50) as account:
            time.sleep(1)
            for _ in range(5):
                counted, starts = requests_counted(server.url), server.starts()
                os.kill(min(server.workers()), signal.SIGKILL)
                began = time.monotonic()
                while server.starts() == starts:
                    assert time.monotonic() - began < 30
                    time.sleep(0.01)
                times.append(time.monotonic() - began)
                for connection in server.connection_to_each_worker(2):
                    connection.close()
                assert requests_counted(server.url) >= counted
    rows = titles_in(postgres.url)
    measured(
        "kill -9 of one worker of two, five times",
        f"two serve again after {max(times):.1f} s at most; {len(account.answered)} requests, {account.errors} 5xx,"
        f" {len(account.failures)} lost with the worker",
    )
    assert max(times) <= max(2, 2 * start)  # where others keep the machine busy, a start alone takes longer
    assert not account.errors
    assert len(account.failures) <= 5 * len(emails) / 2
    assert all(rows[title] == 1 for title in account.titles)


def requests_counted(url: str) -> float:
    lines = httpx2.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("http_requests_total"))


def test_workers_end_with_their_supervisor(sqlite_url: str, tmp_path: Path, measured: Measured) -> None:
    """After kill -9 of the supervisor alone its workers stop, too, and leave the port to the next."""
    with LiveServer(sqlite_url, tmp_path, WORKERS="2") as server:
        os.kill(server.process.pid, signal.SIGKILL)
        began = time.monotonic()
        while not refuses(server.port):
            assert time.monotonic() - began < 10
            time.sleep(0.05)
        measured("kill -9 of the supervisor: its workers gone", f"{time.monotonic() - began:.1f} s")
