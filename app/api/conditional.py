"""The entity tags of posts and users, which every version gives and understands, and what If-Match asks of a write.

A post's tag is "<revision>.<its author's revision>", and ".<the caller's vote>" after that where it is shown; a user's
is "<revision>". A write protects the row alone, so If-Match compares nothing but the first number.
"""

import re
from typing import Annotated, Any

from fastapi import Depends, Request

from app.domain.posts import PostView
from app.domain.revisions import Expected
from app.domain.users import UserView
from app.versioning.conditional import entity_tags
from app.versioning.openapi import refusals, response_headers

_STRONG = re.compile(r'"([0-9]{1,19})(?:\.[0-9]{1,19}(?:\.(?:-1|0|1))?)?(?:-gzip)?"')


def tag_of_post(post: PostView, my_vote: int | None = None) -> dict[str, str]:
    """The ETag header of a post that shows this vote of the caller's; None where it shows none."""
    shown = "" if my_vote is None else f".{my_vote}"
    return {"ETag": f'"{post.revision}.{post.owner_revision}{shown}"'}


def tag_of_user(user: UserView) -> dict[str, str]:
    """The ETag header of a user."""
    return {"ETag": f'"{user.revision}"'}


async def _expected(request: Request) -> Expected:
    given = request.headers.getlist("if-match")
    tags = entity_tags(given) if given else None
    # The comparison is strong: a weak tag is equal to none (RFC 9110, section 13.1.1).
    return None if tags is None else {int(found[1]) for tag in tags if (found := _STRONG.fullmatch(tag))}


IfMatch = Annotated[Expected, Depends(_expected)]


def _header(name: str, description: str) -> dict[str, Any]:
    parameter = {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}
    return {"parameters": [{**parameter, "required": False}]}


# How caches may keep a reply to GET: until they have asked whether it still holds, and whose it is.
FOR_ANYBODY = {"Cache-Control": "public, no-cache"}
FOR_THE_CALLER = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
FOR_NOBODY = {**FOR_ANYBODY, "Vary": "Authorization"}  # who sends a token is shown something else

# What a document says of operations that take these: the `openapi_extra` of their routes.
IF_NONE_MATCH = _header(
    "If-None-Match", "ETags of what is at hand: 304 when one of them is current (RFC 9110, 13.1.2)."
)
IF_MATCH = _header(
    "If-Match", "ETags that the change is meant for: 412 when none of them is current any more (13.1.1)."
)
# And what it says of their replies.
TAG = "Of this very representation, for If-None-Match and If-Match (RFC 9110)."
TAGGED = response_headers(200, ETag=TAG)
READ = {**TAGGED, 304: {**refusals(304)[304], **response_headers(304, ETag=TAG)[304]}}
