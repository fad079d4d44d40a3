"""More requests at once than there are threads, and what health probes see of it meanwhile."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from typing import NamedTuple


class Flood(NamedTuple):
    statuses: Counter[int]
    without_retry_after: int  # of those answered 503
    slowest: float  # seconds


def flood(port: int, path: str, *, connections: int, rounds: int) -> Flood:
    """Send `rounds` requests over each of `connections` at once. It is meant for a process of its own."""
    return asyncio.run(_flood(port, path, connections, rounds))


async def _flood(port: int, path: str, connections: int, rounds: int) -> Flood:
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    without_retry_after = 0

    async def ask() -> None:
        nonlocal without_retry_after
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(rounds):
            asked = time.monotonic()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines if line)
            await reader.readexactly(int(headers["content-length"]))
            seconds.append(time.monotonic() - asked)
            statuses[status := int(start.split()[1])] += 1
            without_retry_after += status == 503 and "retry-after" not in headers
        writer.close()

    await asyncio.gather(*(ask() for _ in range(connections)))
    return Flood(statuses, without_retry_after, max(seconds))


def probe(port: int, path: str, *, until: Callable[[], bool]) -> list[float]:
    """Ask every 10 ms over a connection of its own; gives how long each reply took, in seconds."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    seconds: list[float] = []
    while not until():
        asked = time.monotonic()
        connection.request("GET", path)
        reply = connection.getresponse()
        reply.read()
        seconds.append(time.monotonic() - asked)
        assert reply.status == 200
        time.sleep(0.01)
    connection.close()
    return seconds
