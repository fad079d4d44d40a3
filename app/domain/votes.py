"""Votes: one a user and post, and counters that always equal the rows."""

from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, insert, or_, select, update

from app.db import Connection, Query
from app.domain import errors
from app.domain.clock import now
from app.domain.models import posts, users, votes

_VOTER = Query(select(users.c.id).where(users.c.id == bindparam("voter")).with_for_update(key_share=True))
_VISIBLE = and_(posts.c.id == bindparam("post"), or_(posts.c.published, posts.c.owner_id == bindparam("voter")))
_MINE = and_(votes.c.post_id == bindparam("post"), votes.c.user_id == bindparam("voter"))
_STANDING = Query(
    select(votes.c.value, posts.c.votes_up, posts.c.votes_down)
    .select_from(posts.outerjoin(votes, _MINE))
    .where(_VISIBLE)
)
_COUNT = Query(
    update(posts)
    .where(_VISIBLE)
    .values(votes_up=posts.c.votes_up + bindparam("more_up"), votes_down=posts.c.votes_down + bindparam("more_down"))
    .returning(posts.c.votes_up, posts.c.votes_down)
)
_ADD = Query(
    insert(votes).values(
        post_id=bindparam("post"), user_id=bindparam("voter"), value=bindparam("after"), created_at=bindparam("moment")
    )
)
_TURN = Query(update(votes).where(_MINE).values(value=bindparam("after"), created_at=bindparam("moment")))
_TAKE_BACK = Query(delete(votes).where(_MINE))


class Tally(NamedTuple):
    """The counters of a post."""

    up: int
    down: int


def put(connection: Connection, voter: int, post_id: int, value: int) -> Tally:
    """Make the voter's vote `value` (+1 or -1), whatever it was."""
    before, tally = _stand(connection, voter, post_id)
    # When nothing changes the post keeps its revision, too.
    return tally if before == value else _move(connection, voter, post_id, before, value)


def remove(connection: Connection, voter: int, post_id: int) -> None:
    """Take the voter's vote back, if there is one."""
    before, _ = _stand(connection, voter, post_id)
    if before is not None:
        _move(connection, voter, post_id, before, None)


def add_up_vote(connection: Connection, voter: int, post_id: int) -> None:
    """As `put` with +1, but CONFLICT `already-voted` when that is the vote already."""
    before, _ = _stand(connection, voter, post_id)
    if before == 1:
        raise errors.already_voted()
    _move(connection, voter, post_id, before, 1)


def remove_up_vote(connection: Connection, voter: int, post_id: int) -> None:
    """As `remove`, but NOT_FOUND `vote-not-found` without an up-vote; a down-vote is left alone."""
    before, _ = _stand(connection, voter, post_id)
    if before != 1:
        raise errors.vote_not_found()
    _move(connection, voter, post_id, before, None)


def _stand(connection: Connection, voter: int, post_id: int) -> tuple[int | None, Tally]:
    """The voter's present vote, if any, which stays so until the transaction ends, and the post's counters so far.

    One person's votes wait for each other at the person's row; the post, which many vote on, is not locked yet.
    DomainError UNAUTHENTICATED for a voter who is gone, NOT_FOUND for no post or another's draft.
    """
    if _VOTER.scalar(connection, {"voter": voter}) is None:
        raise errors.unauthenticated()
    row = _STANDING.first(connection, {"voter": voter, "post": post_id})
    if row is None:
        raise errors.post_not_found()
    value, *counters = row
    return value, Tally._make(counters)


def _move(connection: Connection, voter: int, post_id: int, before: int | None, after: int | None) -> Tally:
    """Change the vote from one value to another (None: no vote), and the counters with it.

    Counting locks the post until the transaction ends. NOT_FOUND when it was deleted, or made a draft, meanwhile.
    """
    this_vote = {"voter": voter, "post": post_id}
    more = {"more_up": int(after == 1) - int(before == 1), "more_down": int(after == -1) - int(before == -1)}
    row = _COUNT.first(connection, {**this_vote, **more})
    if row is None:
        raise errors.post_not_found()
    if after is None:
        _TAKE_BACK.rows(connection, this_vote)
    else:
        vote = _ADD if before is None else _TURN
        vote.rows(connection, {**this_vote, "after": after, "moment": now()})
    return Tally._make(row)
