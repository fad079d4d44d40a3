"""Guessing passwords in parallel, over several workers."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import httpx2
import pytest

from faults.conftest import Measured
from tests.server import LiveServer
from tests.steps import Steps

ALLOWED, GUESSES, WORKERS, LOCK = 10, 200, 4, 12
FORM = "grant_type=password&username={}&password=wrong"


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path: Path):
    """Four workers with the default number of failures, and password hashes that take a while."""
    kind = request.param
    url = request.getfixturevalue("postgres").url if kind == "postgresql" else request.getfixturevalue("sqlite_url")
    limits = {"LOGIN_FAILURES_ALLOWED": str(ALLOWED), "LOGIN_LOCK_SECONDS": str(LOCK), "BCRYPT_ROUNDS": "8"}
    with LiveServer(url, tmp_path, WORKERS=str(WORKERS), **limits) as server:
        yield server


def guess(connection: HTTPConnection, email: str) -> tuple[int, int]:
    """The status, and Retry-After or 0."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/v2/auth/token", FORM.format(email), headers)
    reply = connection.getresponse()
    reply.read()
    return reply.status, int(reply.headers.get("Retry-After", 0))


def test_of_parallel_guesses_as_many_are_evaluated_as_allowed(server: LiveServer, measured: Measured) -> None:
    """200 at once over four workers, of somebody known and of nobody: exactly ten are evaluated. Unlocked on time."""
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        ada = Steps(client).person()
    for email in (ada.email, "nobody@example.com"):
        together = threading.Barrier(GUESSES // 4)

        def several(_: int, email: str = email, together: threading.Barrier = together) -> list[tuple[int, int]]:
            with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
                together.wait()
                return [guess(connection, email) for _ in range(4)]

        with ThreadPoolExecutor(GUESSES // 4) as threads:
            found = [answer for answers in threads.map(several, range(GUESSES // 4)) for answer in answers]
        counts = Counter(status for status, _ in found)
        assert counts == {400: ALLOWED, 429: GUESSES - ALLOWED}
        measured(f"{server.database}: of {GUESSES} guesses over {WORKERS} workers evaluated", str(counts[400]))
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        status, wait = guess(connection, "nobody@example.com")
        asked = time.monotonic()
        assert status == 429
        while (answer := guess(connection, "nobody@example.com"))[0] == 429:
            time.sleep(0.02)
    assert answer[0] == 400
    late = time.monotonic() - asked - wait
    measured(f"{server.database}: unlocked, against Retry-After: {wait}", f"{late:+.2f} s")
    assert abs(late) <= 1


def test_a_lock_is_seen_by_every_worker(server: LiveServer, measured: Measured) -> None:
    """What one worker locked the others refuse at once."""
    with ExitStack() as stack:
        first, *others = map(stack.enter_context, map(closing, server.connection_to_each_worker(WORKERS)))
        for _ in range(ALLOWED):
            assert guess(first, "locked@example.com")[0] == 400
        locked = time.monotonic()
        assert [guess(other, "locked@example.com")[0] for other in others] == [429] * (WORKERS - 1)
        seen = time.monotonic() - locked
    measured(f"{server.database}: a lock is seen by {WORKERS} workers after", f"{seen:.2f} s")
    assert seen <= 1
