"""What routes of every version depend on. All of it is built by `create_app` and only read here.

Dependencies are `async def`: a plain function would cost a second trip to the thread pool.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request

from app.db import Database
from app.domain import errors
from app.domain.accounts import Accounts
from app.domain.tokens import AccessTokens, Claims


@dataclass(frozen=True)
class Services:
    """The parts of the running service. `cursor_key` signs what a version hands out to be brought back."""

    database: Database
    accounts: Accounts
    tokens: AccessTokens
    refresh_lifetime: timedelta
    cursor_key: bytes


async def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def get_database(request: Request) -> Database:
    return (await get_services(request)).database


Core = Annotated[Services, Depends(get_services)]
Db = Annotated[Database, Depends(get_database)]


async def verified_claims(request: Request, token: str | None) -> Claims:
    """The claims of the token, noted for the log line. DomainError UNAUTHENTICATED without a valid one.

    It does not ask the database: the route does, in the block in which it does its work.
    """
    if token is None:
        raise errors.unauthenticated()
    claims = (await get_services(request)).tokens.verify(token)
    request.state.user_id = claims.user_id
    return claims
