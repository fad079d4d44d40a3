"""What a token costs a request: `python -m benchmarks.token_cost [DATABASE_URL]`, an empty database or none.

One process, at the ASGI level, reading a post by id. Each round runs the same requests without a token, with one whose
session is not looked up, and with one as it is, in turns, so that each round compares neighbours in time; what is told
is the median over the rounds. Times are those of the clock: the database's work counts.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from starlette.types import Message

from app.db import migrations
from app.domain import posts, sessions, users
from app.main import create_app
from app.settings import Settings

ROUNDS, REQUESTS, WARM_UP = 300, 20, 20
_HEADERS = [(b"host", b"localhost"), (b"user-agent", b"okhttp/4.12.0"), (b"accept", b"*/*")]
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
    "client": ("127.0.0.1", 40000),
    "server": ("127.0.0.1", 8000),
}


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    assert message.get("status", 200) == 200


async def _seconds_a_request(app: Any, token: str | None) -> float:
    authorization = [(b"authorization", f"Bearer {token}".encode())] if token else []
    started = time.perf_counter()
    for _ in range(REQUESTS):
        await app({**_SCOPE, "headers": [*_HEADERS, *authorization], "state": {}}, _receive, _send)
    return (time.perf_counter() - started) / REQUESTS


async def _measure(app: Any, token: str) -> None:
    async with app.router.lifespan_context(app):
        names = ["no token", "no look-up", "token"]
        times: dict[str, list[float]] = {name: [] for name in names}
        for round_ in range(WARM_UP + ROUNDS):
            for name in names:
                if name == "no look-up":
                    with patch.object(sessions, "authenticate", lambda _, claims: claims.user_id):
                        seconds = await _seconds_a_request(app, token)
                else:
                    seconds = await _seconds_a_request(app, token if name == "token" else None)
                if round_ >= WARM_UP:
                    times[name].append(seconds)
            names = [*names[1:], names[0]]  # each goes first as often
        print(f"{ROUNDS} rounds of {REQUESTS} requests; with a token {statistics.median(times['token']) * 1e6:.0f} µs")
        for what, more, less in (("token", "token", "no token"), ("look-up", "token", "no look-up")):
            pairs = list(zip(times[more], times[less], strict=True))
            added = statistics.median(one - other for one, other in pairs)
            share = statistics.median(1 - other / one for one, other in pairs)
            print(f"{what:8} {added * 1e6:+7.1f} µs   {share:.1%} of the request")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/tandem.db"
        app = create_app(Settings(database_url=url, secret_key="x" * 32, log_level="WARNING", usage_flush_seconds=3600))
        services = app.state.services
        migrations.upgrade(services.database)
        with services.database.write() as connection:
            user = users.create(connection, email="ada@example.com", password_hash=None)
            posts.create(connection, user.id, title="On Engines", content="Notes.", published=True, tags=["engines"])
            login = sessions.begin(connection, user.id, timedelta(days=1), refreshable=False)
        asyncio.run(_measure(app, services.tokens.issue(login.user_id, login.session_id)))


if __name__ == "__main__":
    main()
