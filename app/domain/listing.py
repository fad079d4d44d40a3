"""The hinge between the core and paging: which rows, in which total order, without saying how many.

A domain function returns a `Listing`; a version reads it by `slice` (offset) or by `seek` (keyset). Statements are
built once for each shape and reused with other values, because building costs more than running them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ARRAY, ColumnElement, FromClause, Select, Text, bindparam, select, tuple_
from sqlalchemy.engine import Connection

from app.db import Query
from app.db.types import contains, may_contain

T = TypeVar("T")

# How many rows a search looks through before it asks the index: some milliseconds' worth, and more for a large page.
_NEAR, _NEAR_AN_ITEM, _NEAR_AT_MOST = 5000, 50, 100_000


@dataclass(frozen=True, eq=False)
class Order(Generic[T]):
    """A total order: the last column is unique. `position_of` gives an item's values in these columns."""

    columns: tuple[ColumnElement[Any], ...]
    position_of: Callable[[T], tuple[Any, ...]]
    descending: bool = False


class _Way(NamedTuple):
    """How a page is read: what else its statement depends on."""

    descending: bool
    positioned: bool
    skipping: bool
    by_index: bool = False


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A filtered, totally ordered query that nobody has run yet."""

    statement: Select[Any]  # filtered, not yet ordered; one object a shape, values bound by name
    values: Mapping[str, Any]
    order: Order[T]
    item: Callable[[Any], T]  # makes an item of a row
    keys: Select[Any] | None = None  # the order's last column of the same rows, when it takes fewer tables to tell it
    searched: ColumnElement[str] | None = None  # a column to hold the value `text`, too, which `trigrams` is made of

    def slice(self, connection: Connection, *, offset: int, limit: int) -> list[T]:
        """At most `limit` items after skipping `offset`."""
        way = _Way(self.order.descending, positioned=False, skipping=offset > 0)
        return self._read(connection, way, {"offset": offset, "limit": limit})

    def seek(
        self, connection: Connection, *, position: tuple[Any, ...] | None, backward: bool, limit: int
    ) -> tuple[list[T], bool]:
        """The `limit` items that follow `position`, or precede it when `backward`, in the listing's order.

        Without a position it starts at that end of the list. Also says whether more lie beyond.
        """
        way = _Way(self.order.descending != backward, positioned=position is not None, skipping=False)
        bounds = {f"seek_{index}": value for index, value in enumerate(position or ())}
        items = self._read(connection, way, {**bounds, "offset": 0, "limit": limit + 1})
        return (items[:limit][::-1] if backward else items[:limit]), len(items) > limit

    def _read(self, connection: Connection, way: _Way, page: Mapping[str, Any]) -> list[T]:
        """One query; for a search that does not fill its page from the nearest rows, a second one."""
        near = min(_NEAR + _NEAR_AN_ITEM * (page["offset"] + page["limit"]), _NEAR_AT_MOST)
        values = {**self.values, **page, "near": near}
        rows = _built(self.statement, self.keys, self.searched, self.order, way).rows(connection, values)
        if self.searched is not None and len(rows) < page["limit"]:
            way = way._replace(by_index=True)
            rows = _built(self.statement, self.keys, self.searched, self.order, way).rows(connection, values)
        return [self.item(row) for row in rows]


@lru_cache(maxsize=512)
def _built(
    statement: Select[Any],
    keys: Select[Any] | None,
    searched: ColumnElement[str] | None,
    order: Order[Any],
    way: _Way,
) -> Query:
    if way.positioned:
        here = tuple_(*order.columns)
        bound = tuple_(*(bindparam(f"seek_{i}", type_=column.type) for i, column in enumerate(order.columns)))
        beyond = here < bound if way.descending else here > bound
        statement, keys = statement.where(beyond), keys if keys is None else keys.where(beyond)
    if keys is None or not (way.skipping or searched is not None):
        return Query(_page(statement, order.columns, way))
    # The page's keys first, from an index if there is one: of the rows that are passed over nothing else is read.
    keys = keys.correlate(None)
    found = _page(keys, order.columns, way) if searched is None else _search(keys, searched, order, way)
    return Query(statement.where(order.columns[-1].in_(found)).order_by(*_directed(order.columns, way)))


def _search(keys: Select[Any], searched: ColumnElement[str], order: Order[Any], way: _Way) -> Select[Any]:
    """The keys of the page whose rows hold the text: among the nearest rows, or among all by the index.

    Who looks through the rows in order soon fills a page with a common text, and a rare one is found by the index. No
    plan does well at both, and the planner cannot know which it is: so the nearest are looked through first.
    """
    text = bindparam("text", type_=searched.type)
    rows = keys.with_only_columns(*order.columns, searched)
    among: FromClause
    if way.by_index:  # materialized, or the planner might go by the order's index all the same
        indexed = may_contain(searched, bindparam("trigrams", type_=ARRAY(Text)))
        among = rows.where(contains(searched, text), indexed).cte("indexed").prefix_with("MATERIALIZED")
    else:
        among = rows.order_by(*_directed(order.columns, way)).limit(bindparam("near")).subquery("nearest")
    *columns, column = among.c
    return _page(select(columns[-1]).where(contains(column, text)), columns, way)


def _page(statement: Select[Any], columns: Sequence[ColumnElement[Any]], way: _Way) -> Select[Any]:
    statement = statement.order_by(*_directed(columns, way)).limit(bindparam("limit"))
    return statement.offset(bindparam("offset")) if way.skipping else statement


def _directed(columns: Sequence[ColumnElement[Any]], way: _Way) -> list[ColumnElement[Any]]:
    return [column.desc() if way.descending else column.asc() for column in columns]
