"""Version 2: API clients, for administrators; an owner may look at their own."""

from datetime import datetime
from typing import Annotated, Any, Self, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.adoption import clients, ledger
from app.adoption.clients import ID_PATTERN, ClientChanges, ClientView
from app.adoption.ledger import Seen
from app.api.fields import Id
from app.api.idempotency import OnceOnly
from app.api.services import Services
from app.api.v2.auth import Caller
from app.api.v2.media import JSON, MERGE_PATCH
from app.api.v2.paging import Page, PageQuery, page_of
from app.api.v2.strict import StrictBody
from app.db import retried
from app.domain import users
from app.domain.clock import now
from app.domain.fields import Text
from app.versioning import Reply
from app.versioning.openapi import merge_patch_body, refusals, response_headers
from app.versioning.query_parameters import QueryOf
from app.versioning.usage import Activity, activity

router = APIRouter(prefix="/clients", tags=["clients"])

ClientId = Annotated[str, StringConstraints(strict=True, pattern=ID_PATTERN)]
Name = Annotated[Text, Field(min_length=1, max_length=100)]
Contact = Annotated[Text, Field(min_length=1, max_length=200)]
VersionName = Annotated[Text, Field(max_length=32)]  # no enumeration: which there are is not this version's to promise

_EXAMPLE_CLIENT: dict[str, Any] = {
    "id": "billing",
    "name": "Billing",
    "contact": "billing@example.com",
    "pinned_version": "v1",
    "owner_id": 1,
    "brownout_exempt": False,
    "created_at": "2026-01-31T12:00:00Z",
    "last_seen": "2026-03-01T12:00:00Z",
    "calls_7_days": 1200,
    "activity": "active",
    "drift": ["v2"],
}


class ClientCreate(StrictBody):
    id: ClientId = Field(examples=["billing"])
    name: Name = Field(examples=["Billing"])
    contact: Contact = Field(description="Whom to tell before something changes.", examples=["billing@example.com"])
    pinned_version: VersionName | None = Field(None, description="The only one it should call.", examples=["v1"])
    owner_id: Id | None = Field(None, description="The user who may look at it.", examples=[1])


class ClientPatch(StrictBody):
    """A merge patch (RFC 7396): null takes away the version it is pinned to, or its owner."""

    # A factory and not a default: absent means unchanged, and the document must not promise otherwise.
    name: Name = Field(default_factory=str, examples=["Billing"])
    contact: Contact = Field(default_factory=str, examples=["billing@example.com"])
    pinned_version: VersionName | None = Field(default_factory=str, examples=["v2"])
    owner_id: Id | None = Field(default_factory=int, examples=[1])
    brownout_exempt: bool = Field(default_factory=bool, description="Whether brownouts leave it out.")


class RegisteredClient(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_CLIENT]})

    id: str
    name: str
    contact: str
    pinned_version: str | None
    owner_id: int | None
    brownout_exempt: bool
    created_at: datetime
    last_seen: datetime | None = Field(description="To the hour, or to the day where it is long ago.")
    calls_7_days: int
    activity: str = Field(
        description="active (within 7 days), quiet, stale (from 30 on), gone (from 90 on), or unseen."
    )
    drift: list[str] = Field(description="Versions it has called within 7 days without being pinned to them.")

    @classmethod
    def of(cls, client: ClientView, seen: Seen | None) -> Self:
        alive: Activity = activity(seen.last if seen else None, now())
        calls = seen.calls if seen else {}
        return cls(
            id=client.id,
            name=client.name,
            contact=client.contact,
            pinned_version=client.pinned_version,
            owner_id=client.owner_id,
            brownout_exempt=client.brownout_exempt,
            created_at=client.created_at,
            last_seen=seen.last if seen else None,
            calls_7_days=sum(calls.values()),
            activity=alive,
            drift=client.drift(calls),
        )


class ClientPage(BaseModel):
    data: list[RegisteredClient]
    page: Page


_QUERY = QueryOf(PageQuery)


