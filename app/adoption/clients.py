"""The registered clients, and what was said for them."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, TypedDict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.adoption.models import api_clients, consents
from app.db import Query
from app.db.types import insert
from app.domain import sessions, users
from app.domain.clock import now
from app.domain.errors import DomainError, Kind
from app.domain.listing import Listing, Order

ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class ClientView(NamedTuple):
    id: str
    name: str
    contact: str
    pinned_version: str | None
    owner_id: int | None
    brownout_exempt: bool
    created_at: datetime

    def drift(self, called: Iterable[str]) -> list[str]:
        """Of the versions it has called, those it is not pinned to; none when it is pinned to none."""
        return [version for version in called if self.pinned_version not in (None, version)]


class ClientChanges(TypedDict, total=False):
    """The fields to set; None takes back what was said."""

    name: str
    contact: str
    pinned_version: str | None
    owner_id: int | None
    brownout_exempt: bool


class ConsentView(NamedTuple):
    client_id: str
    version: str
    sunset: datetime
    given_at: datetime


_VIEW = sa.select(*(api_clients.c[name] for name in ClientView._fields))
_BY_ID = Order[ClientView](columns=(api_clients.c.id,), position_of=lambda client: (client.id,))
_KNOWN = Query(sa.select(api_clients.c.id).where(api_clients.c.id == sa.bindparam("client_id")))


def known(connection: Connection, client_id: str | None) -> str | None:
    """The id, if a client is registered under it: what a token may name."""
    if client_id is None:
        return None
    found: str | None = _KNOWN.scalar(connection, {"client_id": client_id})
    return found


def pins(connection: Connection, client_ids: Iterable[str]) -> dict[str, str]:
    """The version that each of these clients is pinned to, by client; those that are not registered are left out."""
    statement = sa.select(api_clients.c.id, api_clients.c.pinned_version).where(
        api_clients.c.id.in_(list(client_ids)), api_clients.c.pinned_version.is_not(None)
    )
    return {row.id: row.pinned_version for row in connection.execute(statement)}


def listing() -> Listing[ClientView]:
    """All clients by id."""
    return Listing(_VIEW, {}, _BY_ID, ClientView._make)


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
    connection: Connection,
    client_id: str,
    *,
    name: str,
    contact: str,
    pinned_version: str | None = None,
    owner_id: int | None = None,
) -> ClientView:
    """DomainError CONFLICT `client-id-taken`, also when two race; NOT_FOUND `user-not-found` for an unknown owner."""
    if owner_id is not None:
        users.hold(connection, owner_id)
    client = ClientView(client_id, name, contact, pinned_version, owner_id, brownout_exempt=False, created_at=now())
    statement = insert(connection.dialect.name, api_clients).on_conflict_do_nothing()
    if connection.execute(statement.values(client._asdict())).rowcount == 0:
        raise DomainError(Kind.CONFLICT, "client-id-taken", "A client with this id is registered")
    return client


def change(connection: Connection, client_id: str, changes: ClientChanges) -> ClientView:
    """Set the given fields. DomainError NOT_FOUND `client-not-found`, or `user-not-found` for an unknown owner."""
    if (owner_id := changes.get("owner_id")) is not None:
        users.hold(connection, owner_id)
    if changes:
        connection.execute(sa.update(api_clients).where(api_clients.c.id == client_id).values(**changes))
    return get(connection, client_id)


def remove(connection: Connection, client_id: str) -> None:
    """Forget a client, in its sessions too; what it has used stays in the ledger.

    DomainError NOT_FOUND `client-not-found`.
    """
    get(connection, client_id)
    connection.execute(sa.delete(api_clients).where(api_clients.c.id == client_id))
    sessions.forget_client(connection, client_id)


def consent(connection: Connection, client_id: str, version: str, sunset: datetime) -> ConsentView:
    """Note that the client's owner has read the date on which a version ends."""
    statement = insert(connection.dialect.name, consents)
    given = ConsentView(client_id, version, sunset, now())
    connection.execute(
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


def consent_of(connection: Connection, client_id: str, version: str) -> ConsentView:
    """What was last consented to. DomainError NOT_FOUND `consent-not-found`."""
    statement = sa.select(*(consents.c[name] for name in ConsentView._fields)).where(
        consents.c.client_id == client_id, consents.c.version == version
    )
    row = connection.execute(statement).first()
    if row is None:
        raise DomainError(Kind.NOT_FOUND, "consent-not-found", "No date of this version was consented to")
    return ConsentView._make(row)


def seen_by(connection: Connection, client_id: str, user_id: int) -> ClientView:
    """A client, for its owner or an administrator. DomainError NOT_FOUND `client-not-found` for anybody else."""
    client = get(connection, client_id)
    if client.owner_id != user_id and not users.is_administrator(connection, user_id):
        raise not_found()
    return client


def not_found() -> DomainError:
    return DomainError(Kind.NOT_FOUND, "client-not-found", "No such client")
