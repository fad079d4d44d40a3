"""Routes whose paths begin alike, so that a request for others passes them over at one glance."""

import re
from collections.abc import Iterable

from fastapi import APIRouter
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

_SEGMENT = re.compile(r"/[^/{]*(?=/|$)")


class Section(APIRouter):
    """Consecutive routes of a version whose paths all begin with `beginning`, the version's prefix included.

    FastAPI tries routes one after the other, and those of an included router twice: of sixty routes, the last would
    take longer to find than to answer.
    """

    def __init__(self, beginning: str, routes: Iterable[BaseRoute]) -> None:
        super().__init__(routes=list(routes))
        self._beginning = beginning

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if scope["path"].startswith(self._beginning) else (Match.NONE, {})


def first_segment(route: BaseRoute) -> str:
    """`/posts` of `/posts/{post_id}`; nothing of a path that begins with a parameter, or of what has no path."""
    found = _SEGMENT.match(getattr(route, "path", ""))
    return found[0] if found else ""
