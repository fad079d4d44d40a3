"""Reading headers as their RFCs write them; anything else is an error."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import NamedTuple

from httpx2 import Response

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*;\s*({_TOKEN})=(?:"([^"\\]*)"|({_TOKEN}))')
# The characters of a URI reference (RFC 3986), percent signs only where two digits follow.
_TARGET = re.compile(r"<((?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)>")


class Link(NamedTuple):
    target: str
    relation: str
    type: str | None


def links_of(reply: Response) -> list[Link]:
    """The links of a reply's one Link header (RFC 8288, section 3)."""
    values = reply.headers.get_list("link")
    if not values:
        return []
    assert len(values) == 1, values
    text, at, found = values[0], 0, []
    while True:
        target = _TARGET.match(text, at)
        assert target, text[at:]
        at = target.end()
        parameters = {}
        while (parameter := _PARAMETER.match(text, at)) is not None:
            assert parameter[1] not in parameters, text
            parameters[parameter[1]] = parameter[2] or parameter[3]
            at = parameter.end()
        found.append(Link(target[1], parameters.pop("rel"), parameters.pop("type", None)))
        assert not parameters, text
        if at == len(text):
            return found
        assert text.startswith(", ", at), text[at:]
        at += 2


def target_of(reply: Response, relation: str) -> str:
    """Where the one link of this relation leads."""
    (found,) = [link.target for link in links_of(reply) if link.relation == relation]
    return found


def deprecation_of(reply: Response) -> datetime:
    """The moment that Deprecation says, as a structured field's date (RFC 9745, section 2.1; RFC 9651)."""
    (value,) = reply.headers.get_list("deprecation")
    assert re.fullmatch(r"@-?[0-9]{1,15}", value), value
    return datetime.fromtimestamp(int(value[1:]), UTC)


def sunset_of(reply: Response) -> datetime:
    """The moment that Sunset says, as an IMF-fixdate (RFC 8594, section 3; RFC 9110, section 5.6.7)."""
    (value,) = reply.headers.get_list("sunset")
    moment = parsedate_to_datetime(value)
    assert format_datetime(moment.astimezone(UTC), usegmt=True) == value
    return moment
