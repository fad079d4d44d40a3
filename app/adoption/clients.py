"""The registered clients, and what was said for them."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from app.adoption.models import ApiClient, api_clients, consents
from app.db.types import insert
from app.domain.clock import now
from app.domain.errors import DomainError, Kind

ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class ClientView(NamedTuple):
    id: str
    name: str
    contact: str
    pinned_version: str | None
    owner_id: int | None
    brownout_exempt: bool
    created_at: datetime


class ConsentView(NamedTuple):
    client_id: str
    version: str
    sunset: datetime
    given_at: datetime


_VIEW = sa.select(*(api_clients.c[name] for name in ClientView._fields))
_KNOWN = sa.select(api_clients.c.id).where(api_clients.c.id == sa.bindparam("client_id"))


def known(connection: Connection, client_id: str | None) -> str | None:
    """The id, if a client is registered under it: what a token may name."""
    if client_id is None:
        return None
    return connection.execute(_KNOWN, {"client_id": client_id}).scalar()


def listed(connection: Connection) -> list[ClientView]:
    """All clients by id."""
    return [ClientView._make(row) for row in connection.execute(_VIEW.order_by(api_clients.c.id))]


def get(connection: Connection, client_id: str) -> ClientView:
    """DomainError NOT_FOUND `client-not-found`."""
    row = connection.execute(_VIEW.where(api_clients.c.id == client_id)).first()
    if row is None:
        raise not_found()
    return ClientView._make(row)


def register(
    session: Session,
    client_id: str,
    *,
    name: str,
    contact: str,
    pinned_version: str | None = None,
    owner_id: int | None = None,
) -> ClientView:
    """DomainError CONFLICT `client-id-taken`."""
    if known(session.connection(), client_id) is not None:
        raise DomainError(Kind.CONFLICT, "client-id-taken", "A client with this id is registered")
    session.add(
        ApiClient(
            id=client_id,
            name=name,
            contact=contact,
            pinned_version=pinned_version,
            owner_id=owner_id,
            created_at=now(),
        )
    )
    session.flush()
    return get(session.connection(), client_id)


def change(session: Session, client_id: str, **values: str | int | bool | None) -> ClientView:
    """Set the given columns. DomainError NOT_FOUND `client-not-found`."""
    if values:
        session.execute(sa.update(api_clients).where(api_clients.c.id == client_id).values(**values))
    return get(session.connection(), client_id)


def remove(session: Session, client_id: str) -> None:
    """Forget a client; what it has used stays in the ledger. DomainError NOT_FOUND `client-not-found`."""
    get(session.connection(), client_id)
    session.execute(sa.delete(api_clients).where(api_clients.c.id == client_id))


def consent(session: Session, client_id: str, version: str, sunset: datetime) -> ConsentView:
    """Note that the client's owner has read the date on which a version ends."""
    statement = insert(session.connection(), consents)
    given = ConsentView(client_id, version, sunset, now())
    session.execute(
        statement.on_conflict_do_update(
            index_elements=list(consents.primary_key),
            set_={"sunset": statement.excluded.sunset, "given_at": statement.excluded.given_at},
        ),
        [given._asdict()],
    )
    return given


def consents_to(connection: Connection, version: str, sunset: datetime | None) -> dict[str, datetime]:
    """When each client consented to this sunset of the version; a consent to another date does not count."""
    statement = sa.select(consents.c.client_id, consents.c.given_at).where(
        consents.c.version == version, consents.c.sunset == sunset
    )
    return {row.client_id: row.given_at for row in connection.execute(statement)}


def not_found() -> DomainError:
    return DomainError(Kind.NOT_FOUND, "client-not-found", "No such client")
