"""People: signing up, profiles, leaving."""

from datetime import datetime
from typing import NamedTuple, TypedDict

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from app.db import Query
from app.domain import errors
from app.domain.clock import now
from app.domain.models import posts, sessions, users, votes
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


_SHOWN = (
    users.c.id,
    users.c.email,
    users.c.display_name,
    users.c.bio,
    users.c.created_at,
    users.c.updated_at,
    users.c.revision,
)
_USER = select(*_SHOWN).where(users.c.id == bindparam("user_id"))
_BY_ID = Query(_USER)
_LOCKED = Query(_USER.with_for_update())
_CREDENTIALS = select(users.c.id, users.c.password_hash)
_CREDENTIALS_BY_EMAIL = Query(_CREDENTIALS.where(users.c.email_key == bindparam("email_key")))
_CREDENTIALS_BY_ID = Query(_CREDENTIALS.where(users.c.id == bindparam("user_id")))
# Against a new password and a deletion: an import, whose foreign keys hold the row, keeps nobody from logging in.
_LOCKED_HASH = Query(
    select(users.c.password_hash).where(users.c.id == bindparam("user_id")).with_for_update(key_share=True)
)


def display_name(user_id: int, chosen: str | None) -> str:
    """The name shown: the chosen one, else `user-<id>`."""
    return chosen if chosen is not None else f"user-{user_id}"


def create(
    connection: Connection,
    *,
    email: str,
    password_hash: str | None,
    display_name: str | None = None,
    is_admin: bool = False,
) -> UserView:
    """Sign somebody up. DomainError CONFLICT `email-taken`, also when two sign-ups race (by the unique key)."""
    if connection.scalar(select(users.c.id).where(users.c.email_key == folded(email))) is not None:
        raise errors.email_taken()
    moment = now()
    values = {
        "email": email,
        "email_key": folded(email),
        "password_hash": password_hash,
        "display_name": display_name,
        "is_admin": is_admin,
        "created_at": moment,
        "updated_at": moment,
    }
    return UserView._make(connection.execute(insert(users).values(values).returning(*_SHOWN)).one())


def get(connection: Connection, user_id: int) -> UserView:
    """DomainError NOT_FOUND `user-not-found`."""
    row = _BY_ID.first(connection, {"user_id": user_id})
    if row is None:
        raise errors.user_not_found()
    return UserView._make(row)


def change_profile(
    connection: Connection, user_id: int, changes: ProfileChanges, expected: Expected = None
) -> UserView:
    """Set the given fields and leave the rest. DomainError CHANGED for another revision than `expected`."""
    row = _LOCKED.first(connection, {"user_id": user_id})
    if row is None:
        raise errors.unauthenticated()
    user = UserView._make(row)
    require(expected, user.revision)
    present = {"display_name": user.chosen_name, "bio": user.bio}
    altered = {field: value for field, value in changes.items() if present[field] != value}
    if not altered:
        return user
    values = altered | {"updated_at": now()}
    changed = connection.execute(update(users).where(users.c.id == user_id).values(values).returning(*_SHOWN)).one()
    return UserView._make(changed)


def remove(connection: Connection, user_id: int, expected: Expected = None) -> None:
    """Delete a user with their posts, votes and sessions; the counters of the posts they voted on follow.

    DomainError CHANGED for another revision than `expected`.
    """
    # Locked in this order, the user first and posts by id, as everywhere: no cycle, no deadlock. Whoever is about
    # to vote as this user waits here and then finds nobody.
    require(expected, connection.scalar(select(users.c.revision).where(users.c.id == user_id).with_for_update()))
    voted = select(votes.c.post_id).where(votes.c.user_id == user_id)
    touched = (posts.c.id.in_(voted)) | (posts.c.owner_id == user_id)
    connection.execute(select(posts.c.id).where(touched).order_by(posts.c.id).with_for_update())
    for value, counter in ((1, posts.c.votes_up), (-1, posts.c.votes_down)):
        connection.execute(
            update(posts).where(posts.c.id.in_(voted.where(votes.c.value == value))).values({counter: counter - 1})
        )
    connection.execute(delete(users).where(users.c.id == user_id))


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


def lock_password_hash(connection: Connection, user_id: int) -> str | None:
    """The hash that counts, which nobody changes until the transaction ends; None without a password or a user."""
    password_hash: str | None = _LOCKED_HASH.scalar(connection, {"user_id": user_id})
    return password_hash


def set_password_hash(connection: Connection, user_id: int, password_hash: str) -> None:
    connection.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash, updated_at=now()))


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


def hold(connection: Connection, user_id: int) -> None:
    """Keep a user from being deleted until the transaction ends. DomainError NOT_FOUND `user-not-found`."""
    if connection.scalar(select(users.c.id).where(users.c.id == user_id).with_for_update(key_share=True)) is None:
        raise errors.user_not_found()


def promote(connection: Connection, email: str) -> None:
    """Make somebody an administrator. DomainError NOT_FOUND."""
    user_id = id_of(connection, email)
    connection.execute(update(users).where(users.c.id == user_id).values(is_admin=True, updated_at=now()))


def reset_password(connection: Connection, email: str, password_hash: str) -> None:
    """Set a password without knowing the old one, and end every session of the account. DomainError NOT_FOUND."""
    user_id = id_of(connection, email)
    set_password_hash(connection, user_id, password_hash)
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