@router.get(
    "",
    response_model=ClientPage,
    responses={
        **response_headers(200, Link="The next and the previous page (RFC 8288).", required=False),
        **refusals(401, 403, status_400="The cursor does not belong to this list."),
    },
    openapi_extra=_QUERY.documented,
)
def list_clients(caller: Caller, query: Annotated[PageQuery, Depends(_QUERY)], request: Request) -> Reply[ClientPage]:
    """All registered clients by id, for administrators."""
    with caller.read() as (connection, user_id):
        users.require_administrator(connection, user_id)
        found, page, headers = page_of(clients.listing(), query, request, lambda client: client).ask(connection)
        seen = ledger.seen(connection, [client.id for client in found])
    return Reply(
        ClientPage(data=[RegisteredClient.of(client, seen.get(client.id)) for client in found], page=page), 200, headers
    )


@router.post(
    "",
    status_code=201,
    response_model=RegisteredClient,
    responses={
        **response_headers(201, Location="The path of the new client."),
        **refusals(
            401,
            403,
            415,
            status_404="There is no such owner.",
            status_409="The id is taken, or the Idempotency-Key in use.",
        ),
    },
    dependencies=[Depends(JSON)],
)
@retried
def register_client(body: ClientCreate, caller: Caller, once: OnceOnly) -> Reply[RegisteredClient]:
    """Register a client, for administrators. A login that names it gives tokens that name it."""
    with caller.write() as (connection, administrator):
        users.require_administrator(connection, administrator)
        if (replayed := once.claim(connection, administrator)) is not None:
            return replayed
        _check_version(body.pinned_version, caller.core)
        client = clients.register(
            connection,
            body.id,
            name=body.name,
            contact=body.contact,
            pinned_version=body.pinned_version,
            owner_id=body.owner_id,
        )
        reply = Reply(RegisteredClient.of(client, None), 201, {"Location": f"/v2/clients/{client.id}"})
        return once.keep(connection, administrator, reply)


@router.get("/{client_id}", response_model=RegisteredClient, responses=refusals(401, 404))
def get_client(client_id: ClientId, caller: Caller) -> Reply[RegisteredClient]:
    """Look at a client: administrators at any, others at those they own."""
    with caller.read() as (connection, user_id):
        client = clients.seen_by(connection, client_id, user_id)
        seen = ledger.seen(connection, [client_id])
    return Reply(RegisteredClient.of(client, seen.get(client_id)))


@router.patch(
    "/{client_id}",
    response_model=RegisteredClient,
    responses=refusals(401, 403, 415, status_404="There is no such client, or no such owner."),
    dependencies=[Depends(MERGE_PATCH)],
    openapi_extra=merge_patch_body("ClientPatch"),
)
@retried
def update_client(client_id: ClientId, body: ClientPatch, caller: Caller) -> Reply[RegisteredClient]:
    """Change the given members of a client, for administrators."""
    changes = cast(ClientChanges, body.model_dump(exclude_unset=True))
    with caller.write() as (connection, user_id):
        users.require_administrator(connection, user_id)
        _check_version(changes.get("pinned_version"), caller.core)
        client = clients.change(connection, client_id, changes)
        seen = ledger.seen(connection, [client_id])
    return Reply(RegisteredClient.of(client, seen.get(client_id)))


@router.delete("/{client_id}", status_code=204, responses=refusals(401, 403, 404))
@retried
def remove_client(client_id: ClientId, caller: Caller) -> Response:
    """Take a client off the register, for administrators. What it has called stays counted."""
    with caller.write() as (connection, user_id):
        users.require_administrator(connection, user_id)
        clients.remove(connection, client_id)
    return Response(status_code=204)


def _check_version(name: str | None, core: Services) -> None:
    """422 for a version that is not served, as for any other value that is none of those there are."""
    if name is not None and name not in core.versions:
        message = "Input should be the name of a version that is served; see /versions"
        raise RequestValidationError([{"loc": ("body", "pinned_version"), "msg": message, "type": "version_unknown"}])
