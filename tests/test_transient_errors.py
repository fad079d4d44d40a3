"""What passes when it is tried again: transactions that met another one, and connections that broke."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app.db import Database, retried
from tests.steps import PASSWORD, Steps, at_once
from tests.test_migrations import execute, new_database, opened
from tests.test_requests import serving

POST = {"title": "t", "content": "c"}
SECONDS = 10  # to wait for what has to happen


@pytest.fixture
def own_postgres(postgres_url, tmp_path):
    with new_database(postgres_url, tmp_path) as url:
        yield url


@contextmanager
def meanwhile(job):
    """Run a job in a thread while the block runs; gives its future."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(job)


def wait_until(database: Database, question: str, wanted: int) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        with database.read() as connection:
            if connection.execute(sa.text(question)).scalar() == wanted:
                return
        assert time.monotonic() < deadline, question
        time.sleep(0.01)


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
END_OTHERS = f"SELECT pg_terminate_backend(pid) {OTHERS}"


def test_a_deadlock_is_tried_again(own_postgres):
    """A vote that PostgreSQL sacrifices (40P01) to one that locks in the other order is counted after it."""
    with serving(own_postgres) as client, opened(own_postgres) as database:
        steps = Steps(client)
        ada = steps.person()
        post = steps.post(ada)["id"]

        def vote():
            return client.put(f"/v2/posts/{post}/vote", json={"value": 1}, headers=ada.headers)

        with database.write() as connection:
            connection.execute(sa.text("SET LOCAL deadlock_timeout = '60s'"))  # so that the other one is the victim
            connection.execute(sa.text("SELECT 1 FROM posts FOR UPDATE"))
            with meanwhile(vote) as voting:
                wait_until(database, WAITING, 1)
                connection.execute(sa.text("SELECT 1 FROM users FOR UPDATE"))
                connection.commit()
        reply = voting.result()
        assert (reply.status_code, reply.json()["votes"]["up"]) == (200, 1)
        wait_until(database, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", 1)


def test_serialization_failures_are_tried_again(own_postgres):
    """Where transactions are serializable, writes to one row at once fail with 40001, and all succeed in the end."""
    with opened(own_postgres) as database:
        name = database.url.database
        execute(database, f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    with serving(own_postgres) as client:
        steps = Steps(client)
        ada = steps.person()
        post = steps.post(ada)["id"]

        def rename(number):
            return client.patch(f"/v2/posts/{post}", json={"title": f"title {number}"}, headers=ada.headers)

        replies = at_once(*[lambda number=number: rename(number) for number in range(6)])
        assert [reply.status_code for reply in replies] == [200] * 6


def test_a_lock_of_sqlite_is_waited_for_and_then_503(tmp_path):
    """A write finds SQLite locked longer than its driver waits, and succeeds once it is free; or is 503, never 500."""
    with (
        new_database("sqlite://", tmp_path) as url,
        serving(url, database_lock_timeout=0.05) as client,
        opened(url) as database,
    ):
        ada = Steps(client).person()

        def write():
            return client.post("/v2/posts", json=POST, headers=ada.headers)

        with database.write() as connection, meanwhile(write) as writing:
            time.sleep(0.3)
            connection.commit()
        assert writing.result().status_code == 201
        with database.write():
            refused = write()
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/v2/posts").json()["data"] == [writing.result().json() | {"my_vote": None}]


@pytest.mark.parametrize(
    ("patience", "least", "most"), [(0.001, 5, 10), (2.1, 1, 1)], ids=["soon", "after two seconds"]
)
def test_what_fails_is_tried_ten_times_within_two_seconds(tmp_path, patience, least, most):
    """Where the lock stays, a write is given up in the end; one that waited for it too long is not tried again."""
    with new_database("sqlite://", tmp_path) as url, opened(url) as holder:
        database, attempts = Database(url, lock_timeout=patience), []

        @retried
        def write():
            attempts.append(1)
            with database.write():
                pass

        with holder.write(), pytest.raises(OperationalError):
            write()
        database.close()
    assert least <= len(attempts) <= most


def sleeping_trigger(database: Database, when: str) -> None:
    """Let every insert of a post take a second, at once or at COMMIT."""
    execute(
        database,
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NEW; END'",
        f"CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON posts {when} FOR EACH ROW EXECUTE FUNCTION slowly()",
    )


@pytest.mark.parametrize(
    ("when", "status", "posts"),
    [("NOT DEFERRABLE", 201, 1), ("DEFERRABLE INITIALLY DEFERRED", 503, 0)],
    ids=["before COMMIT", "during COMMIT"],
)
def test_a_connection_that_breaks(own_postgres, when, status, posts):
    """Before COMMIT the transaction is run again; a lost COMMIT may have happened, so it is 503 and not run again."""
    with serving(own_postgres) as client, opened(own_postgres) as database:
        ada = Steps(client).person()
        sleeping_trigger(database, when)

        def write():
            return client.post("/v2/posts", json=POST, headers=ada.headers)

        with meanwhile(write) as writing:
            wait_until(database, SLEEPING, 1)
            execute(database, END_OTHERS)
        assert writing.result().status_code == status, writing.result().text
        assert len(client.get("/v2/posts").json()["data"]) == posts


def test_connections_that_ended_while_they_lay_idle_cost_nobody_anything(own_postgres):
    """After PostgreSQL ended every connection, the next reads and writes succeed, from the first on."""
    with serving(own_postgres) as client, opened(own_postgres) as database:
        steps = Steps(client)
        ada = steps.person()
        at_once(*[lambda: client.get("/v2/posts")] * 5)
        execute(database, END_OTHERS)
        wait_until(database, f"SELECT count(*) {OTHERS}", 0)
        replies = at_once(*[lambda: client.post("/v2/posts", json=POST, headers=ada.headers)] * 3)
        assert [reply.status_code for reply in replies] == [201] * 3
        execute(database, END_OTHERS)
        wait_until(database, f"SELECT count(*) {OTHERS}", 0)
        replies = at_once(*[lambda: client.get("/v2/posts")] * 5)
        assert [reply.status_code for reply in replies] == [200] * 5


def test_a_connection_that_ends_as_soon_as_it_is_made(own_postgres):
    """As when PostgreSQL stops just then: 503, by reads and writes; when it does so no more, they succeed."""
    with serving(own_postgres) as client, opened(own_postgres) as database:
        ada = Steps(client).person()
        engine = client.app.state.services.database.engine

        def end(_connection, _record):
            execute(database, END_OTHERS)
            wait_until(database, f"SELECT count(*) {OTHERS}", 0)

        engine.dispose()
        sa.event.listen(engine, "connect", end)
        assert client.get("/v2/posts").status_code == 503
        assert client.post("/v2/posts", json=POST, headers=ada.headers).status_code == 503
        sa.event.remove(engine, "connect", end)
        assert client.post("/v2/posts", json=POST, headers=ada.headers).status_code == 201


def test_a_password_change_and_a_sign_up_are_tried_again(tmp_path):
    """Writes that come after a hash meet SQLite's lock as others do, and succeed as well."""
    with (
        new_database("sqlite://", tmp_path) as url,
        serving(url, database_lock_timeout=0.05) as client,
        opened(url) as database,
    ):
        ada = Steps(client).person()
        change = {"current_password": PASSWORD, "new_password": "battery staple"}
        account = {"email": "new@example.com", "password": PASSWORD}
        for write, status in (
            (lambda: client.put("/v2/users/me/password", json=change, headers=ada.headers), 204),
            (lambda: client.post("/v2/users", json=account), 201),
            (lambda: client.post("/v1/users", json=account | {"email": "old@example.com"}), 201),
        ):
            with database.write() as connection, meanwhile(write) as writing:
                time.sleep(0.3)
                connection.commit()
            assert writing.result().status_code == status
