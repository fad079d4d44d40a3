"""People: signing up, profiles, leaving."""

from datetime import datetime
from typing import NamedTuple, TypedDict

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from app.db import Query
from app.domain import errors
from app.domain.clock import now
from app.domain.models import User, posts, sessions, users, votes
from app.domain.revisions import Expected, require
from app.domain.text import folded


class UserView(NamedTuple):
    """A user as stored; what of it is shown is a version's business. `display_name` None means the default one."""

    id: int
    email: str
    chosen_name: str | None
    bio: str | None
    created_at: datetime
    updated_at: datetime
    revision: int

    @property
    def display_name(self) -> str:
        return display_name(self.id, self.chosen_name)


class ProfileChanges(TypedDict, total=False):
    """The fields to set; None takes back what was chosen."""

    display_name: str | None
    bio: str | None


class Credentials(NamedTuple):
    user_id: int
    password_hash: str | None  # None: no password has been set


_BY_ID = Query(
    select(
        users.c.id,
        users.c.email,
        users.c.display_name,
        users.c.bio,
        users.c.created_at,
        users.c.updated_at,
        users.c.revision,
    ).where(users.c.id == bindparam("user_id"))
)
_CREDENTIALS = select(users.c.id, users.c.password_hash)
_CREDENTIALS_BY_EMAIL = Query(_CREDENTIALS.where(users.c.email_key == bindparam("email_key")))
_CREDENTIALS_BY_ID = Query(_CREDENTIALS.where(users.c.id == bindparam("user_id")))
_LOCKED_HASH = Query(select(users.c.password_hash).where(users.c.id == bindparam("user_id")).with_for_update())


def display_name(user_id: int, chosen: str | None) -> str:
    """The name shown: the chosen one, else `user-<id>`."""
    return chosen if chosen is not None else f"user-{user_id}"


def create(
    session: Session, *, email: str, password_hash: str | None, display_name: str | None = None, is_admin: bool = False
) -> UserView:
    """Sign somebody up. DomainError CONFLICT `email-taken`, also when two sign-ups race (by the unique key)."""
    if session.scalar(select(users.c.id).where(users.c.email_key == folded(email))) is not None:
        raise errors.email_taken()
    moment = now()
    user = User(
        email=email,
        email_key=folded(email),
        password_hash=password_hash,
        display_name=display_name,
        is_admin=is_admin,
        created_at=moment,
        updated_at=moment,
    )
    session.add(user)
    session.flush()
    return UserView(user.id, email, display_name, None, moment, moment, user.revision)


def get(connection: Connection, user_id: int) -> UserView:
    """DomainError NOT_FOUND `user-not-found`."""
    row = _BY_ID.first(connection, {"user_id": user_id})
    if row is None:
        raise errors.user_not_found()
    return UserView._make(row)


def change_profile(session: Session, user_id: int, changes: ProfileChanges, expected: Expected = None) -> UserView:
    """Set the given fields and leave the rest. DomainError CHANGED for another revision than `expected`."""
    user = session.get(User, user_id, with_for_update=True)
    if user is None:
        raise errors.unauthenticated()
    require(expected, user.revision)
    altered = {field: value for field, value in changes.items() if getattr(user, field) != value}
    for field, value in altered.items():
        setattr(user, field, value)
    if altered:
        user.updated_at = now()
        session.flush()
    return UserView(user.id, user.email, user.display_name, user.bio, user.created_at, user.updated_at, user.revision)


def remove(session: Session, user_id: int, expected: Expected = None) -> None:
    """Delete a user with their posts, votes and sessions; the counters of the posts they voted on follow.

    DomainError CHANGED for another revision than `expected`.
    """
    # Locked in this order, the user first and posts by id, as everywhere: no cycle, no deadlock. Whoever is about
    # to vote as this user waits here and then finds nobody.
    require(expected, session.scalar(select(users.c.revision).where(users.c.id == user_id).with_for_update()))
    voted = select(votes.c.post_id).where(votes.c.user_id == user_id)
    touched = (posts.c.id.in_(voted)) | (posts.c.owner_id == user_id)
    session.execute(select(posts.c.id).where(touched).order_by(posts.c.id).with_for_update())
    for value, counter in ((1, posts.c.votes_up), (-1, posts.c.votes_down)):
        session.execute(
            update(posts).where(posts.c.id.in_(voted.where(votes.c.value == value))).values({counter: counter - 1})
        )
    session.execute(delete(users).where(users.c.id == user_id))


def credentials(connection: Connection, email: str) -> Credentials | None:
    """What a login is checked against, found without regard to case; None for an unknown e-mail."""
    row = _CREDENTIALS_BY_EMAIL.first(connection, {"email_key": folded(email)})
    return Credentials._make(row) if row else None


def credentials_of(connection: Connection, user_id: int) -> Credentials:
    """As `credentials`, by id. DomainError UNAUTHENTICATED when the user is gone."""
    row = _CREDENTIALS_BY_ID.first(connection, {"user_id": user_id})
    if row is None:
        raise errors.unauthenticated()
    return Credentials._make(row)


def lock_password_hash(session: Session, user_id: int) -> str | None:
    """The hash that counts, which nobody changes until the transaction ends; None without a password or a user."""
    password_hash: str | None = _LOCKED_HASH.scalar(session.connection(), {"user_id": user_id})
    return password_hash


def set_password_hash(session: Session, user_id: int, password_hash: str) -> None:
    session.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash, updated_at=now()))


def is_administrator(connection: Connection, user_id: int) -> bool:
    """Whether the user is an administrator; a user who is gone is none."""
    return bool(connection.execute(select(users.c.is_admin).where(users.c.id == user_id)).scalar())


def require_administrator(connection: Connection, user_id: int) -> None:
    """DomainError FORBIDDEN `administrators-only` for anybody else."""
    if not is_administrator(connection, user_id):
        raise errors.administrators_only()


def id_of(connection: Connection, email: str) -> int:
    """The id of the user with this e-mail, in any case. DomainError NOT_FOUND `user-not-found`."""
    found = credentials(connection, email)
    if found is None:
        raise errors.user_not_found()
    return found.user_id


def hold(session: Session, user_id: int) -> None:
    """Keep a user from being deleted until the transaction ends. DomainError NOT_FOUND `user-not-found`."""
    if session.scalar(select(users.c.id).where(users.c.id == user_id).with_for_update(key_share=True)) is None:
        raise errors.user_not_found()


def promote(session: Session, email: str) -> None:
    """Make somebody an administrator. DomainError NOT_FOUND."""
    user_id = id_of(session.connection(), email)
    session.execute(update(users).where(users.c.id == user_id).values(is_admin=True, updated_at=now()))


def reset_password(session: Session, email: str, password_hash: str) -> None:
    """Set a password without knowing the old one, and end every session of the account. DomainError NOT_FOUND."""
    user_id = id_of(session.connection(), email)
    set_password_hash(session, user_id, password_hash)
    session.execute(delete(sessions).where(sessions.c.user_id == user_id))
