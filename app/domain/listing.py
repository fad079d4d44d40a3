"""The hinge between the core and paging: which rows, in which total order, without saying how many.

A domain function returns a `Listing`; a version reads it by `slice` (offset) or by `seek` (keyset). Statements are
built once for each shape and reused with other values, because building costs more than running them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, tuple_
from sqlalchemy.engine import Connection

from app.db import Query

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Order(Generic[T]):
    """A total order: the last column is unique. `position_of` gives an item's values in these columns."""

    columns: tuple[ColumnElement[Any], ...]
    position_of: Callable[[T], tuple[Any, ...]]
    descending: bool = False


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A filtered, totally ordered query that nobody has run yet."""

    statement: Select[Any]  # filtered, not yet ordered; one object a shape, values bound by name
    values: Mapping[str, Any]
    order: Order[T]
    item: Callable[[Any], T]  # makes an item of a row
    keys: Select[Any] | None = None  # the order's last column of the same rows, when it takes fewer tables to tell it

    def slice(self, connection: Connection, *, offset: int, limit: int) -> list[T]:
        """At most `limit` items after skipping `offset`. One query."""
        if not offset:
            return self.seek(connection, position=None, backward=False, limit=limit)[0]
        query = _sliced(self.statement, self.keys, self.order)
        rows = query.rows(connection, {**self.values, "slice_offset": offset, "slice_limit": limit})
        return [self.item(row) for row in rows]

    def seek(
        self, connection: Connection, *, position: tuple[Any, ...] | None, backward: bool, limit: int
    ) -> tuple[list[T], bool]:
        """The `limit` items that follow `position`, or precede it when `backward`, in the listing's order.

        Without a position it starts at that end of the list. Also says whether more lie beyond. One query.
        """
        bounds = {f"seek_{index}": value for index, value in enumerate(position or ())}
        query = _sought(self.statement, self.order, backward, position is not None)
        rows = query.rows(connection, {**self.values, **bounds, "seek_limit": limit + 1})
        items = [self.item(row) for row in rows[:limit]]
        return (items[::-1] if backward else items), len(rows) > limit


@lru_cache(maxsize=512)
def _sliced(statement: Select[Any], keys: Select[Any] | None, order: Order[Any]) -> Query:
    directed = _directed(order, order.descending)
    page = (statement if keys is None else keys).order_by(*directed)
    page = page.limit(bindparam("slice_limit")).offset(bindparam("slice_offset"))
    if keys is None:
        return Query(page)
    # The page's keys first, from an index if there is one: of the rows that are passed over nothing else is read.
    return Query(statement.where(order.columns[-1].in_(page.correlate(None))).order_by(*directed))


@lru_cache(maxsize=512)
def _sought(statement: Select[Any], order: Order[Any], backward: bool, positioned: bool) -> Query:
    descending = order.descending != backward
    if positioned:
        here = tuple_(*order.columns)
        bound = tuple_(*(bindparam(f"seek_{i}", type_=column.type) for i, column in enumerate(order.columns)))
        statement = statement.where(here < bound if descending else here > bound)
    return Query(statement.order_by(*_directed(order, descending)).limit(bindparam("seek_limit")))


def _directed(order: Order[Any], descending: bool) -> list[ColumnElement[Any]]:
    return [column.desc() if descending else column.asc() for column in order.columns]
