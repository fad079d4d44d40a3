"""What the version kernel adds to a request: `python -m benchmarks.kernel_cost` (`make kernel-cost`).

The outermost ring of middleware, as the application has it, around one that does nothing: request ids, security
and lifecycle headers, the links to the successor, the usage ledger and the metrics; without the log line.
"""

import asyncio
import time
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any

import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.main import create_app
from app.settings import Settings

ROUNDS, REQUESTS = 15, 300
_HEADERS = [(b"host", b"localhost"), (b"user-agent", b"bench/1.0"), (b"accept", b"*/*")]
_REPLY = [(b"content-length", b"2"), (b"content-type", b"application/json"), (b"etag", b'"1.1"')]


def main() -> None:
    with TemporaryDirectory() as folder:
        app = create_app(Settings(database_url=f"sqlite:///{folder}/none.db", secret_key="k" * 32, log_level="WARNING"))
        uvloop.run(_tell(app))


async def _tell(app: FastAPI) -> None:
    ring = app.user_middleware[0]  # the outermost, RequestContext
    kernel: ASGIApp = ring.cls(_nothing, *ring.args, **ring.kwargs)
    for path in ("/v2/posts/1", "/v1/posts/1"):
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": _HEADERS, "app": app}
        added = await _microseconds(kernel, scope) - await _microseconds(_nothing, scope)
        print(f"GET {path}: {added:.1f} µs")


async def _nothing(scope: Scope, _receive: Receive, send: Send) -> None:
    scope["state"]["route"] = scope["path"].removesuffix("1") + "{post_id}"
    await send({"type": "http.response.start", "status": 200, "headers": list(_REPLY)})
    await send({"type": "http.response.body", "body": b"{}"})


async def _microseconds(app: ASGIApp, scope: Mapping[str, Any]) -> float:
    """The processor time of a request, the least of some rounds: what else is done on the machine only adds to it."""
    least = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time()
        for _ in range(REQUESTS):
            await app({**scope, "state": {}}, _receive, _send)
        least = min(least, (time.thread_time() - started) / REQUESTS * 1e6)
        await asyncio.sleep(0)
    return least


async def _receive() -> Message:
    raise AssertionError


async def _send(_: Message) -> None:
    pass


if __name__ == "__main__":
    main()
