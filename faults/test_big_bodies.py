"""Bodies beyond the limit and bodies that are hard to read: refused at once, at the cost of next to no memory."""

import gzip
import json
import socket
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest

from faults.conftest import Measured
from tests.server import LiveServer

LIMIT = 1024 * 1024
GIGABYTE = 1024**3
CHUNK = b"10000\r\n" + b"a" * 65536 + b"\r\n"
MOST_MEGABYTES = 10
MOST_MILLISECONDS = 100
DEPTH = 100_000


def resident(server: LiveServer) -> float:
    """Megabytes of memory that the server's process holds."""
    return float(psutil.Process(server.process.pid).memory_info().rss / 1e6)


def head(path: str, framing: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n{framing}\r\n\r\n".encode()


def upload(server: LiveServer, path: str, framing: str, piece: bytes) -> tuple[bytes, float, int]:
    """Send up to a gigabyte, without waiting for a reply; gives it, the milliseconds that it came after the limit was
    reached, and how many bytes could be sent.
    """
    sent, crossed = 0, time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head(path, framing))
        with suppress(ConnectionResetError, BrokenPipeError):
            while sent < GIGABYTE:
                connection.sendall(piece)
                if sent <= LIMIT:
                    crossed = time.monotonic()
                sent += len(piece)
        reply = connection.recv(65536)
        return reply, (time.monotonic() - crossed) * 1000, sent


@pytest.mark.parametrize(
    "framing", ["Transfer-Encoding: chunked", f"Content-Length: {GIGABYTE}"], ids=["chunked", "length"]
)
@pytest.mark.parametrize("path", ["/v1/users", "/v2/users", "/v2/nothing"])
def test_a_gigabyte(sqlite_url: str, tmp_path: Path, measured: Measured, path: str, framing: str) -> None:
    """A body of 1 GB is 413 within 100 ms of being too large, for at most 10 MB of memory; so is one nobody reads."""
    piece = CHUNK if "chunked" in framing else b"a" * 65536
    with LiveServer(sqlite_url, tmp_path) as server:
        for _ in range(3):
            upload(server, path, framing, piece)
        before, most, slowest = resident(server), 0.0, 0.0
        for _ in range(5):
            reply, milliseconds, sent = upload(server, path, framing, piece)
            if path != "/v2/nothing":
                assert reply.split()[1] == b"413"
                slowest = max(slowest, milliseconds)
            most = max(most, resident(server) - before)
    assert slowest < MOST_MILLISECONDS
    assert most < MOST_MEGABYTES
    told = f"413 after {slowest:.0f} ms" if path != "/v2/nothing" else f"{reply.split()[1].decode()}"
    measured(
        f"1 GB to {path}, {framing.partition(':')[0]}", f"{told}, {sent / 1e6:.0f} MB taken, memory +{most:.1f} MB"
    )


def test_bodies_that_are_hard_to_read(sqlite_url: str, tmp_path: Path, measured: Measured) -> None:
    """Deep, long and dense bodies of up to a megabyte are refused, the deep ones within 100 ms."""
    deep = {
        "100,000 lists": b"[" * DEPTH,
        "100,000 objects": b'{"a":' * DEPTH,
        "100,000 lists, closed": b'{"email": ' + b"[" * DEPTH + b"]" * DEPTH + b"}",
        "a number of 1,000,000 digits": b'{"email": ' + b"9" * 1_000_000 + b"}",
    }
    dense = {
        "80,000 unknown members": json.dumps({f"k{number}": 1 for number in range(80_000)}).encode(),
        "gzip of 100 MB": gzip.compress(b" " * 100_000_000),
    }
    with LiveServer(sqlite_url, tmp_path) as server, httpx2.Client(base_url=server.url, timeout=30) as client:
        for version in ("v1", "v2"):
            for name, body in {**deep, **dense}.items():
                milliseconds = []
                for _ in range(5):
                    headers = {"Content-Type": "application/json"}
                    headers |= {"Content-Encoding": "gzip"} if "gzip" in name else {}
                    started = time.monotonic()
                    reply = client.post(f"/{version}/users", content=body, headers=headers)
                    milliseconds.append((time.monotonic() - started) * 1000)
                    assert reply.status_code in (400, 415, 422)
                    assert len(reply.content) < 20_000
                middle = sorted(milliseconds)[2]
                assert middle < MOST_MILLISECONDS or name not in deep
                measured(f"{name}, {version}", f"{reply.status_code} in {middle:.0f} ms")
