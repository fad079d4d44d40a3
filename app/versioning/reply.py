"""The reply of an endpoint, serialized where it was made."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from pydantic_core import to_json
from starlette.responses import Response

Body = TypeVar("Body")


class Reply(Response, Generic[Body]):
    """A JSON response whose body is a wire model, or a list of them.

    FastAPI would validate a returned model once more, in a second thread; this one is written as it is, in the thread
    of the endpoint. `Reply[Post]` beside `response_model=Post` lets mypy check that they agree.
    """

    media_type = "application/json"

    def __init__(self, body: Body, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(to_json(body), status_code, headers)
