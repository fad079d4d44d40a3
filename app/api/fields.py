"""Types of numbers and flags on the wire, as every version takes them: exactly what JSON and OpenAPI call so."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

BEYOND_EXACT_DOUBLES = 2**53
BEYOND_INT64 = 2**63


def _only_digits(value: object) -> object:
    """Python's int() also takes `1_0`, `+1`, spaces and digits of other scripts."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,19}", value):
        raise PydanticCustomError("int_parsing", "Input should be a valid integer")
    return value


def _whole_number(value: object) -> object:
    """JSON has one type of number: to JSON Schema, and so to our documents, 7.0 is an integer.

    From 2^53 on a double may stand for the integer beside it, and so for another row: refused.
    """
    if isinstance(value, float) and value.is_integer() and value < BEYOND_EXACT_DOUBLES:
        return int(value)
    return value


def _true_or_false(value: object) -> object:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise PydanticCustomError("bool_parsing", "Input should be true or false")
        return value == "true"
    return value


# Bounds stand before the parser: after it they would hold, but be missing from the document. Ids are int64; the bound
# is given as the first number beyond, because clients that read numbers as doubles know 2^63 exactly and 2^63 - 1 not.
ONLY_DIGITS = BeforeValidator(_only_digits)
Id = Annotated[int, Field(strict=True, ge=1, lt=BEYOND_INT64), BeforeValidator(_whole_number)]
IdInUrl = Annotated[int, Field(ge=1, lt=BEYOND_INT64), ONLY_DIGITS]
FlagInUrl = Annotated[bool, BeforeValidator(_true_or_false)]
