"""The application as it is served, asked in its own process: what is counted or profiled is its work, and no client's.

Nothing of it is known here but `create_app` and ASGI. What uvicorn does to a connection is left out.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, redirect_stderr
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple, cast
from urllib.parse import urlencode

import uvloop
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import Message, Scope

from app.main import create_app
from app.settings import Settings
from benchmarks.operations import Exchange
from benchmarks.servers import BCRYPT_ROUNDS, SECRET_KEY

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

POSTS, VOTERS, WARM_UP = 40, 8, 10
_PASSWORD = "correct horse"
_JSON = ("Content-Type", "application/json")
_FORM = ("Content-Type", "application/x-www-form-urlencoded")

# Makes the request that asks for an operation the nth time.
Asking = Callable[[int], Exchange]


class Loop(uvloop.Loop):
    """The event loop that serves. `hops` is how often a thread has handed something back to it.

    Its timers go off a day later: what runs in the background sleeps, and nothing but requests is seen.
    """

    hops = 0

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_later(delay + 86400, callback, *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self.hops += 1
        return super().call_soon_threadsafe(callback, *args, context=context)


def in_loop(work: Callable[[Loop], Coroutine[Any, Any, T]]) -> T:
    """Run what asks, in the loop that serves; gives what it gives. The application's log goes nowhere."""
    with (
        Path(os.devnull).open("w") as nowhere,
        redirect_stderr(nowhere),
        asyncio.Runner(loop_factory=Loop) as runner,
    ):
        return runner.run(work(cast("Loop", runner.get_loop())))


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Served:
    """The application between its start and its end."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def ask(self, exchange: Exchange) -> Reply:
        """Send one request, as uvicorn would: as a task of its own. AssertionError if the status is another."""
        scope, reply, received = _scope(exchange), Reply(), asyncio.Event()

        async def receive() -> Message:
            if received.is_set():
                await asyncio.Event().wait()  # the client stays, and says no more
            received.set()
            return {"type": "http.request", "body": exchange.body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                reply.body += message.get("body", b"")

        await asyncio.create_task(self._app(scope, receive, send), context=Context())
        assert reply.status == exchange.status, (exchange, reply)
        return reply


def _scope(exchange: Exchange) -> Scope:
    path, _, query = exchange.path.partition("?")
    headers = [("Host", "127.0.0.1:8000"), ("User-Agent", "okhttp/4.12.0"), ("Accept", "*/*"), *exchange.headers]
    if exchange.body:
        headers.append(("Content-Length", str(len(exchange.body))))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": exchange.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


@asynccontextmanager
async def serving(database_url: str) -> AsyncIterator[Served]:
    """The application with production's settings over a migrated database."""
    settings = Settings(
        _env_file=None,
        environment="production",
        database_url=database_url,
        secret_key=SecretStr(SECRET_KEY),
        bcrypt_rounds=BCRYPT_ROUNDS,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield Served(app)


async def operations(served: Served) -> Mapping[str, Asking]:
    """Write into the empty database what the operations need, and give those by name. Reads come first."""
    author = await _sign_up(served, "ada@example.com")
    voters = [await _sign_up(served, f"voter{number}@example.com") for number in range(VOTERS)]
    posts = []
    for number in range(POSTS + 1):
        body = _json(title=f"On Engines, part {number}", content="Notes. " * 20, tags=["engines", f"part-{number % 7}"])
        made = await served.ask(Exchange("POST", "/v2/posts", 201, (author, _JSON), body))
        posts.append(made.headers["location"].rpartition("/")[2])
    kept = posts.pop()  # nobody changes this one
    tag = (await served.ask(Exchange("GET", f"/v2/posts/{kept}", 200))).headers["etag"]

    def get(path: str, *headers: tuple[str, str], status: int = 200) -> Asking:
        return lambda n: Exchange("GET", path.format(id=posts[n % POSTS]), status, headers)

    def create(*headers: tuple[str, str], tags: list[str], status: int) -> Asking:
        body = _json(title="On Engines", content="Notes. " * 20, tags=tags)
        return lambda _: Exchange("POST", "/v2/posts", status, (author, _JSON, *headers), body)

    def create_once(n: int) -> Exchange:
        key = ("Idempotency-Key", f"request-{n}")
        return Exchange(
            "POST", "/v2/posts", 201, (author, _JSON, key), _json(title="On Engines", content="Notes. " * 20)
        )

    def patch(n: int) -> Exchange:
        merge = ("Content-Type", "application/merge-patch+json")
        return Exchange("PATCH", f"/v2/posts/{posts[0]}", 200, (author, merge), _json(title=f"On Engines, {n}"))

    def turn(n: int, among: Sequence[tuple[str, str]]) -> tuple[str, bool, tuple[str, str]]:
        """A post, whether to vote it up, and who: first all vote for all, then all change their minds."""
        round_, place = divmod(n, POSTS)
        return posts[place], round_ // len(among) % 2 == 0, among[round_ % len(among)]

    def vote(n: int) -> Exchange:
        post, up, voter = turn(n, voters[::2])
        return Exchange("PUT", f"/v2/posts/{post}/vote", 200, (voter, _JSON), _json(value=1 if up else -1))

    def vote_v1(n: int) -> Exchange:
        post, up, voter = turn(n, voters[1::2])
        return Exchange("POST", "/v1/vote", 201, (voter, _JSON), _json(post_id=int(post), dir=int(up)))

    def log_in(path: str, **fields: str) -> Asking:
        body = urlencode({**fields, "username": "ada@example.com", "password": _PASSWORD}).encode()
        return lambda _: Exchange("POST", path, 200, (_FORM,), body)

    filters = "q=engines&tag=engines&tag=part-1&author_id=1&sort=-score&published=true"
    return {
        "v2_post": get("/v2/posts/{id}"),
        "v2_post_token": get("/v2/posts/{id}", author),
        "v2_not_modified": get(f"/v2/posts/{kept}", ("If-None-Match", tag), status=304),
        "v1_post": get("/v1/posts/{id}", author),
        "v2_list": get("/v2/posts?limit=20"),
        "v2_list_token": get("/v2/posts?limit=20", author),
        "v2_list_filtered": get(f"/v2/posts?{filters}"),
        "v2_search": get("/v2/posts?q=engines&limit=20"),
        "v1_list": get("/v1/posts?limit=20", author),
        "v1_search": get("/v1/posts?search=Engines&limit=20", author),
        "v2_user": get("/v2/users/1"),
        "v1_user": get("/v1/users/1"),
        "v2_account": get("/v2/users/me", author),
        "v2_tags": get("/v2/tags"),
        "v2_not_found": get(f"/v2/posts/{2**62}", status=404),
        "v2_invalid": create(tags=["engines", "Not A Tag"], status=422),
        "v2_create": create(tags=["engines"], status=201),
        "v2_create_once": create_once,
        "v2_patch": patch,
        "v2_vote": vote,
        "v1_vote": vote_v1,
        "v2_login": log_in("/v2/auth/token", grant_type="password"),
        "v1_login": log_in("/v1/login"),
    }


def _json(**members: object) -> bytes:
    return json.dumps(members).encode()


async def _sign_up(served: Served, email: str) -> tuple[str, str]:
    """Make an account and log in: the header that makes a request theirs."""
    body = _json(email=email, password=_PASSWORD, display_name="Ada")
    await served.ask(Exchange("POST", "/v2/users", 201, (_JSON,), body))
    form = urlencode({"grant_type": "password", "username": email, "password": _PASSWORD}).encode()
    reply = await served.ask(Exchange("POST", "/v2/auth/token", 200, (_FORM,), form))
    return ("Authorization", f"Bearer {json.loads(reply.body)['access_token']}")
