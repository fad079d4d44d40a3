"""What becomes of version 1 in its successor: where the same resources are, and what is different about them."""

import re
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import Request

from app.api.cursors import Cursor
from app.api.services import Services
from app.versioning import Migration

_BASE = "/v2"
_MOST_A_PAGE = 100
_MOVED = {"/login": "/auth/token"}
_NUMBER = re.compile(r"[0-9]{1,18}")


def resource(request: Request) -> str:
    """Path and query, in version 2, of what a request of version 1 is for."""
    path = request.scope["path"].removeprefix("/v1").removesuffix("/")
    if path == "/posts" and request.method in ("GET", "HEAD"):
        return _list_of_posts(request)
    if path == "/vote":
        return getattr(request.state, "successor", f"{_BASE}/posts")
    return _BASE + quote(_MOVED.get(path, path))


def _list_of_posts(request: Request) -> str:
    """The page of version 2 that starts where this one does; what is no number is refused anyway, and left out."""
    given = dict(parse_qsl(request.scope["query_string"].decode("latin-1")))
    # Version 1 lists by id, which is the order in which posts were written.
    filters, query = {"sort": "created_at"}, {"sort": "created_at"}
    if given.get("search"):
        filters["q"] = query["q"] = given["search"]
    query["limit"] = str(min(max(_number(given.get("limit"), 10), 1), _MOST_A_PAGE))
    if (skip := _number(given.get("skip"), 0)) > 0:
        services: Services = request.app.state.services
        query["cursor"] = Cursor(offset=skip).encode(services.cursor_key, f"{_BASE}/posts", filters)
    return f"{_BASE}/posts?{urlencode(query)}"


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else default


MIGRATION = Migration(resource=resource)
