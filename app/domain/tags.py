"""Tags: names that posts carry. A tag is seen only through published posts, so drafts stay hidden."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, delete, func, select

from app.db import Connection
from app.db.types import insert
from app.domain.listing import Listing, Order
from app.domain.models import post_tags, posts, tags

_LAST_CHARACTER = "\U0010ffff"


class TagView(NamedTuple):
    name: str
    posts: int  # published ones


_BY_NAME = Order[TagView](columns=(tags.c.name,), position_of=lambda tag: (tag.name,))


def listed(prefix: str = "") -> Listing[TagView]:
    """The tags of published posts whose name begins with `prefix`, by name."""
    values = {"first": prefix, "last": prefix + _LAST_CHARACTER} if prefix else {}
    return Listing(_statement(bool(prefix)), values, _BY_NAME, TagView._make)


@lru_cache
def _statement(prefixed: bool) -> Select[Any]:
    joined = tags.join(post_tags, post_tags.c.tag_id == tags.c.id).join(posts, posts.c.id == post_tags.c.post_id)
    statement = select(tags.c.name, func.count()).select_from(joined).where(posts.c.published).group_by(tags.c.name)
    if prefixed:
        # A range and not LIKE, which on SQLite disregards case.
        statement = statement.where(tags.c.name.between(bindparam("first"), bindparam("last")))
    return statement


def assign(connection: Connection, post_id: int, names: list[str]) -> None:
    """Give the post exactly these tags, in this order; a repeated name counts once."""
    connection.execute(delete(post_tags).where(post_tags.c.post_id == post_id))
    add(connection, post_id, names)


def add(connection: Connection, post_id: int, names: Sequence[str]) -> None:
    """As `assign`, for a post that has none yet."""
    ids = ensure(connection, names)
    rows = [
        {"post_id": post_id, "tag_id": ids[name], "position": position}
        for position, name in enumerate(dict.fromkeys(names))
    ]
    if rows:
        connection.execute(post_tags.insert(), rows)


def ensure(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """The ids of these tags by name; those that do not exist yet are made."""
    if not names:
        return {}
    by_name = select(tags.c.name, tags.c.id).where(tags.c.name.in_(names))
    known = dict(connection.execute(by_name).all())
    missing = sorted(set(names) - set(known))  # sorted: two posts with the same new tags must not wait in a circle
    if missing:
        rows = [{"name": name} for name in missing]
        connection.execute(insert(connection.dialect.name, tags).on_conflict_do_nothing(), rows)
        known = dict(connection.execute(by_name).all())
    return known
