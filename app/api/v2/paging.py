"""Version 2 pages by cursor, in either direction."""

from collections.abc import Callable
from typing import Annotated, Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from app.api.cursors import Cursor
from app.api.fields import ONLY_DIGITS
from app.api.services import services_of
from app.db import Question
from app.domain.fields import Text
from app.domain.listing import Listing
from app.versioning.openapi import link

T = TypeVar("T")
Out = TypeVar("Out")


class PageQuery(BaseModel):
    """The parameters every list has. A list's own filters come in a subclass."""

    limit: Annotated[int, Field(ge=1, le=100), ONLY_DIGITS] = Field(20, description="How many at most.")
    cursor: Text | None = Field(None, description="Where to go on: `next_cursor` or `prev_cursor` of a page.")

    def filters(self) -> dict[str, Any]:
        """What a cursor is bound to: the filters and the order, but not how many at a time."""
        return self.model_dump(mode="json", exclude={"limit", "cursor"}, exclude_defaults=True)


def next_page(operation: str) -> dict[str, Any]:
    """The link from a page of the operation to the next."""
    return link(
        operation,
        "The next page, asked for with the same filters and order.",
        cursor="$response.body#/page/next_cursor",
    )


class Page(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"limit": 10, "next_cursor": "kV3c0n5tPz", "prev_cursor": "bW9yZSBub3Rlcw"}]}
    )

    limit: int
    next_cursor: str | None
    prev_cursor: str | None


class Found(NamedTuple, Generic[Out]):
    """One page of a list: its items, its `page` member, and its `Link` header (RFC 8288)."""

    data: list[Out]
    page: Page
    headers: dict[str, str]


def page_of(listing: Listing[T], query: PageQuery, request: Request, make: Callable[[T], Out]) -> Question[Found[Out]]:
    """The page of the listing that the query is for, with what `make` makes of each item.

    DomainError `invalid-cursor` for a cursor that is not of this list.
    """
    keys, path, filters = services_of(request).cursor_keys, request.scope["path"], query.filters()
    cursor = Cursor() if query.cursor is None else Cursor.decode(query.cursor, keys, path, filters)

    def found(items: list[T], more: bool) -> Found[Out]:
        has_next = cursor.backward or more
        has_previous = more if cursor.backward else query.cursor is not None

        def beside(index: int, backward: bool) -> str:
            """The cursor past the first or last item; past the end of the list, for a page that has lost its items."""
            position = listing.order.position_of(items[index]) if items else None
            return Cursor(position, backward).encode(keys, path, filters)

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
        return Found([make(item) for item in items], page, {"Link": ", ".join(links)} if links else {})

    if cursor.offset:
        rows = listing.slice(offset=cursor.offset, limit=query.limit + 1)
        return rows.then(lambda items: found(items[: query.limit], len(items) > query.limit))
    rows_and_more = listing.seek(position=cursor.position, backward=cursor.backward, limit=query.limit)
    return rows_and_more.then(lambda both: found(*both))


def _with_cursor(request: Request, cursor: str) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if value and name != "cursor"]
    return f"{request.scope['path']}?{urlencode([*kept, ('cursor', cursor)])}"
