"""The load: requests that were made beforehand, over connections that stay open, from one thread of this process.

`closed_loop` sends the next request of a connection when the last is answered, and tells how many a server can answer.
`open_loop` sends at a constant rate, whatever the server does, as independent people would: a server that stalls is
sent requests all the same, and each latency counts from the moment it should have been sent. A closed loop would wait
with the server and never see the stall.
"""

import re
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

CONNECTIONS = 16
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_TIMEOUT_SECONDS = 60


class LoadError(Exception):
    """A server did not answer as it should; the message shows its reply."""


@dataclass(frozen=True)
class Closed:
    """What a closed loop got answered."""

    requests: int
    seconds: float


class _Connection:
    """A connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.due = 0.0  # when the request should have been sent

    def read(self) -> bytes | None:
        """The reply, once all of it is here."""
        data = self.socket.recv(262_144)
        if not data:
            raise LoadError(f"the server closed a connection after {self.received!r}")
        if self.received:
            data = self.received + data
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            found = _LENGTH.search(data, 0, end)
            if found is None:
                raise LoadError(f"a reply without Content-Length: {data[:500]!r}")
            if len(data) >= end + 4 + int(found[1]):
                self.received = b""
                return data
        self.received = data
        return None


def closed_loop(
    port: int, requests: Iterator[bytes], status: int, seconds: float, connections: int = CONNECTIONS
) -> Closed:
    """Keep every connection busy for so long, then take the last replies. LoadError for a reply of another status.

    All that the server did is counted: its time, too, ends with the last reply.
    """
    expected = b"HTTP/1.1 %d" % status
    answered = done = 0
    poll = select.epoll()
    opened = {}
    try:
        for _ in range(connections):
            connection = _Connection(port)
            opened[connection.socket.fileno()] = connection
            poll.register(connection.socket, select.EPOLLIN)
        started = time.perf_counter()
        until = started + seconds
        for connection in opened.values():
            connection.socket.send(next(requests))
        while done < connections:
            events = poll.poll(_TIMEOUT_SECONDS)
            if not events:
                raise LoadError(f"no reply for {_TIMEOUT_SECONDS} s")
            for descriptor, _ in events:
                connection = opened[descriptor]
                reply = connection.read()
                if reply is not None:
                    if not reply.startswith(expected):
                        raise LoadError(f"{status} was expected: {reply[:1000]!r}")
                    answered += 1
                    if time.perf_counter() < until:
                        connection.socket.send(next(requests))
                    else:
                        done += 1
        return Closed(answered, time.perf_counter() - started)
    finally:
        for connection in opened.values():
            connection.socket.close()
        poll.close()


def one_after_the_other(port: int, requests: Iterator[bytes], status: int, count: int) -> list[float]:
    """How long each of so many replies takes, in seconds, when nothing else is asked."""
    expected = b"HTTP/1.1 %d" % status
    connection = _Connection(port)
    seconds = []
    try:
        for _ in range(count):
            started = time.perf_counter()
            connection.socket.send(next(requests))
            while (reply := connection.read()) is None:
                pass
            seconds.append(time.perf_counter() - started)
            if not reply.startswith(expected):
                raise LoadError(f"{status} was expected: {reply[:1000]!r}")
        return seconds
    finally:
        connection.socket.close()


def _finish(connections: list[_Connection]) -> None:
    """Take the last replies, so that no work of this run falls into the next one."""
    for connection in connections:
        try:
            connection.socket.settimeout(5)
            while connection.read() is None:
                pass
        except (OSError, LoadError):
            pass
        connection.socket.close()


@dataclass
class Open:
    """The latencies of an open loop, in seconds, in the order of the replies; `unanswered` came too late to be seen.

    `delays` are how long each request had to wait for this program, or for a free connection: part of its latency, and
    the load's own fault where the server had free connections.
    """

    latencies: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    unanswered: int = 0


def open_loop(
    port: int, requests: Iterator[bytes], status: int, *, rate: float, seconds: float, connections: int = 64
) -> Open:
    """Send `rate` requests a second for so long, and wait as long again for the last replies.

    A connection is opened when all are busy, up to so many; beyond that requests wait for one, and are late.
    """
    expected = b"HTTP/1.1 %d" % status
    idle: list[_Connection] = []
    busy: dict[socket.socket, _Connection] = {}
    waiting: deque[float] = deque()  # when requests were due that found no free connection
    result = Open()
    total = int(rate * seconds)
    arrived = 0
    started = time.perf_counter() + 0.01
    give_up = started + 2 * seconds
    try:
        while len(result.latencies) < total:
            now = time.perf_counter()
            if now > give_up:
                break
            while arrived < total and started + arrived / rate <= now:
                waiting.append(started + arrived / rate)
                arrived += 1
            while waiting and (idle or len(busy) < connections):
                connection = idle.pop() if idle else _Connection(port)
                connection.due = waiting.popleft()
                connection.socket.send(next(requests))
                result.delays.append(time.perf_counter() - connection.due)
                busy[connection.socket] = connection
            next_arrival = started + arrived / rate if arrived < total else give_up
            # select and not epoll, which counts its time-out in whole milliseconds
            readable, _, _ = select.select(list(busy), [], [], max(next_arrival - time.perf_counter(), 0))
            for ready in readable:
                connection = busy[ready]
                reply = connection.read()
                if reply is None:
                    continue
                result.latencies.append(time.perf_counter() - connection.due)
                if not reply.startswith(expected):
                    raise LoadError(f"{status} was expected: {reply[:1000]!r}")
                idle.append(busy.pop(ready))
        result.unanswered = total - len(result.latencies)
        return result
    finally:
        for connection in idle:
            connection.socket.close()
        _finish(list(busy.values()))
