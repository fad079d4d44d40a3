"""Writes that are sent again because their reply was lost, and writes that meet: none is lost, none is done twice."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from uuid import uuid4

import httpx2
import psutil
import pytest
import sqlalchemy as sa

from app.db import Database
from app.main import open_database
from faults.conftest import Measured, migrate
from faults.postgres import PostgresServer
from tests.conftest import make_settings
from tests.server import LiveServer
from tests.steps import PASSWORD, Person, Steps

WORKERS = 2
RUNS = 500
WRITERS = 8
BETWEEN_KILLS = 10, 40  # acknowledged writes: a pace that workers can be started again at
LONGEST = 90.0  # seconds until even the unluckiest write is done
STORM = 64  # connections

COUNTERS_THAT_ARE_WRONG = """
    SELECT count(*) FROM posts WHERE
    votes_up <> (SELECT count(*) FROM votes WHERE post_id = posts.id AND value = 1) OR
    votes_down <> (SELECT count(*) FROM votes WHERE post_id = posts.id AND value = -1)"""
ORPHANS = """
    SELECT (SELECT count(*) FROM votes WHERE post_id NOT IN (SELECT id FROM posts))
    + (SELECT count(*) FROM votes WHERE user_id NOT IN (SELECT id FROM users))
    + (SELECT count(*) FROM posts WHERE owner_id NOT IN (SELECT id FROM users))"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/tandem.db"
        migrate(url)
        return url
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.url


@pytest.fixture(scope="module")
def server(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(url, tmp_path_factory.mktemp("server"), WORKERS=str(WORKERS), LOG_LEVEL="INFO") as server:
        yield server


@pytest.fixture
def live(server: LiveServer) -> Iterator[httpx2.Client]:
    limits = httpx2.Limits(max_connections=STORM)
    with httpx2.Client(base_url=server.url, timeout=30, limits=limits) as client:
        yield client


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = open_database(make_settings(url))
    yield database
    database.close()


def ask(database: Database, question: str, **values: object) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.text(question), values).scalar_one())


