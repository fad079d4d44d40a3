"""Statements that requests run again and again: built once, and planned once a connection."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from itertools import count
from typing import Any

import psycopg2
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

MOST_PREPARED = 64  # by one connection; filters can be combined in more ways than a server should keep plans of
# "cached plan must not change result type": a migration has changed a column's type. And where what is prepared is not
# what was thought: "does not exist", after somebody's DEALLOCATE ALL, and "already exists".
_STALE = ("0A000", "26000", "42P05")

_numbers = count()
_with_dollars: Callable[..., Dialect] = PGDialect  # their own signatures have no types
_with_driver: Callable[..., Dialect] = PGDialect_psycopg2
_DOLLARS, _DRIVER = _with_dollars(paramstyle="numeric_dollar"), _with_driver()  # as PREPARE has it; as rows come


class Query:
    """A statement without values, which are bound by name when it runs.

    PostgreSQL is asked over the driver's cursor, with PREPARE and EXECUTE: planning takes it longer than answering, and
    SQLAlchemy's way from a statement to a cursor and back takes longer than the driver's (docs/decisions/0020). Rows
    are tuples as the driver makes them. SQLite plans quickly, and stores times in a form that SQLAlchemy must read.

    PostgreSQL tells a value's type by where it stands; one that stands alone, as in `SELECT $1`, needs a `cast`.
    """

    def __init__(self, statement: Executable) -> None:
        self.statement = statement
        self._name = f"tandem_{next(_numbers)}"

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Run it; gives all rows. Raises SQLAlchemy's DBAPIError, as `Connection.execute` does."""
        if connection.dialect.name != "postgresql":
            result = connection.execute(self.statement, values)
            return result.all() if result.returns_rows else ()
        asked = connection.connection
        try:
            with closing(asked.cursor()) as cursor:
                return self._executed(connection, cursor, values)
        except psycopg2.Error as error:
            raise _translated(error, connection, asked) from error

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Run it; gives the first row, None without one."""
        rows = self.rows(connection, values)
        return rows[0] if rows else None

    def scalar(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Run it; gives the first column of the first row, None without one."""
        row = self.first(connection, values)
        return None if row is None else row[0]

    def _executed(self, connection: Connection, cursor: Any, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        prepared: dict[str, None] = connection.info.setdefault("prepared", {})  # what was used longest ago first
        text, names, constants = self._execution
        given = {**constants, **values}
        arguments = [given[name] for name in names]
        try:
            self._prepare(prepared, cursor)
            cursor.execute(text, arguments)
        except psycopg2.Error as error:
            if error.pgcode not in _STALE or not cursor.connection.autocommit:
                raise  # in a transaction, which is lost: `retried` runs it again, on another connection
            cursor.execute("DEALLOCATE ALL")
            prepared.clear()
            self._prepare(prepared, cursor)
            cursor.execute(text, arguments)
        return cursor.fetchall() if cursor.description else ()

    def _prepare(self, prepared: dict[str, None], cursor: Any) -> None:
        if self._name in prepared:
            prepared[self._name] = prepared.pop(self._name)
            return
        if len(prepared) >= MOST_PREPARED:
            oldest = next(iter(prepared))
            cursor.execute(f"DEALLOCATE {oldest}")
            del prepared[oldest]
        cursor.execute(f"PREPARE {self._name} AS {self._compiled}")
        prepared[self._name] = None  # and it stays so when the transaction is rolled back

    @cached_property
    def _compiled(self) -> SQLCompiler:
        assert isinstance(self.statement, ClauseElement)
        for column in getattr(self.statement, "exported_columns", ()):
            if column.type.dialect_impl(_DRIVER).result_processor(_DRIVER, None) is not None:
                raise TypeError(f"{column} is not read as the driver gives it: run the statement through SQLAlchemy")
        compiled = self.statement.compile(dialect=_DOLLARS)
        assert isinstance(compiled, SQLCompiler)
        return compiled

    @cached_property
    def _execution(self) -> tuple[str, Sequence[str], Mapping[str, Any]]:
        """What runs it, the names of its values in their order, and those values that the statement itself has."""
        names = self._compiled.positiontup or []
        given = f" ({', '.join(['%s'] * len(names))})" if names else ""
        constants = {name: bind.value for name, bind in self._compiled.binds.items() if not bind.required}
        return f"EXECUTE {self._name}{given}", names, constants


def _translated(error: psycopg2.Error, connection: Connection, asked: Any) -> BaseException:
    """The error as SQLAlchemy raises it.

    When the connection is broken, or its plans are stale, so are those that lie in the pool: they are given up with it.
    """
    lost = error.pgcode in _STALE or connection.dialect.is_disconnect(error, asked, None)
    if lost:
        connection.invalidate(error)
        connection.engine.dispose()
    translated: BaseException = DBAPIError.instance(
        None, None, error, psycopg2.Error, hide_parameters=True, connection_invalidated=lost, dialect=connection.dialect
    )
    return translated
