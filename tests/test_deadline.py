"""What takes too long: limits from the inside out, each of which ends in a 503."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from app.main import create_app, open_database
from tests.conftest import make_settings
from tests.server import LiveServer
from tests.steps import PASSWORD, Steps
from tests.test_migrations import execute, new_database, opened
from tests.test_requests import is_v1_error, is_v2_problem, serving


@pytest.fixture
def own_url(database_url, tmp_path):
    with new_database(database_url, tmp_path) as url:
        yield url


@contextmanager
def held(url):
    """No account can be made while the block lasts: somebody holds the table, or SQLite's write lock."""
    with opened(url) as database, database.write() as connection:
        connection.execute(sa.text("SELECT 1" if url.startswith("sqlite") else "LOCK TABLE users"))
        yield


@contextmanager
def serving_a_database_without_limits(url, **changes):
    """A service with a deadline that its database does not know of, as if that hung."""
    settings = make_settings(url, database_lock_timeout=8).model_copy(update=changes)
    with TestClient(create_app(settings)) as client:
        yield client


def person(number=0):
    return {"email": f"person{number}@example.com", "password": PASSWORD}


def test_a_request_that_hangs_is_answered(own_url):
    """A route that does not come back in time is 503 in its version's form, and is counted as that."""
    limits = {"request_deadline_seconds": 0.3, "database_pool_timeout": 0.2}
    with serving_a_database_without_limits(own_url, **limits) as client:
        with held(own_url):
            reply = client.post("/v2/users", json=person(2))
            is_v2_problem(reply, 503, "unavailable", "/v2/users")
            assert int(reply.headers["retry-after"]) > 0
            assert reply.headers["api-version"] == "v2"
            is_v1_error(client.post("/v1/users", json=person(1)), 503)
            assert client.get("/livez").status_code == 200
        assert client.get("/v2/posts").status_code == 200
    with opened(own_url) as database, database.read() as connection:
        counted = connection.execute(sa.text("SELECT version, operation, status_class, calls FROM usage")).all()
    assert {(row.version, row.operation, row.status_class, row.calls) for row in counted} == {
        ("v1", "POST /users", 5, 1),
        ("v2", "POST /users", 5, 1),
        ("v2", "GET /posts", 2, 1),
    }


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_that_cannot_wait_answers_what_is_in_flight(tmp_path, workers):
    """Requests that outlast SHUTDOWN_GRACE_SECONDS are 503 in their version's form, not broken off."""
    with (
        new_database("sqlite://", tmp_path) as url,
        LiveServer(url, tmp_path, SHUTDOWN_GRACE_SECONDS="1", WORKERS=workers) as server,
        ThreadPoolExecutor() as pool,
        held(url),
    ):
        waiting = pool.submit(httpx2.post, f"{server.url}/v2/users", json=person(), timeout=30)
        time.sleep(0.5)  # it is in flight
        server.stop()
        is_v2_problem(waiting.result(), 503, "unavailable", "/v2/users")


def test_who_waits_for_a_thread_is_given_up_first_and_never_begun(own_url):
    """With every thread taken, the others are 503 at the end of their turn and leave nothing; who has one goes on."""
    limits = {"database_pool_size": 1, "database_pool_timeout": 0.3, "database_lock_timeout": 8}
    with serving(own_url, **limits) as client, ThreadPoolExecutor() as pool:
        ada = Steps(client).person()

        def write(title):
            return client.post("/v2/posts", json={"title": title, "content": "some content"}, headers=ada.headers)

        with held(own_url):
            first = pool.submit(write, "first")
            time.sleep(0.1)
            others = [pool.submit(write, "other") for _ in range(4)]
            assert client.get("/livez").status_code == 200
            for other in others:
                is_v2_problem(other.result(), 503, "unavailable", "/v2/posts")
            assert not first.done()
        assert first.result().status_code == 201
        assert [post["title"] for post in client.get("/v2/posts").json()["data"]] == ["first"]


def test_the_clients_own_time_does_not_count(tmp_path):
    """Who sends a body slowly is not told that the service was slow."""

    def body():
        for part in (b'{"display_name": ', b'"slow"', b"}"):
            time.sleep(0.5)
            yield part

    names = ("DATABASE_LOCK_TIMEOUT", "DATABASE_STATEMENT_TIMEOUT", "DATABASE_POOL_TIMEOUT")
    limits = {**dict.fromkeys(names, "1.1"), "REQUEST_DEADLINE_SECONDS": "1.2"}
    with new_database("sqlite", tmp_path) as url:
        with serving(url) as client:
            ada = Steps(client).person()
        with LiveServer(url, tmp_path, **limits) as server:
            headers = {"Content-Type": "application/json", **ada.headers}
            reply = httpx2.patch(f"{server.url}/v2/users/me", content=body(), headers=headers)
            assert reply.status_code == 200, reply.text


def test_a_slow_query(own_url):
    """A query that runs for longer than it may is 503; with more time it is answered."""
    with serving(own_url) as client:
        steps = Steps(client)
        steps.post(steps.person())
    columns = (
        "title, title_folded, content, published, owner_id, votes_up, votes_down, created_at, updated_at, revision"
    )
    numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 30000)"
    with opened(own_url) as database:
        execute(database, f"INSERT INTO posts ({columns}) {numbers} SELECT {columns} FROM posts, numbers")
    path = "/v2/posts?q=nothing"
    with serving(own_url, database_statement_timeout=0.001) as client:
        is_v2_problem(client.get(path), 503, "unavailable", path.partition("?")[0])
        assert client.get("/livez").status_code == 200
    with serving(own_url) as client:
        assert client.get(path).json()["data"] == []


def test_a_read_sends_nothing_but_its_statement(postgres_url, tmp_path):
    """What PostgreSQL was told last over a connection that has been used for all sorts is the statement of the read."""
    with new_database(postgres_url, tmp_path) as url, opened(url) as database, opened(url) as other:
        with database.read() as connection:
            pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        for block in (database.read, database.snapshot, database.write, database.read):
            with block() as connection:
                connection.execute(sa.text("SELECT 'the statement'"))
        with other.read() as connection:
            last = sa.text("SELECT query FROM pg_stat_activity WHERE pid = :pid")
            assert connection.scalar(last, {"pid": pid}) == "SELECT 'the statement'"


def test_closing_ends_what_still_waits(postgres_url, tmp_path):
    """Closing the database ends a statement that PostgreSQL still works on: its thread must not hold up a stop."""
    limits = {"database_statement_timeout": 60, "request_deadline_seconds": 90}
    with new_database(postgres_url, tmp_path) as url, ThreadPoolExecutor() as pool:
        database = open_database(make_settings(url, **limits))

        def sleep():
            with database.read() as connection:
                connection.execute(sa.text("SELECT pg_sleep(60)"))

        waiting = pool.submit(sleep)
        with opened(url) as other, other.read() as connection:
            busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
            while connection.execute(sa.text(busy)).scalar_one() == 0:
                time.sleep(0.01)
        database.close()
        with pytest.raises(OperationalError):
            waiting.result(timeout=20)
