"""Routes whose paths begin alike, so that a request for others passes them over at one glance."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction, isroutine, signature, unwrap
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from app.threads import threaded

_PARAMETERS = signature(APIRoute).parameters
_SEGMENT = re.compile(r"/[^/{]*(?=/|$)")


class Section(BaseRoute):
    """Consecutive routes of a version whose paths all begin with `beginning`, the version's prefix included.

    FastAPI tries routes one after the other, and those of an included router twice, with notes of its own on the way:
    a tenth of what a request cost.
    """

    def __init__(self, beginning: str, routes: Sequence[APIRoute]) -> None:
        self.routes = routes
        self._beginning = beginning

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found: tuple[Match, Scope] = Match.NONE, {}
        if scope["path"].startswith(self._beginning):
            for route in self.routes:
                match, noted = route.matches(scope)
                if match is Match.FULL:
                    return match, noted
                if match is Match.PARTIAL and found[0] is Match.NONE:  # the path, by another method
                    found = match, noted
        return found

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        for route in self.routes:
            with suppress(NoMatchFound):
                return route.url_path_for(name, **path_params)
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        route: APIRoute = scope["route"]  # the one that matched, as it has noted
        await route.handle(scope, receive, send)


def first_segment(route: BaseRoute) -> str:
    """`/posts` of the route of `/posts/{post_id}`.

    Nothing for one that begins with a parameter, that streams, or that is no plain APIRoute: those are included as
    FastAPI does it.
    """
    if type(route) is not APIRoute or route.stream_item_type is not None:
        return ""
    found = _SEGMENT.match(route.path)
    return found[0] if found else ""


def _is_plain(endpoint: Callable[..., Any]) -> bool:
    """Whether it is a `def` and no `async def`, and gives its reply at once, whatever decorates it."""
    called = endpoint if isroutine(endpoint) or isinstance(endpoint, partial) else type(endpoint).__call__
    others = (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)
    return not any(is_other(each) for each in (called, unwrap(called)) for is_other in others)


def under(prefix: str, route: APIRoute, app: FastAPI) -> APIRoute:
    """The route as the application would include it under this prefix; a plain function is called in our threads."""
    made_of = {name: value for name, value in vars(route).items() if name in _PARAMETERS}
    its_own = {
        "endpoint": threaded(route.endpoint) if _is_plain(route.endpoint) else route.endpoint,
        "path": prefix + route.path,
        "dependencies": [*app.router.dependencies, *route.dependencies],
        "dependency_overrides_provider": app,
        "generate_unique_id_function": app.router.generate_unique_id_function,
    }
    return APIRoute(**{**made_of, **its_own})


def served_routes(app: FastAPI) -> Iterator[RouteContext]:
    """Every route of the application, with its full path."""
    for route in app.routes:
        yield from iter_route_contexts(route.routes if isinstance(route, Section) else [route])
