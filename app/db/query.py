"""Statements that requests run again and again: built once, and planned once a connection."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from itertools import count
from typing import Any, Generic, NamedTuple, TypeVar

import psycopg2
from sqlalchemy import Executable, Integer, String, literal_column
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import TypeEngine

T = TypeVar("T")
U = TypeVar("U")

MOST_PREPARED = 64  # by one connection; filters can be combined in more ways than a server should keep plans of
# "cached plan must not change result type": a migration has changed a column's type. And where what is prepared is not
# what was thought: "does not exist", after somebody's DEALLOCATE ALL, and "already exists".
_STALE = ("0A000", "26000", "42P05")

# A LIMIT in the words of the statement. Where PostgreSQL does not know yet that a table was filled, it might look for
# the one row of each of many by reading them all.
ONE = literal_column("1", Integer)

_numbers = count()
_with_dollars: Callable[..., Dialect] = PGDialect  # their own signatures have no types
_with_driver: Callable[..., Dialect] = PGDialect_psycopg2
_DOLLARS, _DRIVER = _with_dollars(paramstyle="numeric_dollar"), _with_driver()  # as PREPARE has it; as rows come


class _Prepared(NamedTuple):
    """What PostgreSQL knows a statement by, the statement, and what runs it, as the driver takes it."""

    name: str
    statement: str
    execution: str


class Query:
    """A statement without values, which are bound by name when it runs.

    PostgreSQL is asked over the driver's cursor, with PREPARE and EXECUTE: planning takes it longer than answering, and
    SQLAlchemy's way from a statement to a cursor and back takes longer than the driver's (docs/decisions/0020). Rows
    are tuples as the driver makes them. SQLite plans quickly, and stores times in a form that SQLAlchemy must read.

    PostgreSQL tells a value's type by where it stands; one that stands alone, as in `SELECT $1`, needs a `cast`.

    `at_once` is for how many, who each have their own values, PostgreSQL is to be asked in one call at most
    (docs/decisions/0024). More than one is for statements that take about as little to run for any values, that have a
    LIMIT, and no value that is an array.
    """

    def __init__(self, statement: Executable, *, at_once: int = 1) -> None:
        self.statement = statement
        self.at_once = at_once
        self._name = f"tandem_{next(_numbers)}"

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Run it; gives all rows. Raises SQLAlchemy's DBAPIError, as `Connection.execute` does."""
        if connection.dialect.name != "postgresql":
            result = connection.execute(self.statement, values)
            return result.all() if result.returns_rows else ()
        names, constants = self._values
        given = {**constants, **values}
        return _ask(connection, self._alone, [given[name] for name in names])

    def rows_of_each(
        self, connection: Connection, asked: Sequence[Mapping[str, Any]]
    ) -> Sequence[Sequence[Sequence[Any]]]:
        """Run it with each of these values; gives for each all its rows. Those that are equal are asked for once.

        PostgreSQL is asked once for all, unless only one is to be asked for `at_once`. Values must be hashable.
        """
        keys = [frozenset(values.items()) for values in asked]
        different = dict(zip(keys, asked, strict=True))
        found = dict(zip(different, self._rows_of_different(connection, [*different.values()]), strict=True))
        return [found[key] for key in keys]

    def _rows_of_different(
        self, connection: Connection, asked: Sequence[Mapping[str, Any]]
    ) -> Sequence[Sequence[Sequence[Any]]]:
        if len(asked) < 2 or self.at_once == 1 or connection.dialect.name != "postgresql":
            return [self.rows(connection, values) for values in asked]
        names, constants = self._values
        given = [{**constants, **values} for values in asked]
        found: list[list[Sequence[Any]]] = [[] for _ in asked]
        for row in _ask(connection, self._for_each, [[values[name] for values in given] for name in names]):
            found[row[0] - 1].append(row[1:])
        return found

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Run it; gives the first row, None without one."""
        rows = self.rows(connection, values)
        return rows[0] if rows else None

    def scalar(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Run it; gives the first column of the first row, None without one."""
        row = self.first(connection, values)
        return None if row is None else row[0]

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
    def _values(self) -> tuple[Sequence[str], Mapping[str, Any]]:
        """The names of its values in their order, and those values that the statement itself has."""
        constants = {name: bind.value for name, bind in self._compiled.binds.items() if not bind.required}
        return self._compiled.positiontup or [], constants

    @cached_property
    def _alone(self) -> _Prepared:
        names, _ = self._values
        given = f" ({', '.join(['%s'] * len(names))})" if names else ""
        return _Prepared(self._name, str(self._compiled), f"EXECUTE {self._name}{given}")

    @cached_property
    def _for_each(self) -> _Prepared:
        """The statement, run for each row of a table that is made of its values: an array of each."""
        names, _ = self._values
        name = f"{self._name}_each"
        arrays = [_array_of(self._compiled.binds[each].type) for each in names]
        # Through a SELECT, or PostgreSQL would plan anew for every number of values: it looks into arrays.
        table = ", ".join(f"(SELECT ${number}::{array})" for number, array in enumerate(arrays, 1))
        columns = ", ".join(f"value_{number}" for number in range(1, len(names) + 1))
        of_row = re.sub(r"\$(\d+)", r"asked.value_\1", str(self._compiled))
        asked = f"unnest({table}) WITH ORDINALITY AS asked ({columns}, number)"
        # The rows of each stay in their order: PostgreSQL runs what is LATERAL and has a LIMIT by a nested loop alone.
        statement = f"SELECT asked.number, found.* FROM {asked} CROSS JOIN LATERAL ({of_row}) AS found"  # noqa: S608  # nosec B608
        return _Prepared(name, statement, f"EXECUTE {name} ({', '.join(f'%s::{array}' for array in arrays)})")


