"""The header Idempotency-Key: a request that is sent again, because its reply was lost, is done once.

draft-ietf-httpapi-idempotency-key-header-07. Only 2xx replies are kept: a request that was refused changed nothing, its
claim of the key is rolled back with it, and it may be sent again.
"""

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy.engine import Connection
from starlette.responses import Response

from app.api.services import services_of
from app.domain.idempotency import KeyedRequest
from app.versioning import Reply

MAXIMUM_LENGTH = 255  # quotes included
_NAME = "Idempotency-Key"
_CHARACTERS = r"[!#-+\--\[\]-~]+"  # visible ASCII without what quotes (" and \) or joins repeated headers (the comma)
PATTERN = rf'^("{_CHARACTERS}"|{_CHARACTERS})$'
_MESSAGE = (
    f"Send it once, as 1 to {MAXIMUM_LENGTH} visible ASCII characters without quote, backslash and comma; "
    "quotes may stand around it"
)

AnyReply = TypeVar("AnyReply", bound=Response)


class Replayed(Reply[Any]):
    """A reply that was made before, to the byte; only what every reply gets on its way out is new."""

    def __init__(self, kept: bytes) -> None:
        status, headers, body = json.loads(kept)
        Response.__init__(self, body, status)
        self.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self.headers["Idempotent-Replayed"] = "true"


@dataclass(frozen=True)
class Once:
    """What a route does to be done once, all of it in the transaction of its work; nothing when no key was sent.

    `account` is the caller's, None for operations that need no token.
    """

    request: KeyedRequest | None

    def stored(self, connection: Connection, account: int | None) -> Replayed | None:
        """The first reply, if the request was done before."""
        kept = self.request and self.request.stored(connection, account)
        return Replayed(kept) if kept else None

    def claim(self, connection: Connection, account: int | None) -> Replayed | None:
        """The first reply, if the request was done before; else the key is taken until the transaction ends."""
        kept = self.request and self.request.claim(connection, account)
        return Replayed(kept) if kept else None

    def keep(self, connection: Connection, account: int | None, reply: AnyReply) -> AnyReply:
        """The reply, which from the commit on is that of every request with this key."""
        if self.request is not None:
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.raw_headers]
            kept = json.dumps([reply.status_code, headers, bytes(reply.body).decode()])
            self.request.keep(connection, account, kept.encode())
        return reply


def _unquoted(value: str | None) -> str | None:
    """The key. By the draft it is a quoted string; most clients send it bare, and mean the same key."""
    if value is None:
        return None
    if len(value) > MAXIMUM_LENGTH or not re.fullmatch(PATTERN, value):
        raise PydanticCustomError("idempotency_key", _MESSAGE)
    return value.strip('"')


Key = Annotated[
    str | None,
    Header(
        alias=_NAME,
        description="A random UUID that the client made for this one request. Sent again with the same body within "
        "24 hours, the request is not done again and gets the reply of the first time.",
    ),
    AfterValidator(_unquoted),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAXIMUM_LENGTH, "pattern": PATTERN}),
]


async def _once(request: Request, key: Key = None) -> Once:
    if key is None:
        return Once(None)
    if len(request.headers.getlist(_NAME)) > 1:
        raise RequestValidationError([{"loc": ("header", _NAME), "msg": _MESSAGE, "type": "idempotency_key"}])
    operation = f"{request.method} {request.scope['path']}"
    return Once(KeyedRequest(operation, key, await request.body(), services_of(request).reply_keys))


OnceOnly = Annotated[Once, Depends(_once)]
