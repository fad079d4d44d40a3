"""The tables of what operators know of the API's clients."""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, SmallInteger, String, Table, Text

from app.db.types import Id, OrderedString, UtcDateTime
from app.domain.models import metadata

# The programs that call the API. A client's id is in the tokens it obtains.
api_clients = Table(
    "api_clients",
    metadata,
    Column("id", OrderedString, primary_key=True),
    Column("name", Text, nullable=False),
    Column("contact", Text, nullable=False),  # whom to write to before something changes
    Column("pinned_version", String(32)),
    Column("owner_id", Id, ForeignKey("users.id", ondelete="SET NULL"), index=True),
    Column("brownout_exempt", Boolean, nullable=False, default=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# That a client's owner has read the date: of one sunset of one version.
consents = Table(
    "client_consents",
    metadata,
    Column("client_id", OrderedString, ForeignKey("api_clients.id", ondelete="CASCADE"), primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("sunset", UtcDateTime, nullable=False),  # a consent to one date is none to another
    Column("given_at", UtcDateTime, nullable=False),
)

brownouts = Table(
    "brownouts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("version", String(32), nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("client", String(64)),  # NULL: any; it need not be a registered one
    Column("percentage", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("cancelled_at", UtcDateTime),
    CheckConstraint("ends_at > starts_at", name="window"),
    CheckConstraint("percentage BETWEEN 1 AND 100", name="percentage"),
    sqlite_autoincrement=True,
)

# What every worker must know to have happened: that an operator switched something on, what one of them did.
switches = Table(
    "switches",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("changed_at", UtcDateTime, nullable=False),
)

# How often a client has called an operation within an hour, or within a day once it is rolled up.
usage = Table(
    "usage",
    metadata,
    Column("starts_at", UtcDateTime, primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("operation", String(255), primary_key=True),
    Column("client", String(64), primary_key=True),
    Column("source", String(16), primary_key=True),
    Column("status_class", SmallInteger, primary_key=True),
    Column("calls", Id, nullable=False),
    Index(None, "version", "starts_at"),
    Index(None, "client", "starts_at"),
)

# How often a client has sent a parameter or a field of a body.
usage_fields = Table(
    "usage_fields",
    metadata,
    Column("starts_at", UtcDateTime, primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("operation", String(255), primary_key=True),
    Column("client", String(64), primary_key=True),
    Column("source", String(16), primary_key=True),
    Column("place", String(8), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("calls", Id, nullable=False),
    Index(None, "version", "starts_at"),
)
