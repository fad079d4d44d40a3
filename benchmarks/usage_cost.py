"""What the usage ledger and the metrics add to a request: `python -m benchmarks.usage_cost`.

One process, at the ASGI level, reading a post by id from SQLite. Each round runs the same requests with nobody
observing, with the ledger, with the metrics, and with both, in turns, so that each round compares neighbours in time;
what is told is the median over the rounds. Times are the process's own (CPU): other work on the machine does not count.
"""

import asyncio
import statistics
import tempfile
import time
from typing import Any

from starlette.types import Message

from app.db import migrations
from app.domain import posts, users
from app.main import create_app
from app.settings import Settings
from app.versioning.middleware import RequestContext

ROUNDS, REQUESTS, WARM_UP = 400, 20, 20
_SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/v2/posts/1",
    "raw_path": b"/v2/posts/1",
    "root_path": "",
    "query_string": b"",
    "headers": [(b"host", b"localhost"), (b"user-agent", b"okhttp/4.12.0"), (b"accept", b"*/*")],
    "client": ("127.0.0.1", 40000),
    "server": ("127.0.0.1", 8000),
}


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    assert message.get("status", 200) == 200


async def _seconds_a_request(app: Any) -> float:
    started = time.process_time()
    for _ in range(REQUESTS):
        await app({**_SCOPE, "state": {}}, _receive, _send)
    return (time.process_time() - started) / REQUESTS


async def _measure(app: Any) -> None:
    async with app.router.lifespan_context(app):
        await app({**_SCOPE, "state": {}}, _receive, _send)
        context = app.middleware_stack
        while not isinstance(context, RequestContext):
            context = context.app
        ledger, metrics = context.observers
        ways = {"neither": (), "ledger": (ledger,), "metrics": (metrics,), "both": (ledger, metrics)}
        names = list(ways)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for round_ in range(WARM_UP + ROUNDS):
            for name in names:
                context.observers = ways[name]
                seconds = await _seconds_a_request(app)
                if round_ >= WARM_UP:
                    times[name].append(seconds)
            names = [*names[1:], names[0]]  # each goes first as often
        base = statistics.median(times["neither"])
        print(f"{ROUNDS} rounds of {REQUESTS} requests; without either {base * 1e6:.0f} µs a request")
        for name in ("ledger", "metrics", "both"):
            added = statistics.median(one - other for one, other in zip(times[name], times["neither"], strict=True))
            ratio = statistics.median(one / other for one, other in zip(times[name], times["neither"], strict=True))
            print(f"{name:8} {added * 1e6:+6.2f} µs   {ratio - 1:+.2%}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        url = f"sqlite:///{folder}/tandem.db"
        settings = Settings(
            database_url=url,
            secret_key="x" * 32,
            log_level="WARNING",
            usage_flush_seconds=3600,
            rate_limit_enabled=False,
        )
        app = create_app(settings)
        database = app.state.services.database
        migrations.upgrade(database)
        with database.write() as connection:
            user = users.create(connection, email="ada@example.com", password_hash=None)
            posts.create(connection, user.id, title="On Engines", content="Notes.", published=True, tags=["engines"])
        asyncio.run(_measure(app))


if __name__ == "__main__":
    main()
