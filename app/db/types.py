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

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """None on PostgreSQL, whose driver makes such a time by itself: a connection's zone is UTC."""
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)

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


# What PostgreSQL's search index is of: all that a text has of three characters in a row, split off from three starts.
# The extension pg_trgm has that ready, but needs an administrator, and leaves out what is no letter or digit. To take a
# text apart takes as long as it is, at every change of its row, a vote too: a long one is rare, and is looked through.
_TRIGRAMS = r"""CASE WHEN length({0}) > 1000 THEN ARRAY['long'] ELSE string_to_array(
    regexp_replace({0}, '(...)', '\1' || chr(1), 'g')
    || chr(1) || regexp_replace(substr({0}, 2), '(...)', '\1' || chr(1), 'g')
    || chr(1) || regexp_replace(substr({0}, 3), '(...)', '\1' || chr(1), 'g'), chr(1)) END"""
_ENOUGH = 100  # characters of what is looked for


def trigrams(text: str) -> list[str]:
    """What the search index knows a text by; nothing for a text that is too short."""
    found = {text[start : start + 3] for start in range(min(len(text), _ENOUGH) - 2)}
    return sorted(trigram for trigram in found if "\x01" not in trigram)


class may_contain(FunctionElement[bool]):  # noqa: N801
    """may_contain(haystack, trigrams): whether the search index does not rule out that all are in the text.

    Where there is no such index (SQLite), nothing is ruled out.
    """

    type = Boolean()
    inherit_cache = True
    name = "may_contain"


@compiles(may_contain)
def _may_contain(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    if compiler.dialect.name != "postgresql":
        return "TRUE"
    haystack, wanted = (compiler.process(clause, **kw) for clause in element.clauses)
    indexed = _TRIGRAMS.format(haystack)
    return f"({indexed} @> {wanted} OR {indexed} @> ARRAY['long'])"


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
