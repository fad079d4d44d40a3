"""Which media types a body may have (415 otherwise)."""

from collections.abc import Awaitable, Callable

from fastapi import Request
from starlette.exceptions import HTTPException


def accepts(*media_types: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency that refuses a body of any other type, or of none. A request without a body passes."""

    async def check(request: Request) -> None:
        headers = request.headers
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if has_body and headers.get("content-type", "").partition(";")[0].strip().lower() not in media_types:
            raise HTTPException(415, f"Send the body as {' or '.join(media_types)}")

    return check


JSON = accepts("application/json")
MERGE_PATCH = accepts("application/merge-patch+json", "application/json")