def at_once(jobs: Sequence[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    with ThreadPoolExecutor(STORM) as pool:
        return list(pool.map(lambda job: job(), jobs))


def busy_workers(server: LiveServer) -> list[psutil.Process]:
    """The worker processes that hold a client's connection."""
    found = []
    for child in psutil.Process(server.process.pid).children():
        with suppress(psutil.NoSuchProcess):  # nor a zombie, which is one of its kind
            if any(connection.status == psutil.CONN_ESTABLISHED for connection in child.net_connections("tcp")):
                found.append(child)
    return found


def test_a_worker_killed_between_commit_and_reply(
    server: LiveServer, live: httpx2.Client, database: Database, measured: Measured
) -> None:
    """Workers die at random moments while clients retry with their keys: as many rows as keys, each as acknowledged."""
    ada = Steps(live).person()
    chance, deadline = random.Random(7), time.monotonic() + LONGEST
    kills, acknowledged, retries, done = 0, list[int](), Counter[str](), threading.Event()
    keys = [str(uuid4()) for _ in range(RUNS)]

    def write(key: str) -> httpx2.Response:
        """Send until it is answered 2xx."""
        headers = {**ada.headers, "Idempotency-Key": key}
        while time.monotonic() < deadline:
            try:
                reply = live.post("/v2/posts", json={"title": key, "content": "c"}, headers=headers)
            except httpx2.TransportError:
                retries["no reply"] += 1
            else:
                if reply.is_success:
                    acknowledged.append(reply.json()["id"])
                    return reply
                assert reply.status_code in (409, 503), reply.text
                retries[str(reply.status_code)] += 1
            time.sleep(0.02)
        raise TimeoutError(key)

    def kill() -> None:
        nonlocal kills
        due = chance.randint(*BETWEEN_KILLS)
        while not done.wait(chance.uniform(0.005, 0.05)):
            if len(acknowledged) >= due and (busy := busy_workers(server)):
                with suppress(psutil.NoSuchProcess):
                    chance.choice(busy).kill()
                    kills += 1
                due = len(acknowledged) + chance.randint(*BETWEEN_KILLS)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with ThreadPoolExecutor(WRITERS) as pool:
            replies = list(pool.map(write, keys))
    finally:
        done.set()
        killer.join()
    replays = sum("idempotent-replayed" in reply.headers for reply in replies)
    with database.read() as connection:
        rows = connection.execute(
            sa.text("SELECT title, id FROM posts WHERE owner_id = :owner"), {"owner": ada.id}
        ).all()
    assert len(rows) == RUNS, "lost, or done twice"
    assert dict(map(tuple, rows)) == {reply.json()["title"]: reply.json()["id"] for reply in replies}, (
        "acknowledged otherwise"
    )
    assert kills > 0
    measured(
        f"kill -9 of a worker, {database.engine.dialect.name}",
        f"{kills} kills, {RUNS} keys, {len(rows)} rows; {sum(retries.values())} retries ({dict(retries)}), "
        f"{replays} found done though no reply had come",
    )


def test_votes_of_one_user_over_many_connections(live: httpx2.Client, database: Database, measured: Measured) -> None:
    """One user votes a post up, down and off through both versions over 64 connections: at most one row, counted."""
    steps = Steps(live)
    ada, post = steps.person(), steps.post(steps.person())["id"]
    ask_as_ada = partial(live.request, headers=ada.headers)
    ways = [
        *(partial(ask_as_ada, "PUT", f"/v2/posts/{post}/vote", json={"value": value}) for value in (1, -1)),
        partial(ask_as_ada, "DELETE", f"/v2/posts/{post}/vote"),
        *(partial(ask_as_ada, "POST", "/v1/vote", json={"post_id": post, "dir": there}) for there in (1, 0)),
    ]
    jobs = ways * (STORM * 10 // len(ways))
    random.Random(7).shuffle(jobs)
    statuses = Counter(reply.status_code for reply in at_once(jobs))
    assert set(statuses) <= {200, 201, 204, 404, 409}, statuses
    rows = ask(database, "SELECT count(*) FROM votes WHERE post_id = :post", post=post)
    assert rows <= 1
    assert ask(database, COUNTERS_THAT_ARE_WRONG) == 0
    measured(
        f"{STORM} connections vote, {database.engine.dialect.name}", f"{len(jobs)} votes, {rows} row, 0 miscounted"
    )


def test_everything_at_once(live: httpx2.Client, database: Database, measured: Measured) -> None:
    """Posts and accounts are deleted while others vote, write and sign up: no orphan, no 5xx, one account an e-mail."""
    steps, statuses, chance = Steps(live), Counter[int](), random.Random(7)
    rounds = 6
    for _ in range(rounds):
        people = [steps.person() for _ in range(4)]
        leaver, author = people[0], people[1]
        posts = [steps.post(person)["id"] for person in (leaver, author, author)]
        email = f"{uuid4()}@example.com"
        sign_up = partial(live.post, "/v2/users", json={"email": email, "password": PASSWORD})
        jobs: list[Callable[[], httpx2.Response]] = [sign_up] * 8
        for person in people:
            jobs += [partial(_vote, live, person, post, value) for post in posts for value in (1, -1)]
            jobs += [partial(live.post, "/v2/posts", json={"title": "t", "content": "c"}, headers=person.headers)] * 2
        chance.shuffle(jobs)
        jobs.insert(len(jobs) // 2, partial(live.delete, f"/v2/posts/{posts[1]}", headers=author.headers))
        jobs.insert(len(jobs) // 3, partial(live.delete, "/v2/users/me", headers=leaver.headers))
        replies = at_once(jobs)
        statuses += Counter(reply.status_code for reply in replies)
        signed_up = [r.status_code for r in replies if r.request.url.path == "/v2/users"]
        assert sorted(signed_up) == [201] + [409] * 7
    assert set(statuses) <= {200, 201, 204, 401, 404, 409}, statuses
    assert ask(database, ORPHANS) == 0
    assert ask(database, COUNTERS_THAT_ARE_WRONG) == 0
    measured(
        f"deleted while others write, {database.engine.dialect.name}",
        f"{statuses.total()} requests in {rounds} rounds, 0 orphans, 0 miscounted, 0 5xx; one 201 an e-mail",
    )


def _vote(live: httpx2.Client, person: Person, post: int, value: int) -> httpx2.Response:
    return live.put(f"/v2/posts/{post}/vote", json={"value": value}, headers=person.headers)


def test_writers_with_if_match(live: httpx2.Client, database: Database, measured: Measured) -> None:
    """Of 64 who write to what they have all read, one is answered 200 and 63 are answered 412."""
    steps = Steps(live)
    ada = steps.person()
    made = live.post("/v2/posts", json={"title": "t", "content": "c"}, headers=ada.headers)
    path, seen = made.headers["location"], {**ada.headers, "If-Match": made.headers["etag"]}
    jobs = [partial(live.patch, path, json={"title": f"title {number}"}, headers=seen) for number in range(STORM)]
    statuses = Counter(reply.status_code for reply in at_once(jobs))
    assert statuses == {200: 1, 412: STORM - 1}
    measured(f"{STORM} writers with If-Match, {database.engine.dialect.name}", str(dict(statuses)))
