"""Load from outside, which remembers what it was told."""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import NamedTuple, Self

import httpx2

from tests.server import LiveServer
from tests.steps import Steps

PAUSE_SECONDS = 0.01  # of each connection between two requests
NO_REPLY = 0


class Answer(NamedTuple):
    """A request and what became of it."""

    asked: float  # time.monotonic()
    seconds: float
    status: int  # NO_REPLY when the connection broke
    retry_after: str | None


class Load:
    """Reads and writes posts over `connections` kept-alive connections while the `with` block lasts.

    `answers` are all that came; `acknowledged` the titles of the posts that were answered 201.
    """

    def __init__(self, servers: Sequence[LiveServer], connections: int = 24) -> None:
        with httpx2.Client(base_url=servers[0].url) as client:
            self._headers = Steps(client).person(f"load{time.monotonic_ns()}@example.com").headers
        self._name = f"load {time.monotonic_ns()}"
        self.answers: list[Answer] = []
        self.acknowledged: set[str] = set()
        self._numbers = itertools.count()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(servers[number % len(servers)].port,))
            for number in range(connections)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    def seconds_until_served(self, since: float) -> float:
        """How long after a moment, in time.monotonic(), the first reply came that was none of failure."""
        return min(a.asked + a.seconds - since for a in self.answers if a.asked + a.seconds > since and a.status < 300)

    def wait_for(self, answers: int) -> None:
        """Return once so many more have come."""
        wanted = len(self.answers) + answers
        while len(self.answers) < wanted:
            time.sleep(0.01)

    def _ask(self, port: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {**self._headers, "Content-Type": "application/json"}
        while not self._stopped.is_set():
            number = next(self._numbers)
            title, asked = f"{self._name}, {number}", time.monotonic()
            try:
                if number % 2:
                    connection.request("POST", "/v2/posts", json.dumps({"title": title, "content": "c"}), headers)
                else:
                    connection.request("GET", "/v2/posts?limit=5")
                reply = connection.getresponse()
                reply.read()
                answer = Answer(asked, time.monotonic() - asked, reply.status, reply.getheader("Retry-After"))
            except (OSError, HTTPException):
                connection.close()
                answer = Answer(asked, time.monotonic() - asked, NO_REPLY, None)
            self.answers.append(answer)
            if answer.status == 201:
                self.acknowledged.add(title)
            time.sleep(PAUSE_SECONDS)
        connection.close()
