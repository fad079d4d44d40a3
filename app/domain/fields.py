"""Types of text and times that are facts of the core: what both databases can store, the same for every version.

Written so that a document made from them says the same as the code: patterns and bounds appear in it.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def only_integers(value: object) -> object:
    """Refuses what merely equals an integer: to Python, True and 1.0 are 1."""
    if type(value) is not int:
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


def _rfc3339(value: object) -> object:
    try:
        if not isinstance(value, str) or not _RFC3339.fullmatch(value):
            raise ValueError
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError(
            "datetime_parsing", "Input should be an RFC 3339 date-time with a zone, such as 2026-01-31T12:00:00Z"
        ) from None


# Anything UTF-8 can carry but NUL, which PostgreSQL cannot store; lone surrogates fail as soon as a pattern is checked.
Text = Annotated[str, StringConstraints(strict=True, pattern=r"^[^\x00]*$")]
# "Valid e-mail address" of the WHATWG HTML standard, with at least one dot in the domain; length by RFC 5321.
Email = Annotated[
    str,
    StringConstraints(
        strict=True,
        max_length=254,
        pattern=(
            r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
            r"(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+$"
        ),
    ),
]
# At least 8 characters where a password is chosen; older accounts may have shorter ones.
Password = Annotated[Text, Field(min_length=8, max_length=1024)]
DisplayName = Annotated[Text, Field(min_length=1, max_length=100)]
TagName = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
# RFC 3339 with a zone, kept in UTC.
Moment = Annotated[datetime, BeforeValidator(_rfc3339), WithJsonSchema({"type": "string", "format": "date-time"})]
VoteValue = Annotated[Literal[1, -1], BeforeValidator(only_integers)]
