"""Redis, in which workers count requests together: killed, frozen and brought back under load."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import httpx2
import pytest
from redis import Redis

from faults.conftest import Measured
from tests.redis_server import RedisServer
from tests.server import LiveServer

QUOTA = 40
OF_ALL = "/v2/posts"


class Answer(NamedTuple):
    at: float
    status: int
    seconds: float


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@contextmanager
def asking(server: LiveServer, path: str = OF_ALL) -> Iterator[list[Answer]]:
    """Four clients that ask one thing after the other; the list grows while the block runs."""
    answers: list[Answer] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx2.Client(base_url=server.url, timeout=20) as client:
            while not stop.is_set():
                began = time.monotonic()
                status = client.get(path).status_code
                answers.append(Answer(began, status, time.monotonic() - began))
                stop.wait(0.005)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def shared(server: LiveServer) -> bool:
    """Whether the workers say that they count together."""
    (line,) = [it for it in httpx2.get(f"{server.url}/metrics").text.splitlines() if it.startswith("rate_limits_sh")]
    return line.endswith(" 1.0")


def used_by_each(server: LiveServer) -> list[int]:
    """What is left of the quota, as each of two workers tells it in turn."""
    left = []
    for connection in server.connection_to_each_worker(2):
        connection.request("GET", OF_ALL)
        reply = connection.getresponse()
        reply.read()
        left.append(int(reply.headers["RateLimit"].partition(";r=")[2].partition(";")[0]))
        connection.close()
    return left


def test_workers_count_together(redis: RedisServer, sqlite_url: str, tmp_path: Path) -> None:
    """Of twice the quota, sent by many connections to four workers, exactly the quota is let through.

    Each worker asks Redis over one connection: to open one for each request would take longer than it is waited for.
    """
    limits = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_ADDRESS": f"{QUOTA}/hour", "REDIS_URL": redis.url}
    with LiveServer(sqlite_url, tmp_path, WORKERS="4", **limits) as server:
        found: list[int] = []

        def ask() -> None:
            with httpx2.Client(base_url=server.url) as client:
                found.extend(client.get(OF_ALL).status_code for _ in range(2))

        threads = [threading.Thread(target=ask) for _ in range(QUOTA)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with Redis.from_url(redis.url) as own:
            connected = own.info("clients")["connected_clients"] - 1
    assert connected == 4
    assert (found.count(200), found.count(429)) == (QUOTA, QUOTA)


@pytest.mark.parametrize("way", ["killed", "frozen"])
def test_without_redis_each_worker_counts_for_itself(
    redis: RedisServer, sqlite_url: str, tmp_path: Path, measured: Measured, way: str
) -> None:
    """No reply is an error or late while Redis is away; once it is back the workers count together again, in 2 s."""
    breaking, mending = {"killed": (redis.kill, redis.start), "frozen": (redis.freeze, redis.thaw)}[way]
    limits = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_ADDRESS": "1000000/hour", "REDIS_URL": redis.url}
    with LiveServer(sqlite_url, tmp_path, WORKERS="2", **limits) as server:
        one, other = used_by_each(server)
        assert one - other == 1  # the second worker counts on from the first
        with asking(server) as answers:
            time.sleep(1)
            assert shared(server)
            breaking()
            broken = time.monotonic()
            time.sleep(4)
            assert not shared(server)
            mending()
            mended = time.monotonic()
            while not shared(server):
                assert time.monotonic() - mended < 10
                time.sleep(0.01)
            back = time.monotonic() - mended
        log = server.log.read_text()
    while_away = [answer for answer in answers if broken < answer.at < mended]
    assert {answer.status for answer in answers} == {200}
    slowest = max(answer.seconds for answer in while_away)
    p99 = quantiles((answer.seconds for answer in while_away), n=100)[98]
    measured(f"Redis {way}: {len(answers)} replies, of which errors", "0")
    measured(f"Redis {way}: slowest reply and p99 while away", f"{slowest * 1000:.0f} ms, {p99 * 1000:.0f} ms")
    measured(f"Redis {way}: workers count together again after it is back", f"{back:.2f} s")
    assert slowest < 1
    assert back <= 2
    assert log.count("Redis does not answer") == 2  # once a worker, and not once a request
    assert log.count("Redis answers again") == 2


def test_limits_hold_while_redis_is_away(redis: RedisServer, sqlite_url: str, tmp_path: Path) -> None:
    """Each worker refuses what is beyond the quota by its own count; a start without Redis is no failure."""
    redis.kill()
    limits = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_ADDRESS": f"{QUOTA}/hour", "REDIS_URL": redis.url}
    with LiveServer(sqlite_url, tmp_path, WORKERS="2", **limits) as server:
        for connection in server.connection_to_each_worker(2):
            found = []
            for _ in range(QUOTA + 5):
                connection.request("GET", OF_ALL)
                reply = connection.getresponse()
                reply.read()
                found.append(reply.status)
            connection.close()
            assert found == [200] * QUOTA + [429] * 5
