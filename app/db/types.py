"""Column types and SQL functions that mean the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, Integer, String, Table, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

# SQLite gives ids out by itself only for a column declared INTEGER; those are 64 bits wide as well.
Id = BigInteger().with_variant(Integer(), "sqlite")
# Ordered by code point, as SQLite does: the order of a list must not depend on the server's locale.
OrderedText = Text().with_variant(Text(collation="C"), "postgresql")
OrderedString = String().with_variant(String(collation="C"), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, microseconds kept; SQLite has no zones, so there it is stored without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class contains(FunctionElement[bool]):  # noqa: N801 - an SQL function, named as SQLAlchemy names its own
    """contains(haystack, needle): whether the text holds the other, character for character; no wildcards."""

    type = Boolean()
    inherit_cache = True
    name = "contains"


@compiles(contains)
def _contains(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    function = "strpos" if compiler.dialect.name == "postgresql" else "instr"
    return f"({function}({compiler.process(element.clauses, **kw)}) > 0)"


class joined(FunctionElement[str]):  # noqa: N801 - likewise
    """joined(text): the aggregate of all texts, in the order of the rows, with commas between them."""

    type = Text()
    inherit_cache = True
    name = "joined"


@compiles(joined)
def _joined(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    function = "string_agg" if compiler.dialect.name == "postgresql" else "group_concat"
    return f"{function}({compiler.process(element.clauses, **kw)}, ',')"


def insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT of the dialect of that name, which has `on_conflict_do_nothing()`."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
