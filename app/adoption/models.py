"""The tables of what operators know of the API's clients."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import Id, OrderedString, UtcDateTime
from app.domain.models import Base


class ApiClient(Base):
    """A program that calls the API. Its id is in the tokens it obtains."""

    __tablename__ = "api_clients"

    id: Mapped[str] = mapped_column(OrderedString, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    contact: Mapped[str] = mapped_column(Text)  # whom to write to before something changes
    pinned_version: Mapped[str | None] = mapped_column(String(32))
    owner_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id", ondelete="SET NULL"), index=True)
    brownout_exempt: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Consent(Base):
    """That a client's owner has read the date: of one sunset of one version."""

    __tablename__ = "client_consents"

    client_id: Mapped[str] = mapped_column(
        OrderedString, ForeignKey("api_clients.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    sunset: Mapped[datetime] = mapped_column(UtcDateTime)  # a consent to one date is none to another
    given_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PlannedBrownout(Base):
    __tablename__ = "brownouts"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    version: Mapped[str] = mapped_column(String(32))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    client: Mapped[str | None] = mapped_column(String(64))  # None: any; it need not be a registered one
    percentage: Mapped[int] = mapped_column(SmallInteger)
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="window"),
        CheckConstraint("percentage BETWEEN 1 AND 100", name="percentage"),
        {"sqlite_autoincrement": True},
    )


class Switch(Base):
    """What every worker must know to have happened: that an operator switched something on, what one of them did."""

    __tablename__ = "switches"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Usage(Base):
    """How often a client has called an operation within an hour, or within a day once it is rolled up."""

    __tablename__ = "usage"

    starts_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    operation: Mapped[str] = mapped_column(String(255), primary_key=True)
    client: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(String(16), primary_key=True)
    status_class: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    calls: Mapped[int] = mapped_column(Id)

    __table_args__ = (Index(None, "version", "starts_at"), Index(None, "client", "starts_at"))


class FieldUsage(Base):
    """How often a client has sent a parameter or a field of a body."""

    __tablename__ = "usage_fields"

    starts_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    operation: Mapped[str] = mapped_column(String(255), primary_key=True)
    client: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(String(16), primary_key=True)
    place: Mapped[str] = mapped_column(String(8), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    calls: Mapped[int] = mapped_column(Id)

    __table_args__ = (Index(None, "version", "starts_at"),)


api_clients = Base.metadata.tables["api_clients"]
consents = Base.metadata.tables["client_consents"]
brownouts = Base.metadata.tables["brownouts"]
switches = Base.metadata.tables["switches"]
usage = Base.metadata.tables["usage"]
usage_fields = Base.metadata.tables["usage_fields"]