class Question(NamedTuple, Generic[T]):
    """A `Query` with its values, and what its rows are made into; nobody has asked it yet.

    `answer` may raise an error, which is then the answer.
    """

    query: Query
    values: Mapping[str, Any]
    answer: Callable[[Sequence[Sequence[Any]]], T]

    def ask(self, connection: Connection) -> T:
        """Run the query by itself."""
        return self.answer(self.query.rows(connection, self.values))

    def then(self, make: Callable[[T], U]) -> "Question[U]":
        """The same question, with what `make` makes of its answer for an answer."""
        return Question(self.query, self.values, lambda rows: make(self.answer(rows)))


def _array_of(value: TypeEngine[Any]) -> str:
    kind = value.dialect_impl(_DOLLARS)
    return f"{'text' if isinstance(kind, String) else kind.compile(_DOLLARS)}[]"  # with its length, it would cut texts


def _ask(connection: Connection, prepared: _Prepared, arguments: Sequence[Any]) -> Sequence[Sequence[Any]]:
    asked = connection.connection
    try:
        with closing(asked.cursor()) as cursor:
            return _executed(connection, cursor, prepared, arguments)
    except psycopg2.Error as error:
        raise _translated(error, connection, asked) from error


def _executed(
    connection: Connection, cursor: Any, prepared: _Prepared, arguments: Sequence[Any]
) -> Sequence[Sequence[Any]]:
    known: dict[str, None] = connection.info.setdefault("prepared", {})  # what was used longest ago first
    try:
        _prepare(prepared, known, cursor)
        cursor.execute(prepared.execution, arguments)
    except psycopg2.Error as error:
        if error.pgcode not in _STALE or not cursor.connection.autocommit:
            raise  # in a transaction, which is lost: `retried` runs it again, on another connection
        cursor.execute("DEALLOCATE ALL")
        known.clear()
        _prepare(prepared, known, cursor)
        cursor.execute(prepared.execution, arguments)
    return cursor.fetchall() if cursor.description else ()


def _prepare(prepared: _Prepared, known: dict[str, None], cursor: Any) -> None:
    if prepared.name in known:
        known[prepared.name] = known.pop(prepared.name)
        return
    if len(known) >= MOST_PREPARED:
        oldest = next(iter(known))
        cursor.execute(f"DEALLOCATE {oldest}")
        del known[oldest]
    cursor.execute(f"PREPARE {prepared.name} AS {prepared.statement}")
    known[prepared.name] = None  # and it stays so when the transaction is rolled back


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
