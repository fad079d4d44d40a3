"""What a thread that serves requests does with its connection to PostgreSQL: it keeps it, as long as it is sound."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.db.query import Query
from app.domain.models import tags
from tests.test_migrations import execute, new_database, opened

PID = sa.text("SELECT pg_backend_pid()")
ADD, COUNT = sa.text("INSERT INTO tags (name) VALUES ('left')"), sa.text("SELECT count(*) FROM tags")


@pytest.fixture
def keeping(postgres_url, tmp_path):
    """A database, and a function that calls another in a thread that keeps its connection to that."""
    with (
        new_database(postgres_url, tmp_path) as url,
        opened(url) as database,
        ThreadPoolExecutor(1, initializer=database.keep_connections) as threads,
    ):
        yield database, lambda function, *arguments: threads.submit(function, *arguments).result()


def pid(database):
    with database.read() as connection:
        return connection.scalar(PID)


def pid_of_writer(database):
    with database.write() as connection:
        return connection.scalar(PID)


def nothing_is_left(database, in_thread):
    """Neither a row nor a lock is, and the thread can go on writing."""
    execute(database, "LOCK TABLE tags IN ACCESS EXCLUSIVE MODE NOWAIT")
    assert in_thread(pid_of_writer, database)
    with database.read() as connection:
        assert connection.scalar(COUNT) == 0


def test_a_thread_keeps_its_connection(keeping):
    """Reading and writing, it is given the same one again, which nobody else is given meanwhile."""
    database, in_thread = keeping
    kept = in_thread(pid_of_writer, database)
    assert pid(database) != kept
    assert in_thread(pid, database) == in_thread(pid_of_writer, database) == kept


def test_what_is_asked_for_meanwhile_is_another(keeping):
    """A block within another does not share its transaction."""
    database, in_thread = keeping

    def count_meanwhile():
        with database.write() as outer:
            outer.execute(ADD)
            with database.read() as inner:
                return inner.scalar(COUNT), outer.scalar(COUNT)

    in_thread(pid, database)  # there is one that could be shared
    assert in_thread(count_meanwhile) == (0, 1)
    with database.read() as connection:
        assert connection.scalar(COUNT) == 1


@pytest.mark.parametrize("raised", [LookupError, sa.exc.DataError])
def test_nothing_is_left_open_by_what_fails(keeping, raised):
    """After a refusal, or an error of the database, what was written is gone, and with it the lock."""
    database, in_thread = keeping

    def fail():
        with database.write() as connection:
            connection.execute(ADD)
            if raised is LookupError:
                raise LookupError
            connection.execute(sa.text("SELECT 1 / 0"))

    with pytest.raises(raised):
        in_thread(fail)
    nothing_is_left(database, in_thread)


def test_a_commit_that_fails_leaves_nothing_behind(keeping):
    """The thread goes on, reading and writing, after a constraint that is checked last has refused it all."""
    database, in_thread = keeping
    execute(database, "CREATE TABLE single (id integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sa.exc.IntegrityError):
        in_thread(execute, database, "INSERT INTO single VALUES (1)", "INSERT INTO single VALUES (1)")
    assert in_thread(pid_of_writer, database)
    assert in_thread(pid, database)


def test_a_transaction_that_only_the_driver_knows_is_no_trap(keeping):
    """What a Query begins after its block has ended the transaction is undone, and the thread goes on."""
    database, in_thread = keeping

    def go_on_after_rolling_back():
        with database.write() as connection:
            connection.rollback()
            return Query(sa.insert(tags).values(name="left").returning(tags.c.id)).scalar(connection, {})

    assert in_thread(go_on_after_rolling_back)
    nothing_is_left(database, in_thread)


def test_a_connection_that_postgresql_has_ended_is_not_used_again(keeping):
    """Nobody sees that it ended while nothing was asked of it."""
    database, in_thread = keeping
    kept = in_thread(pid, database)
    execute(database, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = {kept}")
    assert in_thread(pid_of_writer, database) != kept


def test_what_threads_keep_is_given_up_when_another_is_lost(keeping):
    """Where one connection has turned out to be lost, others may be: threads do not find it out one by one."""
    database, in_thread = keeping
    kept = in_thread(pid, database)
    with database.read() as connection:
        execute(database, f"SELECT pg_terminate_backend({connection.scalar(PID)}, 5000)")
        with pytest.raises(sa.exc.OperationalError):
            connection.scalar(PID)
    assert in_thread(pid, database) != kept
