"""Shorthand over the API itself for what most tests do first."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from threading import Barrier
from typing import Any

from httpx2 import Client

PASSWORD = "correct horse"
_numbers = count(1)


@dataclass(frozen=True)
class Person:
    """An account and the headers that make a request theirs."""

    id: int
    email: str
    headers: dict[str, str]


class Steps:
    """Each step asserts its own success and gives what the API said."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def person(self, email: str | None = None, **fields: Any) -> Person:
        """Sign up and log in, through version 2."""
        email = email or f"person{next(_numbers)}@example.com"
        made = self.client.post("/v2/users", json={"email": email, "password": PASSWORD, **fields})
        assert made.status_code == 201, made.text
        return Person(made.json()["id"], email, self.log_in(email))

    def log_in(self, email: str, password: str = PASSWORD) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens(email, password)['access_token']}"}

    def tokens(self, email: str, password: str = PASSWORD) -> dict[str, Any]:
        form = {"grant_type": "password", "username": email, "password": password}
        reply = self.client.post("/v2/auth/token", data=form)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def post(self, author: Person, title: str = "a title", **fields: Any) -> dict[str, Any]:
        body = {"title": title, "content": "some content", **fields}
        reply = self.client.post("/v2/posts", json=body, headers=author.headers)
        assert reply.status_code == 201, reply.text
        return dict(reply.json())

    def vote(self, voter: Person, post_id: int, value: int) -> None:
        reply = self.client.put(f"/v2/posts/{post_id}/vote", json={"value": value}, headers=voter.headers)
        assert reply.status_code == 200, reply.text


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """Run the jobs at the same moment, each in its thread; their results in order."""
    gate = Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        gate.wait(30)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))
