"""Requests that go on while something is broken, and an account of what became of each."""

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from urllib.parse import urlencode

import httpx2
import sqlalchemy as sa

from app.db import Database
from app.settings import Settings
from tests.steps import PASSWORD, Steps

SECONDS = 20  # to wait for a reply


class Caller:
    """A client with one kept connection, as a balancer makes them: a node that refuses connections is passed over.

    A connection that was used before may have been closed by the server meanwhile; the request is then sent once more
    on a fresh one, as RFC 9112, section 9.3.1 has it. A fresh one that breaks is a failure: OSError or HTTPException.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = cycle(ports)
        self._nodes = len(ports)
        self._connection: HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Gives status and body."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._connection is not None:
            try:
                return self._exchange(self._connection, method, path, body, headers)
            except TimeoutError:
                raise
            except (OSError, HTTPException):
                self.close()
        self._connection = self._connect()
        try:
            return self._exchange(self._connection, method, path, body, headers)
        except (OSError, HTTPException):
            self.close()
            raise

    def log_in(self, email: str) -> str:
        """Gives the Authorization header."""
        form = urlencode({"grant_type": "password", "username": email, "password": PASSWORD}).encode()
        status, body = self.ask("POST", "/v2/auth/token", form, Content_Type="application/x-www-form-urlencoded")
        assert status == 200, body
        return f"Bearer {json.loads(body)['access_token']}"

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> HTTPConnection:
        for attempt in range(self._nodes):
            connection = HTTPConnection("127.0.0.1", next(self._ports), timeout=SECONDS)
            try:
                connection.connect()
            except ConnectionRefusedError:
                if attempt == self._nodes - 1:
                    raise
            else:
                return connection
        raise AssertionError

    def _exchange(
        self, connection: HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        content = reply.read()
        if reply.will_close:
            self.close()
        return reply.status, content


@dataclass
class Account:
    """What became of the requests of a load."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)  # sent and not answered
    titles: list[str] = field(default_factory=list)  # of the posts that were acknowledged
    answered: list[tuple[float, float]] = field(default_factory=list)  # when, time.monotonic(), and after how long, s

    @property
    def errors(self) -> int:
        """How many replies were 5xx."""
        return sum(count for status, count in self.statuses.items() if status >= 500)

    def longest(self, since: float = 0) -> float:
        """The longest time that a reply after the moment `since` took, s."""
        return max(took for at, took in self.answered if at >= since)


Ask = Callable[[Caller, str, str], int]  # with whose Authorization and a new title; gives the status


def _write_v1(caller: Caller, token: str, title: str) -> int:
    return caller.ask("POST", "/v1/posts", _post(title), Authorization=token, Content_Type="application/json")[0]


def _write_v2(caller: Caller, token: str, title: str) -> int:
    headers = {"Authorization": token, "Content_Type": "application/json", "Idempotency_Key": title}
    return caller.ask("POST", "/v2/posts", _post(title), **headers)[0]


def _list_v1(caller: Caller, token: str, _title: str) -> int:
    return caller.ask("GET", "/v1/posts?limit=5", Authorization=token)[0]


def _list_v2(caller: Caller, _token: str, _title: str) -> int:
    return caller.ask("GET", "/v2/posts?limit=5")[0]


def _post(title: str) -> bytes:
    return json.dumps({"title": title, "content": "some content"}).encode()


READ_AND_WRITE: Sequence[Ask] = (_write_v1, _list_v1, _list_v2, _write_v2, _list_v1, _list_v2)


@contextmanager
def load(
    ports: Sequence[int],
    *,
    emails: Sequence[str],
    rate: float,
    mix: Sequence[Ask] = READ_AND_WRITE,
    fresh_connections: bool = False,
) -> Iterator[Account]:
    """Ask the nodes on these ports while the block runs: about `rate` requests a second, of as many callers as there
    are `emails` of accounts, who go through the `mix`. `fresh_connections`: each request on one of its own.
    """
    account, stop, lock = Account(), threading.Event(), threading.Lock()

    def call(email: str) -> None:
        caller = Caller(ports)
        token = caller.log_in(email)
        due = time.monotonic()
        for ask in cycle(mix):
            due += len(emails) / rate
            if stop.wait(max(0, due - time.monotonic())):
                break
            _note(ask, caller, token, account, lock)
            if fresh_connections:
                caller.close()
        caller.close()

    threads = [threading.Thread(target=call, args=(email,)) for email in emails]
    for thread in threads:
        thread.start()
    try:
        yield account
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _note(ask: Ask, caller: Caller, token: str, account: Account, lock: threading.Lock) -> None:
    title = uuid.uuid4().hex
    began = time.monotonic()
    try:
        status = ask(caller, token, title)
    except (OSError, HTTPException) as error:
        with lock:
            account.failures.append(repr(error))
        return
    ended = time.monotonic()
    with lock:
        account.statuses[status] += 1
        account.answered.append((ended, ended - began))
        if status == 201:
            account.titles.append(title)


def people(url: str, count: int) -> list[str]:
    """The e-mails of new accounts."""
    with httpx2.Client(base_url=url) as client:
        return [Steps(client).person().email for _ in range(count)]


def titles_in(url: str) -> Counter[str]:
    """The titles of the posts in a database, and how often each is there."""
    database = Database(Settings(database_url=url).database_url)
    with database.read() as connection:
        found = Counter(connection.execute(sa.text("SELECT title FROM posts")).scalars())
    database.close()
    return found
