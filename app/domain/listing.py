"""The hinge between the core and paging: which rows, in which total order, without saying how many.

A domain function returns a `Listing`; a version reads it by `slice` (offset) or by `seek` (keyset). Statements are
built once for each shape and reused with other values, because building costs more than running them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    bindparam,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.engine import Connection

from app.db import Query, Question
from app.db.types import contains, may_contain

T = TypeVar("T")

# How many rows a search looks through before it asks the index: some milliseconds' worth, and more for a large page.
_NEAR, _NEAR_AN_ITEM, _NEAR_AT_MOST = 5000, 50, 100_000
# How many rows the pages have whose statement says so: the usual ones, and few, for each number is a statement of its
# own. One more tells whether there are more.
_USUAL = {size + more for size in (5, 10, 20, 25) for more in (0, 1)}
_PAGES_AT_ONCE = 16  # of those


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
    rows: int | None = None  # so many at most, in the words of the statement; None where that is a value


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A filtered, totally ordered query that nobody has run yet."""

    statement: Select[Any]  # filtered, not yet ordered; one object a shape, values bound by name
    values: Mapping[str, Any]
    order: Order[T]
    item: Callable[[Any], T]  # makes an item of a row
    keys: Select[Any] | None = None  # the order's last column of the same rows, when it takes fewer tables to tell it
    searched: ColumnElement[str] | None = None  # a column to hold the value `text`, too, which `trigrams` is made of
    plain: bool = False  # whether a page takes about as little to find as any other, whatever the values

    def slice(self, *, offset: int, limit: int) -> Question[list[T]]:
        """At most `limit` items after skipping `offset`."""
        return self._page(limit, descending=self.order.descending, offset=offset)

    def seek(self, *, position: tuple[Any, ...] | None, backward: bool, limit: int) -> Question[tuple[list[T], bool]]:
        """The `limit` items that follow `position`, or precede it when `backward`, in the listing's order.

        Without a position it starts at that end of the list. Also says whether more lie beyond.
        """
        page = self._page(limit + 1, descending=self.order.descending != backward, position=position)
        return page.then(lambda items: (items[:limit][::-1] if backward else items[:limit], len(items) > limit))

    def _page(
        self, limit: int, *, descending: bool, offset: int = 0, position: tuple[Any, ...] | None = None
    ) -> Question[list[T]]:
        usual = self.plain and not offset and limit in _USUAL
        way = _Way(descending, position is not None, offset > 0, limit if usual else None)
        query = _built(self.statement, self.keys, self.searched, self.order, way)
        near = min(_NEAR + _NEAR_AN_ITEM * (offset + limit), _NEAR_AT_MOST)
        bounds = {f"seek_{index}": value for index, value in enumerate(position or ())}
        values = {**self.values, **bounds, "offset": offset, "limit": limit, "near": near}
        return Question(query, values, lambda rows: [self.item(row) for row in rows])


class _Search(Query):
    """Reads a page from the nearest rows, and by the index when those do not fill it."""

    def __init__(self, nearest: Select[Any], by_index: Select[Any]) -> None:
        super().__init__(nearest)
        self._by_index = Query(by_index)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        rows = super().rows(connection, values)
        return rows if len(rows) >= values["limit"] else self._by_index.rows(connection, values)


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
        return Query(_page(statement, order.columns, way), at_once=1 if way.rows is None else _PAGES_AT_ONCE)
    # The page's keys first, from an index if there is one: of the rows that are passed over nothing else is read.
    keys = keys.correlate(None)

    def holding(found: Select[Any]) -> Select[Any]:
        return statement.where(order.columns[-1].in_(found)).order_by(*_directed(order.columns, way))

    if searched is None:
        return Query(holding(_page(keys, order.columns, way)))
    nearest, by_index = (_search(keys, searched, order, way, by_index=by_index) for by_index in (False, True))
    return _Search(holding(nearest), holding(by_index))


def _search(
    keys: Select[Any], searched: ColumnElement[str], order: Order[Any], way: _Way, *, by_index: bool
) -> Select[Any]:
    """The keys of the page whose rows hold the text: among the nearest rows, or among all by the index.

    Who looks through the rows in order soon fills a page with a common text, and a rare one is found by the index. No
    plan does well at both, and the planner cannot know which it is: so the nearest are looked through first.
    """
    text = bindparam("text", type_=searched.type)
    rows = keys.with_only_columns(*order.columns, searched)
    among: FromClause
    if by_index:  # materialized, or the planner might go by the order's index all the same
        indexed = may_contain(searched, bindparam("trigrams", type_=ARRAY(Text)))
        among = rows.where(contains(searched, text), indexed).cte("indexed").prefix_with("MATERIALIZED")
    else:
        among = rows.order_by(*_directed(order.columns, way)).limit(bindparam("near")).subquery("nearest")
    *columns, column = among.c
    return _page(select(columns[-1]).where(contains(column, text)), columns, way)


def _page(statement: Select[Any], columns: Sequence[ColumnElement[Any]], way: _Way) -> Select[Any]:
    # Of a value, PostgreSQL could not foresee how many rows it is, and would always plan the page anew.
    limit = bindparam("limit") if way.rows is None else literal_column(str(way.rows), Integer)
    statement = statement.order_by(*_directed(columns, way)).limit(limit)
    return statement.offset(bindparam("offset")) if way.skipping else statement


def _directed(columns: Sequence[ColumnElement[Any]], way: _Way) -> list[ColumnElement[Any]]:
    return [column.desc() if way.descending else column.asc() for column in columns]
