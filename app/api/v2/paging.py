"""Version 2 pages by cursor: an opaque, signed position in a list, in either direction."""

import hashlib
import hmac
import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from fastapi import Request
from pydantic import BaseModel, Field

from app.api.fields import ONLY_DIGITS
from app.api.services import Services
from app.db import Connection
from app.domain.errors import DomainError, Kind
from app.domain.fields import Text
from app.domain.listing import Listing
from app.versioning.openapi import link

T = TypeVar("T")
Out = TypeVar("Out", bound=BaseModel)

CURSOR_FORMAT = 1  # raise it when a cursor's content changes: older ones are then refused, not misread
_SIGNATURE_BYTES = 16


class PageQuery(BaseModel):
    """The parameters every list has. A list's own filters come in a subclass."""

    limit: Annotated[int, Field(ge=1, le=100), ONLY_DIGITS] = Field(20, description="How many at most.")
    cursor: Text | None = Field(None, description="Where to go on: `next_cursor` or `prev_cursor` of a page.")

    def binding(self) -> str:
        """What a cursor is bound to: the filters and the order, but not how many at a time."""
        return self.model_dump_json(exclude={"limit", "cursor"})


def next_page(operation: str) -> dict[str, Any]:
    """The link from a page of the operation to the next."""
    return link(
        operation,
        "The next page, asked for with the same filters and order.",
        cursor="$response.body#/page/next_cursor",
    )


class Page(BaseModel):
    limit: int
    next_cursor: str | None
    prev_cursor: str | None


@dataclass(frozen=True)
class Cursor:
    """Just past `position`, walking forward or backward; without a position, from that end of the list."""

    position: tuple[Any, ...] | None
    backward: bool

    def encode(self, key: bytes, binding: str) -> str:
        position = None if self.position is None else [_to_json(value) for value in self.position]
        payload = json.dumps([CURSOR_FORMAT, self.backward, position], separators=(",", ":")).encode()
        return urlsafe_b64encode(_sign(key, binding, payload) + payload).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, key: bytes, binding: str) -> "Cursor":
        """DomainError INVALID `invalid-cursor` for what was not made here for this very list."""
        try:
            raw = b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise _invalid_cursor() from None
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _sign(key, binding, payload)):
            raise _invalid_cursor()
        version, *content = json.loads(payload)
        if version != CURSOR_FORMAT:
            raise _invalid_cursor()
        backward, position = content
        return cls(None if position is None else tuple(_of_json(value) for value in position), backward)


def read_page(
    connection: Connection,
    listing: Listing[T],
    query: PageQuery,
    request: Request,
    services: Services,
    make: Callable[[T], Out],
) -> tuple[list[Out], Page, dict[str, str]]:
    """One page of the listing: its items, its `page` member, and its `Link` header (RFC 8288)."""
    key, binding = services.cursor_key, f"{request.scope['path']}?{query.binding()}"
    cursor = Cursor.decode(query.cursor, key, binding) if query.cursor is not None else Cursor(None, backward=False)
    items, more = listing.seek(connection, position=cursor.position, backward=cursor.backward, limit=query.limit)
    has_next = cursor.backward or more
    has_previous = more if cursor.backward else query.cursor is not None

    def beside(index: int, backward: bool) -> str:
        """The cursor past the first or last item; past the end of the list, for a page that has lost its items."""
        position = listing.order.position_of(items[index]) if items else None
        return Cursor(position, backward).encode(key, binding)

    page = Page(
        limit=query.limit,
        next_cursor=beside(-1, False) if has_next else None,
        prev_cursor=beside(0, True) if has_previous else None,
    )
    links = [
        f'<{_with_cursor(request, target)}>; rel="{relation}"'
        for relation, target in (("next", page.next_cursor), ("prev", page.prev_cursor))
        if target is not None
    ]
    return [make(item) for item in items], page, {"Link": ", ".join(links)} if links else {}


def _with_cursor(request: Request, cursor: str) -> str:
    kept = [(name, value) for name, value in parse_qsl(request.url.query) if name != "cursor"]
    return f"{request.url.path}?{urlencode([*kept, ('cursor', cursor)])}"


def _sign(key: bytes, binding: str, payload: bytes) -> bytes:
    bound = hashlib.sha256(binding.encode()).digest()
    return hmac.digest(key, bound + payload, "sha256")[:_SIGNATURE_BYTES]


def _to_json(value: Any) -> Any:
    return {"time": value.isoformat()} if isinstance(value, datetime) else value


def _of_json(value: Any) -> Any:
    return datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value


def _invalid_cursor() -> DomainError:
    return DomainError(Kind.INVALID, "invalid-cursor", "The cursor does not belong to this list; begin without one")
