"""Posts: who sees which, in what order, and who may change them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypedDict

from sqlalchemy import ColumnElement, Select, bindparam, delete, insert, literal, null, or_, select, update
from sqlalchemy.engine import Connection

from app.db import ONE, Query, Question
from app.db.types import contains, joined, trigrams
from app.domain import errors
from app.domain.clock import now
from app.domain.listing import Listing, Order
from app.domain.models import SORTED_TITLE_CHARACTERS, post_tags, posts, users, votes
from app.domain.models import tags as tags_table
from app.domain.revisions import Expected, require
from app.domain.tags import add as add_tags
from app.domain.tags import assign as assign_tags
from app.domain.text import folded
from app.domain.users import display_name


class PostView(NamedTuple):
    """A post with its author and counters; in detail also with its tags, and the viewer's own vote.

    The vote is None without one, and when nobody looks.
    """

    id: int
    title: str
    content: str
    published: bool
    created_at: datetime
    updated_at: datetime
    owner_id: int
    owner_email: str
    owner_chosen_name: str | None
    owner_created_at: datetime
    votes_up: int
    votes_down: int
    my_vote: int | None
    joined_tags: str | None
    revision: int
    owner_revision: int

    @property
    def owner_display_name(self) -> str:
        return display_name(self.owner_id, self.owner_chosen_name)

    @property
    def tags(self) -> list[str]:
        return self.joined_tags.split(",") if self.joined_tags else []


class PostChanges(TypedDict, total=False):
    """The fields to set; what is absent stays."""

    title: str
    content: str
    published: bool
    tags: list[str]


@dataclass(frozen=True)
class PostFilter:
    """Which posts to list; None means no restriction."""

    text: str | None = None  # in the title, without regard to case
    author_id: int | None = None
    tags: Sequence[str] = ()  # all of them
    published: bool | None = None
    created_after: datetime | None = None  # exclusive
    created_before: datetime | None = None  # exclusive


_TAGS_IN_ORDER = (
    select(tags_table.c.name)
    .join(post_tags, post_tags.c.tag_id == tags_table.c.id)
    .where(post_tags.c.post_id == posts.c.id)
    .order_by(post_tags.c.position)
    .correlate(posts)
    .subquery()
)
# SQLite before 3.44 knows no ORDER BY inside an aggregate; it, as PostgreSQL, keeps the order of an ordered subquery.
_JOINED_TAGS = select(joined(_TAGS_IN_ORDER.c.name)).scalar_subquery()
_MY_VOTE = (
    select(votes.c.value)
    .where(votes.c.user_id == bindparam("viewer"), votes.c.post_id == posts.c.id)
    .correlate(posts)
    .scalar_subquery()
)
# By whether somebody looks, or nobody: PostgreSQL need not look for votes of nobody, nor plan for a value that is none.
_SEEN = {True: or_(posts.c.published, posts.c.owner_id == bindparam("viewer")), False: posts.c.published}


def _visible(*, detailed: bool, viewed: bool) -> Select[Any]:
    my_vote = _MY_VOTE if detailed and viewed else null()
    joined_tags = _JOINED_TAGS if detailed else null()
    return (
        select(
            posts.c.id,
            posts.c.title,
            posts.c.content,
            posts.c.published,
            posts.c.created_at,
            posts.c.updated_at,
            users.c.id.label("owner_id"),
            users.c.email,
            users.c.display_name,
            users.c.created_at.label("owner_created_at"),
            posts.c.votes_up,
            posts.c.votes_down,
            my_vote.label("my_vote"),
            joined_tags.label("tags"),
            posts.c.revision,
            users.c.revision.label("owner_revision"),
        )
        .join(users, users.c.id == posts.c.owner_id)
        .where(_SEEN[viewed])
    )


# In detail or not: the vote and the tags are two more look-ups for each post, more than all else in a list.
_VISIBLE = {
    (detailed, viewed): _visible(detailed=detailed, viewed=viewed)
    for detailed, viewed in itertools.product((True, False), repeat=2)
}
_BY_ID = {
    shape: Query(visible.where(posts.c.id == bindparam("post_id")).limit(ONE), at_once=64)
    for shape, visible in _VISIBLE.items()
}
_INSERT = Query(
    insert(posts)
    .values({name: bindparam(name) for name in ("title", "title_folded", "content", "published", "owner_id")})
    .values(created_at=bindparam("moment"), updated_at=bindparam("moment"), votes_up=0, votes_down=0, revision=1)
    .returning(posts.c.id)
)


def _sort_title(post: PostView) -> str:
    return post.title[:SORTED_TITLE_CHARACTERS]


OLDEST_ID_FIRST = Order[PostView]((posts.c.id,), lambda post: (post.id,))
_CREATED = ((posts.c.created_at, posts.c.id), lambda post: (post.created_at, post.id))
_SCORE = ((posts.c.score, posts.c.id), lambda post: (post.votes_up - post.votes_down, post.id))
_TITLE = ((posts.c.title_sort, posts.c.id), lambda post: (_sort_title(post), post.id))
ORDERS: dict[str, Order[PostView]] = {
    "-created_at": Order(*_CREATED, descending=True),
    "created_at": Order(*_CREATED),
    "-score": Order(*_SCORE, descending=True),
    "score": Order(*_SCORE),
    "title": Order(*_TITLE),
    "-title": Order(*_TITLE, descending=True),
}


def get(connection: Connection, post_id: int, viewer: int | None) -> PostView:
    """The post as `viewer` (a user id, None for nobody) sees it.

    DomainError NOT_FOUND `post-not-found` when there is none, and likewise for another's draft.
    """
    return by_id(post_id, viewer).ask(connection)


def by_id(post_id: int, viewer: int | None, *, detailed: bool = True) -> Question[PostView]:
    """What `get` gives. Not `detailed`, the post has no tags and no vote of the viewer."""
    return Question(_BY_ID[detailed, viewer is not None], {"post_id": post_id, **_viewed_by(viewer)}, _found)


def _viewed_by(viewer: int | None) -> dict[str, Any]:
    return {} if viewer is None else {"viewer": viewer}


def _found(rows: Sequence[Sequence[Any]]) -> PostView:
    if not rows:
        raise errors.post_not_found()
    return PostView._make(rows[0])


def listed(
    viewer: int | None, wanted: PostFilter, order: Order[PostView], *, detailed: bool = True
) -> Listing[PostView]:
    """The posts that `viewer` may see and the filter lets through: published ones, and the viewer's own drafts.

    `detailed` as in `by_id`.
    """
    values = _viewed_by(viewer)
    if wanted.text:
        values["text"] = folded(wanted.text)
        if known_by := trigrams(values["text"]):
            values["trigrams"] = known_by
    if wanted.author_id is not None:
        values["author_id"] = wanted.author_id
    if wanted.published is not None:
        values["published"] = wanted.published
    if wanted.created_after is not None:
        values["created_after"] = wanted.created_after
    if wanted.created_before is not None:
        values["created_before"] = wanted.created_before
    names = list(dict.fromkeys(wanted.tags))
    values.update({f"tag_{index}": name for index, name in enumerate(names)})
    statement, ids = _statements(frozenset(values), len(names), detailed)
    searched = posts.c.title_folded if "trigrams" in values else None
    plain = values.keys() <= {"viewer"}
    return Listing(statement, values, order, PostView._make, ids, searched, plain=plain)


@lru_cache(maxsize=512)
def _statements(given: frozenset[str], tag_count: int, detailed: bool) -> tuple[Select[Any], Select[Any]]:
    """The query for a set of filters, and that for the ids alone, built once: values are bound when they run."""
    filters: list[ColumnElement[bool]] = []
    if "text" in given and "trigrams" not in given:
        filters.append(contains(posts.c.title_folded, bindparam("text", type_=posts.c.title_folded.type)))
    if "author_id" in given:
        filters.append(posts.c.owner_id == bindparam("author_id"))
    if "published" in given:
        filters.append(posts.c.published == bindparam("published"))
    if "created_after" in given:
        filters.append(posts.c.created_at > bindparam("created_after"))
    if "created_before" in given:
        filters.append(posts.c.created_at < bindparam("created_before"))
    for index in range(tag_count):
        tagged = (
            select(literal(1))
            .select_from(post_tags.join(tags_table, tags_table.c.id == post_tags.c.tag_id))
            .where(post_tags.c.post_id == posts.c.id, tags_table.c.name == bindparam(f"tag_{index}"))
            .correlate(posts)
        )
        filters.append(tagged.exists())
    viewed = "viewer" in given
    return _VISIBLE[detailed, viewed].where(*filters), select(posts.c.id).where(_SEEN[viewed], *filters)


def create(
    connection: Connection, owner: int, *, title: str, content: str, published: bool = True, tags: Sequence[str] = ()
) -> PostView:
    """DomainError UNAUTHENTICATED when the owner has just been deleted (by the foreign key)."""
    written = {"title": title, "title_folded": folded(title), "content": content, "published": published}
    post_id: int = _INSERT.scalar(connection, {**written, "owner_id": owner, "moment": now()})
    if tags:
        add_tags(connection, post_id, tags)
    return get(connection, post_id, owner)


def change(
    connection: Connection, editor: int, post_id: int, changes: PostChanges, expected: Expected = None
) -> PostView:
    """Set the given fields and leave the rest.

    DomainError NOT_FOUND as in `get`; FORBIDDEN `not-the-owner` for another's published post; CHANGED
    `precondition-failed` for one of another revision than `expected`.
    """
    _lock_own(connection, editor, post_id, expected)
    values: dict[str, Any] = {key: value for key, value in changes.items() if key != "tags"}
    if "title" in changes:
        values["title_folded"] = folded(changes["title"])
    if changes:
        connection.execute(update(posts).where(posts.c.id == post_id).values(updated_at=now(), **values))
    if "tags" in changes:
        assign_tags(connection, post_id, changes["tags"])
    return get(connection, post_id, editor)


def remove(connection: Connection, editor: int, post_id: int, expected: Expected = None) -> None:
    """Delete a post with its votes and tags. Refused as in `change`."""
    _lock_own(connection, editor, post_id, expected)
    connection.execute(delete(posts).where(posts.c.id == post_id))


def _lock_own(connection: Connection, editor: int, post_id: int, expected: Expected) -> None:
    row = connection.execute(
        select(posts.c.owner_id, posts.c.published, posts.c.revision).where(posts.c.id == post_id).with_for_update()
    ).first()
    if row is None or (row.owner_id != editor and not row.published):
        raise errors.post_not_found()
    if row.owner_id != editor:
        raise errors.not_the_owner()
    require(expected, row.revision)
