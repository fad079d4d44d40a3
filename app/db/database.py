"""One engine, and the ways in: `read()` for looking, `write()` for changing, and some for who does either at length."""

import math
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import PYDATETIMETZ, new_type, register_type
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, OperationalError

from app.db.errors import OutcomeUnknown
from app.db.kept import OfThread, is_idle, is_over

MIGRATION_LOCK_MILLISECONDS = 400
_IDLE_IN_TRANSACTION_SECONDS = 10
_SQLITE_STEPS = 100_000  # some milliseconds: how often a statement of SQLite looks at the clock
_MIGRATION_PAUSE_SECONDS = 0.2
_MIGRATION_WAIT_MILLISECONDS = 60_000  # for who else migrates an SQLite database
_MIGRATION_LOCK = 0x74616E64656D  # "tandem"; any number will do that all of us use


# Times as PostgreSQL writes them, in ISO 8601; to read them so takes a quarter of what it takes the driver.
def _read_time(text: str | None, cursor: Any) -> Any:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:  # "infinity", which an operator may have written
        return PYDATETIMETZ(text, cursor)


_TIME_IN_UTC = new_type((1184,), "TIME_IN_UTC", _read_time)


class DatabaseUnavailable(Exception):
    """The database did not answer in time; the message is one line."""


