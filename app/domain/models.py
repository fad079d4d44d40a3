"""The tables. Nobody makes entities of their rows (docs/decisions/0003), so SQLAlchemy's ORM is not loaded."""

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from app.db.types import Id, OrderedString, OrderedText, UtcDateTime

# Long titles sort by their beginning: PostgreSQL cannot index a value of more than 2,700 bytes.
SORTED_TITLE_CHARACTERS = 300

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


def _revision() -> Column[Any]:
    """How often a row was changed: every UPDATE that SQLAlchemy writes counts it up, in SQL."""
    return Column("revision", Id, nullable=False, default=1, server_default="1", onupdate=text("revision + 1"))


users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("email", String, nullable=False),  # as typed
    Column("email_key", OrderedString, nullable=False, unique=True),  # as compared
    Column("password_hash", String),  # NULL: no password has been set, nobody can log in
    Column("display_name", String),  # NULL: user-<id>
    Column("bio", Text),
    Column("is_admin", Boolean, nullable=False, default=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    _revision(),
    # AUTOINCREMENT: an id is never given out twice, so a deleted user's token can never mean somebody else.
    sqlite_autoincrement=True,
)

# What one login began: every token issued since then belongs to it and ends with it.
sessions = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("only_token", String(32)),  # after a password change: the one that is still good
    Column("client_id", String(64)),  # the registered client that opened it
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

# The links in sessions' chains; only the tokens' hashes are kept.
refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
)

# How often a password was guessed in vain of late, or is being guessed; see `throttling`.
login_failures = Table(
    "login_failures",
    metadata,
    Column("target_hash", String(64), primary_key=True),  # of whom, known or not
    Column("failures", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

posts = Table(
    "posts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("title", Text, nullable=False),
    Column("title_folded", Text, nullable=False),  # for search; databases fold case differently, Python decides
    Column(
        "title_sort",
        OrderedText,
        Computed(f"substr(title, 1, {SORTED_TITLE_CHARACTERS})", persisted=True),
        nullable=False,
    ),
    Column("content", Text, nullable=False),
    Column("published", Boolean, nullable=False),
    Column("owner_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    # Counters always equal the rows of `votes`: both change in one transaction, under the post's row lock.
    Column("votes_up", Id, nullable=False, default=0),
    Column("votes_down", Id, nullable=False, default=0),
    Column("score", Id, Computed("votes_up - votes_down", persisted=True), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    _revision(),
    Index(None, "created_at", "id"),
    Index(None, "score", "id"),
    Index(None, "title_sort", "id"),
    Index(None, "owner_id", "id"),
    Index(None, "id", "published", "owner_id"),  # who sees which: an offset passes over rows by this alone
    sqlite_autoincrement=True,
)

tags = Table(
    "tags",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", OrderedString, nullable=False, unique=True),
)

post_tags = Table(
    "post_tags",
    metadata,
    Column("post_id", Id, ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", Id, ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
    Column("position", SmallInteger, nullable=False),  # tags keep the order their author gave them
    Index(None, "tag_id", "post_id"),
)

votes = Table(
    "votes",
    metadata,
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("post_id", Id, ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True),
    Column("value", SmallInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("value IN (-1, 1)", name="value"),
    Index(None, "post_id", "user_id"),
)

# That a request was done, and how it was answered, for whoever sends it again.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("id", String(64), primary_key=True),  # hash of account, operation and key
    Column("reply", LargeBinary),  # sealed; NULL until the request is done
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)
