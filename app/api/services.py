"""What routes of every version depend on. All of it is built by `create_app` and only read here.

Dependencies are `async def`: a plain function would cost a second trip to the thread pool.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import Depends, Request
from fastapi.security.base import SecurityBase

from app.adoption import clients
from app.db import Database
from app.domain import errors
from app.domain.accounts import Accounts
from app.domain.tokens import AccessTokens, Claims
from app.versioning import ApiVersion


@dataclass(frozen=True)
class Services:
    """The parts of the running service.

    The first of `cursor_keys` signs what a version hands out to be brought back, the first of `reply_keys` seals
    replies that are kept for an Idempotency-Key, and each of them opens it; `versions` are those served, by name.
    """

    database: Database
    accounts: Accounts
    tokens: AccessTokens
    refresh_lifetime: timedelta
    cursor_keys: Sequence[bytes]
    reply_keys: Sequence[bytes]
    versions: Mapping[str, ApiVersion]


async def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def get_database(request: Request) -> Database:
    database: Database = request.app.state.services.database
    return database


Core = Annotated[Services, Depends(get_services)]
Db = Annotated[Database, Depends(get_database)]


class CallerOf(SecurityBase):
    """Who is calling, as a dependency: the claims of the token, noted for the log line.

    The document has it as it has `scheme`. DomainError UNAUTHENTICATED without a valid token; if the token is
    `optional`, without any at all, there are no claims. It does not ask the database: the route does, in the block in
    which it does its work.
    """

    def __init__(self, scheme: SecurityBase, *, optional: bool = False) -> None:
        self.model, self.scheme_name = scheme.model, scheme.scheme_name
        self._optional = optional

    async def __call__(self, request: Request) -> Claims | None:
        # Credentials that are there but no good are refused: whoever sent them must not take the reply for their own.
        if self._optional and "authorization" not in request.headers:
            return None
        claims = _claims_sent(request)
        if claims is None:
            raise errors.unauthenticated()
        request.state.user_id = claims.user_id
        if claims.client_id is not None:
            request.state.client_id = claims.client_id
        return claims


def account_of_token(request: Request) -> str | None:
    """The account whose token is sent, before any route looks at it; None without a good token."""
    claims = _claims_sent(request)
    return None if claims is None else str(claims.user_id)


def client_of_token(request: Request) -> str | None:
    """The registered client whose token is sent, for requests that no route of ours has looked at; None without."""
    claims = _claims_sent(request)
    return None if claims is None else claims.client_id


def _claims_sent(request: Request) -> Claims | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return _verified(request, token.strip()) if scheme.lower() == "bearer" else None  # any number of spaces: RFC 9110


def _verified(request: Request, token: str) -> Claims | None:
    """What the token says, if it is good. Looked at once a request, for the limits, the route and the log line."""
    known: tuple[str, Claims | None] | None = getattr(request.state, "verified", None)
    if known is not None and known[0] == token:
        return known[1]
    services: Services = request.app.state.services
    try:
        claims = services.tokens.verify(token)
    except errors.DomainError:
        claims = None
    request.state.verified = token, claims
    return claims


async def registered_client(request: Request, client_id: str | None) -> str | None:
    """The id that a login names, if a client is registered under it; another is ignored, as it always was."""
    if client_id is None:
        return None
    database = await get_database(request)

    def look_up() -> str | None:
        with database.read() as connection:
            return clients.known(connection, client_id)

    return await run_sync(look_up)
