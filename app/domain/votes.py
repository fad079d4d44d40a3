"""Votes: one a user and post, and counters that always equal the rows."""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from app.domain import errors
from app.domain.clock import now
from app.domain.models import posts, users, votes

_VOTER = select(users.c.id).where(users.c.id == bindparam("voter")).with_for_update(read=True, key_share=True)
_POST = (
    select(posts.c.id)
    .where(posts.c.id == bindparam("post_id"), or_(posts.c.published, posts.c.owner_id == bindparam("voter")))
    .with_for_update(key_share=True)
)
_VOTE = select(votes.c.value).where(votes.c.post_id == bindparam("post_id"), votes.c.user_id == bindparam("voter"))


class Tally(NamedTuple):
    """The counters of a post."""

    up: int
    down: int


def put(session: Session, voter: int, post_id: int, value: int) -> Tally:
    """Make the voter's vote `value` (+1 or -1), whatever it was."""
    return _move(session, voter, post_id, _lock(session, voter, post_id), value)


def remove(session: Session, voter: int, post_id: int) -> None:
    """Take the voter's vote back, if there is one."""
    _move(session, voter, post_id, _lock(session, voter, post_id), None)


def add_up_vote(session: Session, voter: int, post_id: int) -> None:
    """As `put` with +1, but CONFLICT `already-voted` when that is the vote already."""
    before = _lock(session, voter, post_id)
    if before == 1:
        raise errors.already_voted()
    _move(session, voter, post_id, before, 1)


def remove_up_vote(session: Session, voter: int, post_id: int) -> None:
    """As `remove`, but NOT_FOUND `vote-not-found` without an up-vote; a down-vote is left alone."""
    before = _lock(session, voter, post_id)
    if before != 1:
        raise errors.vote_not_found()
    _move(session, voter, post_id, before, None)


def _lock(session: Session, voter: int, post_id: int) -> int | None:
    """Let nobody else vote on the post until the transaction ends; gives the voter's present vote, if any.

    The voter's row first and the post's second, as `users.remove` does, so that the two never wait for each other.
    DomainError UNAUTHENTICATED for a voter who is gone, NOT_FOUND for no post or another's draft.
    """
    if session.scalar(_VOTER, {"voter": voter}) is None:
        raise errors.unauthenticated()
    if session.scalar(_POST, {"post_id": post_id, "voter": voter}) is None:
        raise errors.post_not_found()
    return session.scalar(_VOTE, {"post_id": post_id, "voter": voter})


def _move(session: Session, voter: int, post_id: int, before: int | None, after: int | None) -> Tally:
    """Change the vote from one value to another (None: no vote), and the counters with it."""
    if before == after:  # nothing changes, so the post keeps its revision, too
        return Tally._make(
            session.execute(select(posts.c.votes_up, posts.c.votes_down).where(posts.c.id == post_id)).one()
        )
    this_vote = (votes.c.post_id == post_id) & (votes.c.user_id == voter)
    if before is None:
        session.execute(insert(votes).values(post_id=post_id, user_id=voter, value=after, created_at=now()))
    elif after is None:
        session.execute(delete(votes).where(this_vote))
    else:
        session.execute(update(votes).where(this_vote).values(value=after, created_at=now()))
    row = session.execute(
        update(posts)
        .where(posts.c.id == post_id)
        .values(
            votes_up=posts.c.votes_up + int(after == 1) - int(before == 1),
            votes_down=posts.c.votes_down + int(after == -1) - int(before == -1),
        )
        .returning(posts.c.votes_up, posts.c.votes_down)
    ).one()
    return Tally._make(row)
