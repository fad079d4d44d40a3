"""Version 1 pages by offset: `limit` and `skip`, and a bare array."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from app.api.fields import MAXIMUM_INTEGER, ONLY_DIGITS

Limit = Annotated[int, Field(ge=0, le=1000), ONLY_DIGITS, Query(description="How many at most.")]
Skip = Annotated[int, Field(ge=0, le=MAXIMUM_INTEGER), ONLY_DIGITS, Query(description="How many to pass over first.")]
