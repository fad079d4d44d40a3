"""Conditional requests (RFC 9110, section 13): reading entity tags, and 304 for whoever has the current reply."""

import re
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.versioning.middleware import values_of

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_TAGS = re.compile(rf"[ \t,]*(?:{_TAG.pattern}[ \t]*(?:,[ \t,]*|$))*")
_OF_THE_BODY = ("content-length", "content-type", "content-encoding")  # a reply without one has no use for them


def entity_tags(values: Sequence[str]) -> Sequence[str] | None:
    """The tags, with W/ and quotes, that the lines of If-Match or If-None-Match list; None for `*`, which is any.

    What is no such list names no tag.
    """
    value = ",".join(values).strip(" \t")
    if value == "*":
        return None
    return _TAG.findall(value) if _TAGS.fullmatch(value) else []


class NotModified:
    """Answers 304 to GET when If-None-Match names the tag that the reply bears, by the weak comparison.

    It stands outside of compression: the reply is complete then, so that a 304 has the headers that the 200 would have.
    A compressed body is another representation than the plain one, and so gets a strong tag of its own, "…-gzip".
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = values_of(scope, b"if-none-match") if scope["method"] == "GET" else []
        if not given and not values_of(scope, b"accept-encoding"):  # nothing to compare, and nothing is compressed
            await self.app(scope, receive, send)
            return
        unchanged = False

        async def send_if_modified(message: Message) -> None:
            nonlocal unchanged
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                tag, coding = headers.get("etag", ""), headers.get("content-encoding")
                if tag and coding:
                    tag = headers["etag"] = f'{tag[:-1]}-{coding}"'
                unchanged = bool(tag and given) and message["status"] == 200 and _lists(given, tag)
                if unchanged:
                    for name in _OF_THE_BODY:
                        del headers[name]
                    message = {**message, "status": 304, "headers": headers.raw}
            elif unchanged:
                message = {**message, "body": b""}
            await send(message)

        await self.app(scope, receive, send_if_modified)


def _lists(given: Sequence[str], tag: str) -> bool:
    tags = entity_tags(given)
    return tags is None or tag.removeprefix("W/") in {each.removeprefix("W/") for each in tags}
