"""A long run under a mixed load: SOAK_SECONDS says how long, 60 by default; 1800 is what docs/trust.md publishes."""

import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from statistics import median

import psutil

from faults.callers import READ_AND_WRITE, Ask, Caller, load, people, titles_in
from faults.conftest import Measured
from faults.postgres import PostgresServer
from tests.server import LiveServer

SECONDS = int(os.environ.get("SOAK_SECONDS", "60"))
RATE = 25  # requests a second, to each server
WARM_UP = 0.25  # of the time: caches fill
MOST_GROWTH = 8 * 2**20  # bytes a worker: the allocator's noise is about 2 MB
JSON = "application/json"


def _asking(method: str, path: str, body: bytes | None = None, **headers: str) -> Ask:
    def ask(caller: Caller, _token: str, _title: str) -> int:
        return caller.ask(method, path, body, **headers)[0]

    return ask


def _live(caller: Caller, token: str, title: str) -> int:
    """A post's whole life in version 2; gives the worst status."""
    sent = {"Authorization": token, "Content_Type": JSON}
    status, body = caller.ask("POST", "/v2/posts", json.dumps({"title": title, "content": "c"}).encode(), **sent)
    post = f"/v2/posts/{json.loads(body)['id']}"
    patch = {"Authorization": token, "Content_Type": "application/merge-patch+json"}
    return max(
        status,
        caller.ask("PUT", f"{post}/vote", b'{"value": 1}', **sent)[0],
        caller.ask("PATCH", post, b'{"tags": ["a", "b"]}', **patch)[0],
        caller.ask("GET", post, Authorization=token)[0],
        caller.ask("HEAD", post)[0],
        caller.ask("DELETE", post, Authorization=token)[0],
    )


def _come_back(caller: Caller, _token: str, _title: str) -> int:
    """A connection of its own, which the next request opens."""
    caller.close()
    return caller.ask("GET", "/v2/posts")[0]


MIX: Sequence[Ask] = (
    *READ_AND_WRITE,
    _live,
    _come_back,
    _asking("GET", "/v2/posts/999999999"),
    _asking("GET", "/v1/posts"),
    _asking("GET", "/v1/nothing"),
    _asking("PUT", "/v2/posts"),
    _asking("POST", "/v2/users", b'{"email": 1}', Content_Type=JSON),
    _asking("POST", "/v2/users", b'{"email": ', Content_Type=JSON),
    _asking("POST", "/v1/posts", b"x" * 3000, Content_Type=JSON),
    _asking("GET", "/v2/posts?limit=1000000000"),
    _asking("GET", "/v2/posts", Authorization="Bearer a.b.c"),
    _asking("GET", "/metrics"),
    _asking("GET", "/"),
)


def test_a_long_run_grows_nothing(
    postgres: PostgresServer, sqlite_url: str, tmp_path: Path, measured: Measured
) -> None:
    """Two workers on each database under a mix of good and bad requests of both versions: no 5xx, nothing unanswered,
    what was acknowledged is there, and memory and descriptors of each worker stay as they were after a quarter.
    """
    urls = {"PostgreSQL": postgres.url, "SQLite": sqlite_url}
    settings = {
        "WORKERS": "2",
        "ACCESS_TOKEN_EXPIRE_MINUTES": "120",
        "RATE_LIMIT_ENABLED": "false",
        "MAX_BODY_BYTES": "2000",
    }
    with ExitStack() as stack:
        servers, accounts = {}, {}
        for name, url in urls.items():
            folder = tmp_path / name
            folder.mkdir()
            servers[name] = stack.enter_context(LiveServer(url, folder, **settings))
            emails = people(servers[name].url, 5)
            accounts[name] = stack.enter_context(load([servers[name].port], emails=emails, rate=RATE, mix=MIX))
        workers = {name: [psutil.Process(pid) for pid in sorted(server.workers())] for name, server in servers.items()}
        samples: dict[psutil.Process, list[tuple[int, int]]] = {worker: [] for worker in chain(*workers.values())}
        time.sleep(SECONDS * WARM_UP)
        until = time.monotonic() + SECONDS * (1 - WARM_UP)
        while time.monotonic() < until:
            for worker, seen in samples.items():
                seen.append((worker.memory_info().rss, worker.num_fds()))
            time.sleep(1)
        assert {name: sorted(server.workers()) for name, server in servers.items()} == {
            name: [worker.pid for worker in found] for name, found in workers.items()
        }
    for name, url in urls.items():
        account, rows = accounts[name], titles_in(url)
        grown, descriptors = [], []
        for worker in workers[name]:
            fifth = max(1, len(samples[worker]) // 5)
            first, last = samples[worker][:fifth], samples[worker][-fifth:]
            grown.append(median(rss for rss, _ in last) - median(rss for rss, _ in first))
            descriptors.append((max(fds for _, fds in first), max(fds for _, fds in last)))
        asked = ", ".join(f"{count} of {status}" for status, count in sorted(account.statuses.items()))
        measured(
            f"soak of {SECONDS} s on {name}, two workers",
            f"{asked}; {account.errors} 5xx; memory {' and '.join(f'{size / 2**20:+.1f} MB' for size in grown)};"
            f" descriptors {' and '.join(f'{before} → {after}' for before, after in descriptors)};"
            f" longest {account.longest():.2f} s",
        )
        assert not account.errors, account.statuses
        assert not account.failures
        assert {200, 201, 204, 401, 404, 405, 413, 422} <= {*account.statuses, 204}
        assert all(rows[title] == 1 for title in account.titles)
        assert max(grown) < MOST_GROWTH
        # There are five callers, and a connection to SQLite has three files open.
        most = 5 if name == "PostgreSQL" else 15
        assert all(after <= before + most for before, after in descriptors)
