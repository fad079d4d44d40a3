"""Version 1 pages by offset: `limit` and `skip`, and a bare array."""

from typing import Annotated

from pydantic import BaseModel, Field

from app.api.fields import MAXIMUM_INTEGER, ONLY_DIGITS

Limit = Annotated[int, Field(ge=0, le=1000), ONLY_DIGITS]
Skip = Annotated[int, Field(ge=0, le=MAXIMUM_INTEGER), ONLY_DIGITS]


class PageQuery(BaseModel):
    """The parameters every list has. A list's own filters come in a subclass."""

    limit: Limit = Field(10, description="How many at most.")
    skip: Skip = Field(0, description="How many to pass over first.")