def masked(url: URL) -> str:
    """The URL for people to read, its passwords replaced by ***."""
    hidden = {name: "***" for name in url.query if "password" in name.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


class Database:
    """A pool of connections to SQLite or PostgreSQL.

    `url` is an SQLAlchemy URL (`sqlite:///file`, `postgresql+psycopg2://…`); times are in seconds. Of connections there
    are `pool_size`, for requests, and so many `spare` ones at most, for who must not wait behind them. Building one
    connects to nothing; the first connection to SQLite makes the file, where there is the folder for it.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        spare: int = 2,
        pool_timeout: float = 7,
        statement_timeout: float = 5,
        lock_timeout: float = 3,
    ) -> None:
        self.url = make_url(url)
        if self.url.drivername == "sqlite":
            connect_args: dict[str, Any] = {"timeout": lock_timeout}
        else:
            limits = {
                "statement_timeout": statement_timeout,
                "lock_timeout": lock_timeout,
                # Should this process stand still amid a transaction, the others need not wait for its locks.
                "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION_SECONDS,
            }
            connect_args = {
                "connect_timeout": 3,
                "options": "-c timezone=utc"
                + "".join(f" -c {name}={int(seconds * 1000)}" for name, seconds in limits.items()),
                # A host that has vanished says nothing, neither to what was sent nor to who waits for its answer.
                "tcp_user_timeout": 8000,
                "keepalives_idle": 4,
                "keepalives_interval": 2,
                "keepalives_count": 2,
            }
        self.engine: Engine = sa.create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=spare,
            pool_timeout=pool_timeout,
            connect_args=connect_args,
            hide_parameters=True,  # an error's text reaches the log, which must never hold a password
        )
        self._statement_timeout = statement_timeout
        self._of_thread = OfThread()
        self._open: set[Any] = set()  # the driver's connections to PostgreSQL
        # Each statement of a read is its own transaction: two round trips to PostgreSQL fewer than BEGIN … ROLLBACK.
        if self.engine.dialect.name == "sqlite":
            self._autocommit: Engine = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            event.listen(self.engine, "do_connect", _create_privately)
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "connect", _watch_the_clock)
            event.listen(self.engine, "connect", self._note_file)
            event.listen(self.engine, "checkout", self._check_file)
            event.listen(self.engine, "begin", _begin_immediate)
        else:
            event.listen(self.engine, "checkout", _check_open)
            event.listen(self.engine, "checkin", _put_back)
            event.listen(self.engine, "handle_error", self._give_up_when_lost)
            event.listen(self.engine, "connect", _read_times)
            event.listen(self.engine, "connect", lambda connection, _: self._open.add(connection))
            event.listen(self.engine, "close", lambda connection, _: self._open.discard(connection))

    def _give_up_when_lost(self, context: ExceptionContext) -> None:
        """When one connection is lost, so may be all that lie in the pool, and those that threads keep."""
        if context.is_disconnect and context.connection is not None:
            self.engine.dispose()

    def _note_file(self, _connection: Any, record: Any) -> None:
        record.info["file"] = self._file()

    def _check_file(self, _connection: Any, record: Any, _proxy: Any) -> None:
        """A file that was moved or deleted is still written through old connections: open it anew, or fail."""
        if record.info["file"] != self._file():
            raise DisconnectionError
        record.info["until"] = time.monotonic() + self._statement_timeout

    def _file(self) -> tuple[int, int] | None:
        try:
            found = Path(str(self.url.database)).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @property
    def missing(self) -> bool:
        """Whether the first connection would make the database: SQLite's file is not there."""
        if self.engine.dialect.name != "sqlite":
            return False
        try:
            Path(str(self.url.database)).stat()  # `exists`, since Python 3.14, does not tell when nobody may look
        except FileNotFoundError:
            return True
        except OSError:
            pass  # nobody can tell: to connect to it fails, and says why
        return False

    def make_folder(self) -> None:
        """Make the folder of SQLite's file. Not at a connection: the folder may have been moved, and comes back."""
        if self.engine.dialect.name == "sqlite":
            with suppress(OSError):  # SQLite says that there is none
                Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)

    def keep_connections(self) -> None:
        """To be called in a thread that will ask again and again: from now on it keeps its connection to PostgreSQL.

        To take one from the pool, and to put it back, is a tenth of what it costs to serve a post by id. One that has a
        transaction open, or is broken, goes back there, where it is mended or given up. So does a second one that is
        asked for meanwhile.
        """
        self._of_thread.keeps = self.engine.dialect.name == "postgresql"  # SQLite's file is looked at each time

    @contextmanager
    def _connected(self, *, autocommit: bool) -> Iterator[Connection]:
        """The connection that this thread keeps, or one of the pool's."""
        pool = self.engine.pool
        connection, self._of_thread.kept = self._of_thread.kept, None
        if connection is not None and (
            self._of_thread.pool is not pool  # given up since, with all that was connected
            or is_over(connection.connection.driver_connection)
        ):
            connection.invalidate()
            connection.close()
            connection = None
        if connection is None:
            connection = self.engine.connect()
        try:
            if self.engine.dialect.name == "postgresql":
                # At the driver: after SQLAlchemy's isolation level it sends a SET, one more round trip, which may fail.
                driver_connection: Any = connection.connection.driver_connection
                driver_connection.autocommit = autocommit
            yield connection
        finally:
            if autocommit:
                connection.rollback()  # what SQLAlchemy believes to have begun; PostgreSQL is told nothing
            if self._of_thread.keeps and self._of_thread.kept is None and is_idle(connection):
                self._of_thread.kept, self._of_thread.pool = connection, pool
            else:
                if pool is not self.engine.pool and not connection.closed:
                    connection.invalidate()  # nobody takes anything out of the old one any more
                connection.close()

    def autocommit(self) -> AbstractContextManager[Connection]:
        """A connection on which each statement is a transaction of its own.

        What is written may be written twice: a statement whose reply was lost is run again by `retried`.
        """
        if self.engine.dialect.name == "postgresql":
            return self._connected(autocommit=True)
        return self._autocommit.connect()

    def read(self) -> AbstractContextManager[Connection]:
        """A connection for reading. Each statement sees what is committed when it runs."""
        return self.autocommit()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection for long reading that sees one moment throughout, however long it takes."""
        with self.engine.execution_options(deferred=True).connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            self._lift_time_limits(connection)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a transaction, committed when the block ends and rolled back when it raises.

        OutcomeUnknown when the connection is lost while it commits. Requests write in functions that are `retried`.
        """
        with self._connected(autocommit=False) as connection:
            connection.begin()
            yield connection
            try:
                connection.commit()
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise OutcomeUnknown("the connection was lost during COMMIT") from error
                raise

    @contextmanager
    def write_in_bulk(self) -> Iterator[Connection]:
        """As `write`, without the time limits that guard requests from each other."""
        with self.write() as connection:
            self._lift_time_limits(connection)
            yield connection

    @contextmanager
    def migrate(self) -> Iterator[Connection]:
        """A connection for changing the schema; whoever else migrates waits, then finds it done.

        What is done in its transaction is committed when the block ends, and rolled back when it raises.
        """
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "postgresql":
                with self._alone():
                    connection.execute(sa.text("SET statement_timeout = 0"))
                    # Whoever comes after a waiting ALTER TABLE waits behind it: better to give up, and to try again.
                    connection.execute(sa.text(f"SET lock_timeout = {MIGRATION_LOCK_MILLISECONDS}"))
                    connection.commit()
                    try:
                        yield connection
                        connection.commit()
                    finally:
                        connection.invalidate()  # nobody else is to have it with these settings
                return
            # To change a column Alembic copies the table and drops the old one, and dropping deletes its rows, with
            # all that refers to them. Enforcement cannot be switched within a transaction, so it is before one begins.
            driver_connection: Any = connection.connection.driver_connection
            driver_connection.execute("PRAGMA foreign_keys = OFF")
            driver_connection.execute(f"PRAGMA busy_timeout = {_MIGRATION_WAIT_MILLISECONDS}")
            try:
                self._lift_time_limits(connection)
                yield connection
                if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                    raise IntegrityError("PRAGMA foreign_key_check", None, sqlite3.IntegrityError("dangling reference"))
                connection.commit()
            finally:
                connection.rollback()
                connection.invalidate()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold PostgreSQL's advisory lock, on a connection of its own: Alembic may end the other's transactions.

        It is asked for again and again rather than waited for: CREATE INDEX CONCURRENTLY waits for every statement that
        is running, and so for those that wait for the lock.
        """
        with self.autocommit() as connection:
            connection.detach()  # closing it lets go of the lock
            while not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": _MIGRATION_LOCK}):
                time.sleep(_MIGRATION_PAUSE_SECONDS)
            yield

    def wait_until_up(self, seconds: float, on_wait: Callable[[str], None]) -> None:
        """Return once the database answers; DatabaseUnavailable after `seconds`.

        `on_wait` is called with a line for a person each time the database did not answer.
        """
        if self.engine.dialect.name == "sqlite":
            seconds = 0  # a file that cannot be opened now will not come up later
        deadline = time.monotonic() + seconds
        where = masked(self.url)
        while True:
            try:
                with self.read() as connection:
                    connection.execute(sa.text("SELECT 1"))
                return
            except OperationalError as error:
                reason = str(error.orig).strip().splitlines()[0]
                left = deadline - time.monotonic()
                if left <= 0:
                    raise DatabaseUnavailable(f"the database {where} does not answer: {reason}") from None
                on_wait(f"waiting for the database {where}, {left:.0f} s more: {reason}")
                time.sleep(min(1.0, left))

    @staticmethod
    def _lift_time_limits(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(sa.text(f"SET LOCAL {limit} = 0"))
        else:
            connection.info["until"] = math.inf

    def close(self) -> None:
        """Close every connection, also those in use: whoever waits for PostgreSQL's answer gets an error instead.

        A thread that waits cannot be stopped otherwise, and the process cannot end before its threads have.
        """
        self.engine.dispose()
        for connection in tuple(self._open):
            with suppress(psycopg2.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as its_own:
                its_own.shutdown(socket.SHUT_RDWR)


def _read_times(connection: Any, _record: object) -> None:
    register_type(_TIME_IN_UTC, connection)


def _check_open(connection: Any, record: Any, _proxy: object) -> None:
    """Take a new connection for one that PostgreSQL has ended while it lay in the pool.

    At a new one it is not looked: SQLAlchemy would give up with an error that is none of the database's.
    """
    if record.info.get("used") and is_over(connection):
        raise DisconnectionError


def _create_privately(_dialect: object, _record: object, args: Sequence[Any], _options: object) -> None:
    """SQLite makes its file readable by everybody, and what it puts beside the file as readable as that."""
    with suppress(OSError):  # where it cannot be made, SQLite says so
        Path(args[0]).touch(mode=0o600, exist_ok=False)


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 must not BEGIN on its own: `_begin_immediate` does
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _watch_the_clock(connection: Any, record: Any) -> None:
    """SQLite has no time limit of its own: a statement that runs for too long is interrupted."""
    record.info["until"] = math.inf
    connection.set_progress_handler(lambda: time.monotonic() > record.info["until"], _SQLITE_STEPS)


def _put_back(connection: Any, record: Any) -> None:
    record.info["used"] = True
    if connection is not None and not connection.closed and connection.autocommit:
        connection.autocommit = False


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock first: a deferred transaction fails as locked when it comes to write after another."""
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN DEFERRED" if options.get("deferred") else "BEGIN IMMEDIATE")
