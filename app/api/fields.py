"""Types of numbers and flags on the wire, as every version takes them: exactly what JSON and OpenAPI call so."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

MAXIMUM_INTEGER = 2**63 - 1


def _only_digits(value: object) -> object:
    """Python's int() also takes `1_0`, `+1`, spaces and digits of other scripts; `7.0` is an integer to JSON Schema."""
    if not isinstance(value, str):
        return value
    if (found := re.fullmatch(r"(-?[0-9]{1,19})(\.0+)?", value)) is not None:
        return found[1]
    if re.fullmatch(r"-?[0-9](\.[0-9]+)?e\+[0-9]{2}", value) and float(value).is_integer():
        return int(float(value))  # as a large whole double is printed
    raise PydanticCustomError("int_parsing", "Input should be a valid integer")


def _whole_number(value: object) -> object:
    """JSON has one type of number: to JSON Schema, and so to our documents, 7.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _true_or_false(value: object) -> object:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise PydanticCustomError("bool_parsing", "Input should be true or false")
        return value == "true"
    return value


# Bounds stand before the parser: after it they would hold, but be missing from the document.
ONLY_DIGITS = BeforeValidator(_only_digits)
# The document gives int64's bound as the first number beyond: whoever reads numbers as doubles, as FastAPI does on the
# way to the document, knows 2^63 exactly and 2^63 - 1 not.
_ID_SCHEMA = WithJsonSchema({"type": "integer", "minimum": 1, "exclusiveMaximum": 2**63})
Id = Annotated[int, Field(strict=True, ge=1, le=MAXIMUM_INTEGER), BeforeValidator(_whole_number), _ID_SCHEMA]
IdInUrl = Annotated[int, Field(ge=1, le=MAXIMUM_INTEGER), ONLY_DIGITS, _ID_SCHEMA]
FlagInUrl = Annotated[bool, BeforeValidator(_true_or_false)]
