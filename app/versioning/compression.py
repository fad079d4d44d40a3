"""The ring of middleware that compresses replies for who accepts it."""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.versioning.middleware import values_of

# Few, for the middleware goes through them anew for every request.
_NOT_COMPRESSED = ("application/zip", "image/jpeg", "image/png", "text/event-stream")
_WITHOUT_WHOLE_BODY = (204, 206, 304)
_REFUSED = re.compile(r"\s*q=0(\.0{0,3})?\s*", re.IGNORECASE)
_LEAST_BYTES = 1024
_LEVEL = 4  # of 9, which takes twice as long, in the event loop, to make a reply 3 % smaller


class Compression(GZipMiddleware):
    """Compresses with gzip for who accepts it. Replies to others only tell, in Vary, that those differ.

    Starlette's own way of telling that took 7 % of what a request by id cost, for most of which nothing is to be told;
    and it takes a refusal of gzip for a wish.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, _LEAST_BYTES, _LEVEL, exclude_content_types=_NOT_COMPRESSED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _accepts_gzip(values_of(scope, b"accept-encoding")):
            await super().__call__(scope, receive, send)
            return

        async def send_telling(message: Message) -> None:
            if message["type"] == "http.response.start" and _would_be_compressed(message):
                MutableHeaders(raw=message["headers"]).add_vary_header("Accept-Encoding")
            await send(message)

        await self.app(scope, receive, send_telling)


def _accepts_gzip(values: Sequence[str]) -> bool:
    """Whether these lines of Accept-Encoding name it, with no weight of 0 (RFC 9110, section 12.5.3)."""
    for coding in ",".join(values).split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "x-gzip"):
            return _REFUSED.fullmatch(weight) is None
    return False


def _would_be_compressed(message: Message) -> bool:
    length = next((value for name, value in message["headers"] if name == b"content-length"), None)
    if length is not None and int(length) < _LEAST_BYTES:
        return False
    headers = Headers(raw=message["headers"])
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return (
        message["status"] not in _WITHOUT_WHOLE_BODY
        and media_type not in _NOT_COMPRESSED
        and "content-encoding" not in headers
    )
