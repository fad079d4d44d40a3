"""What every body of version 2 that is read as JSON has in common."""

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

_MOST_MEMBERS = 200


class StrictBody(BaseModel):
    """A body without coercion, in which a member that is not described is an error.

    A body of very many members is one error: each by itself would take the framework about 6 µs, and a megabyte
    holds 80,000.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _not_very_many(cls, value: object) -> object:
        if isinstance(value, dict) and len(value) > _MOST_MEMBERS:
            raise PydanticCustomError("too_many_members", "Input should have fewer members")
        return value
