"""Where the resources of version 1 are in its successor."""

from functools import lru_cache
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from app.api.cursors import Cursor
from app.api.services import services_of
from app.api.v1.paging import Limit, Skip

_BASE = "/v2"
_MOST_A_PAGE = 100
_USUAL_LENGTH = 100  # bytes of a query string: longer ones are not kept
_MOVED = {"/login": "/auth/token"}
_LIMIT, _SKIP = TypeAdapter[int](Limit), TypeAdapter[int](Skip)


def resource(request: Request) -> str:
    """Path and query, in version 2, of what a request of version 1 is for."""
    path = request.scope["path"].removeprefix("/v1").removesuffix("/")
    if path == "/posts" and request.method in ("GET", "HEAD"):
        query_string, keys = request.scope["query_string"], services_of(request).cursor_keys
        return (_usual_list if len(query_string) < _USUAL_LENGTH else _list_of_posts)(query_string, keys)
    if path == "/vote":
        return getattr(request.state, "successor", f"{_BASE}/posts")
    return _BASE + quote(_MOVED.get(path, path))


def _list_of_posts(query_string: bytes, cursor_keys: tuple[bytes, ...]) -> str:
    """The page of version 2 that starts where this one does; what is no number is refused anyway, and left out."""
    given = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
    # Version 1 lists by id, which is the order in which posts were written.
    filters, query = {"sort": "created_at"}, {"sort": "created_at"}
    if given.get("search"):
        filters["q"] = query["q"] = given["search"]
    query["limit"] = str(min(max(_number(_LIMIT, given.get("limit", ""), 10), 1), _MOST_A_PAGE))
    if (skip := _number(_SKIP, given.get("skip", ""), 0)) > 0:
        query["cursor"] = Cursor(offset=skip).encode(cursor_keys, f"{_BASE}/posts", filters)
    return f"{_BASE}/posts?{urlencode(query)}"


_usual_list = lru_cache(maxsize=128)(_list_of_posts)  # clients ask for the same pages again and again


def _number(form: TypeAdapter[int], text: str, default: int) -> int:
    try:
        return form.validate_python(text)
    except ValidationError:
        return default
