"""What a driver's exception means, told the same way for SQLite and PostgreSQL.

PostgreSQL's SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html; SQLite's result
codes: https://www.sqlite.org/rescode.html.
"""

import re
import sqlite3
from dataclasses import dataclass
from typing import Literal

import psycopg2
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_SQLITE_UNAVAILABLE = ("BUSY", "LOCKED", "CANTOPEN", "IOERR", "FULL", "READONLY", "NOTADB", "INTERRUPT", "PROTOCOL")
_SQLITE_UNIQUE = ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY")
# Connection lost, resources exhausted, operator intervention and time-outs, locks not granted, serialization.
_POSTGRES_UNAVAILABLE = ("08", "53", "57", "55P03", "40", "58", "25006")


# What passes when the transaction is run again: serialization failures and deadlocks, and SQLite's lock.
_POSTGRES_TRANSIENT = ("40001", "40P01")
_SQLITE_TRANSIENT = ("BUSY", "LOCKED")


class OutcomeUnknown(SQLAlchemyError):
    """The connection was lost while it committed: the transaction may have happened, or not."""


@dataclass(frozen=True)
class Violation:
    """A constraint that a statement ran into. `constraint` is its name; SQLite names none for a foreign key."""

    kind: Literal["unique", "foreign key", "data"]
    constraint: str


def violation(error: SQLAlchemyError) -> Violation | None:
    """The constraint or data rule that `error` reports, or None when it is of another sort."""
    original = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(original, psycopg2.Error):
        state, name = original.pgcode or "", original.diag.constraint_name or ""
        if state == "23505":
            return Violation("unique", name)
        if state == "23503":
            return Violation("foreign key", name)
        return Violation("data", name) if state.startswith("22") else None
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorname", "")
        if code in _SQLITE_UNIQUE and (columns := re.findall(r"(\w+)\.(\w+)", str(original))):
            # SQLite names the columns; the naming convention makes the constraint's name of them.
            prefix = "uq" if code == "SQLITE_CONSTRAINT_UNIQUE" else "pk"
            suffix = "_".join(column for _, column in columns) if prefix == "uq" else ""
            return Violation("unique", f"{prefix}_{columns[0][0]}_{suffix}".rstrip("_"))
        if code == "SQLITE_CONSTRAINT_FOREIGNKEY":
            return Violation("foreign key", "")
        return Violation("data", "") if code == "SQLITE_TOOBIG" else None
    return None


def is_unavailable(error: BaseException) -> bool:
    """Whether the database, rather than the statement, is at fault: away, full, locked, or out of time."""
    if isinstance(error, PoolTimeout | OutcomeUnknown):
        return True
    if not isinstance(error, DBAPIError):
        return False
    original = error.orig
    if isinstance(original, psycopg2.Error):
        if original.pgcode is None:  # the server said nothing: the connection broke or was never made
            return isinstance(original, psycopg2.OperationalError | psycopg2.InterfaceError | psycopg2.DatabaseError)
        return str(original.pgcode).startswith(_POSTGRES_UNAVAILABLE)
    return _sqlite_code(error).startswith(_SQLITE_UNAVAILABLE)


def is_transient(error: BaseException) -> bool:
    """Whether a transaction that failed so has changed nothing, and may succeed when it is run again at once.

    It met another one (a deadlock, a serialization failure, SQLite's lock), or its connection broke before COMMIT. Not
    so when it has waited for a row as long as is allowed, or when the database is away.
    """
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "pgcode", None)
    return (
        error.connection_invalidated
        or state in _POSTGRES_TRANSIENT
        or _sqlite_code(error).startswith(_SQLITE_TRANSIENT)
    )


def _sqlite_code(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlite_errorname", "")).removeprefix("SQLITE_")


def is_lock_timeout(error: SQLAlchemyError) -> bool:
    """Whether PostgreSQL gave up waiting for a lock (55P03, lock_not_available)."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "pgcode", None) == "55P03"
