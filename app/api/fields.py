"""Types of numbers and flags on the wire, as every version takes them: exactly what JSON and OpenAPI call so."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

MAXIMUM_INTEGER = 2**63 - 1  # int64, as both databases store it


def _only_digits(value: object) -> object:
    """Python's int() also takes `1_0`, `+1`, spaces and digits of other scripts."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,19}", value):
        raise PydanticCustomError("int_parsing", "Input should be a valid integer")
    return value


def _true_or_false(value: object) -> object:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise PydanticCustomError("bool_parsing", "Input should be true or false")
        return value == "true"
    return value


Id = Annotated[int, Field(strict=True, ge=1, le=MAXIMUM_INTEGER)]
Integer = Annotated[int, BeforeValidator(_only_digits)]  # in a path or query; bounds are added where it is used
IdInUrl = Annotated[int, BeforeValidator(_only_digits), Field(ge=1, le=MAXIMUM_INTEGER)]
FlagInUrl = Annotated[bool, BeforeValidator(_true_or_false)]
