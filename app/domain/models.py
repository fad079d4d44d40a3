"""The tables. Entities describe them; statements are over `Entity.__table__` (docs/decisions/0003)."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Text,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.db.types import Id, OrderedString, OrderedText, UtcDateTime

# Long titles sort by their beginning: PostgreSQL cannot index a value of more than 2,700 bytes.
SORTED_TITLE_CHARACTERS = 300


def _revision() -> Mapped[int]:
    """How often a row was changed: every UPDATE that SQLAlchemy writes counts it up, in SQL."""
    return mapped_column(Id, default=1, server_default="1", onupdate=text("revision + 1"))


class Base(DeclarativeBase):
    # Names made by rule, so that errors and migrations can speak of a constraint on either database.
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class User(Base):
    __tablename__ = "users"
    # AUTOINCREMENT: an id is never given out twice, so a deleted user's token can never mean somebody else.
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(String)  # as typed
    email_key: Mapped[str] = mapped_column(OrderedString, unique=True)  # as compared
    password_hash: Mapped[str | None] = mapped_column(String)  # None: no password has been set, nobody can log in
    display_name: Mapped[str | None] = mapped_column(String)  # None: user-<id>
    bio: Mapped[str | None] = mapped_column(Text)
    is_admin: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revision: Mapped[int] = _revision()


class LoginSession(Base):
    """What one login began: every token issued since then belongs to it and ends with it."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    only_token: Mapped[str | None] = mapped_column(String(32))  # after a password change: the one that is still good
    client_id: Mapped[str | None] = mapped_column(String(64))  # the registered client that opened it
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RefreshToken(Base):
    """One link in a session's chain; only the token's hash is kept."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LoginFailures(Base):
    """How often a password was guessed in vain of late, or is being guessed; see `throttling`."""

    __tablename__ = "login_failures"

    target_hash: Mapped[str] = mapped_column(String(64), primary_key=True)  # of whom, known or not
    failures: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Post(Base):
    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    title_folded: Mapped[str] = mapped_column(Text)  # for search; databases fold case differently, Python decides
    title_sort: Mapped[str] = mapped_column(
        OrderedText, Computed(f"substr(title, 1, {SORTED_TITLE_CHARACTERS})", persisted=True)
    )
    content: Mapped[str] = mapped_column(Text)
    published: Mapped[bool]
    owner_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    # Counters always equal the rows of `votes`: both change in one transaction, under the post's row lock.
    votes_up: Mapped[int] = mapped_column(Id, default=0)
    votes_down: Mapped[int] = mapped_column(Id, default=0)
    score: Mapped[int] = mapped_column(Id, Computed("votes_up - votes_down", persisted=True))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revision: Mapped[int] = _revision()

    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "score", "id"),
        Index(None, "title_sort", "id"),
        Index(None, "owner_id", "id"),
        Index(None, "id", "published", "owner_id"),  # who sees which: an offset passes over rows by this alone
        {"sqlite_autoincrement": True},
    )


class Tag(Base):
    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(OrderedString, unique=True)


class PostTag(Base):
    __tablename__ = "post_tags"

    post_id: Mapped[int] = mapped_column(Id, ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(Id, ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger)  # tags keep the order their author gave them

    __table_args__ = (Index(None, "tag_id", "post_id"),)


class Vote(Base):
    __tablename__ = "votes"

    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    post_id: Mapped[int] = mapped_column(Id, ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    value: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("value IN (-1, 1)", name="value"),
        Index(None, "post_id", "user_id"),
    )


class IdempotencyKey(Base):
    """That a request was done, and how it was answered, for whoever sends it again."""

    __tablename__ = "idempotency_keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # hash of account, operation and key
    reply: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed; None until the request is done
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


users = User.metadata.tables["users"]
sessions = User.metadata.tables["sessions"]
refresh_tokens = User.metadata.tables["refresh_tokens"]
login_failures = User.metadata.tables["login_failures"]
posts = User.metadata.tables["posts"]
tags = User.metadata.tables["tags"]
post_tags = User.metadata.tables["post_tags"]
votes = User.metadata.tables["votes"]
idempotency_keys = User.metadata.tables["idempotency_keys"]
