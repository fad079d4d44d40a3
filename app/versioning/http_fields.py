"""Strict readings of what an API says of its life: a structured-field Date, an HTTP-date, and Link.

A value is read as its RFC writes it and in no other form; what is refused comes with what to send instead.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import urljoin

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONGEST_QUOTE = 80  # characters of a value that a message repeats

SF_ITEM = "RFC 9651, section 4.2"
SF_DATE = "RFC 9651, section 3.3.7"
DEPRECATION = "RFC 9745, section 2.1"
HTTP_DATE = "RFC 9110, section 5.6.7"
LINK = "RFC 8288, section 3"
LINK_TARGET = "RFC 8288, section 3.1"
LINK_RELATION = "RFC 8288, section 3.3"

# Parameters may follow (RFC 9651, section 3.1.2); this field defines none, so only their outline is read.
_SF_DATE = re.compile(r'@(-?[0-9]{1,15})(?:; *[a-z*][a-z0-9_.*-]*(?:=(?:"[^"]*"|[^\s;,"]+))?)*')
_IMF_FIXDATE = re.compile(
    rf"({'|'.join(DAYS)}), ([0-9]{{2}}) ({'|'.join(MONTHS)}) ([0-9]{{4}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) GMT"
)
_RFC850_DATE = re.compile(r"[A-Z][a-z]{5,8}, [0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9:]{8} GMT")  # Sunday, 06-Nov-94 …
_ASCTIME_DATE = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9 ][0-9] [0-9:]{8} [0-9]{4}")  # Sun Nov  6 08:49:37 1994
_URI = r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a `token` of RFC 9110
_TARGET = re.compile(r"[ \t,]*<([^<>]*)>")  # a list may have empty members
_SEPARATOR = re.compile(r"[ \t]*;[ \t]*")
_PARAMETER = re.compile(rf'({_NAME})[ \t]*(?:=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+)))?')
_END_OF_LINK = re.compile(r"[ \t]*(?:,|$)")
_END = re.compile(r"[ \t,]*$")
_RELATION = re.compile(rf"[A-Za-z][A-Za-z0-9.-]*|[A-Za-z][A-Za-z0-9+.-]*:{_URI}")


class Malformed(ValueError):
    """A value that its RFC does not allow: a code for programs, a message that says what to do, and the section."""

    def __init__(self, code: str, message: str, section: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.section = section


@dataclass(frozen=True)
class Link:
    """One link of a Link field: where it leads, as an absolute address, and what it is to the resource."""

    target: str
    relations: tuple[str, ...]  # in lower case
    type: str  # the media type to expect, without parameters, in lower case; empty when it is not said
    anchor: str | None  # the resource that the link is about, where it is not the one that was asked for


def parse_sf_date(value: str) -> datetime:
    """The moment of a structured-field Date (RFC 9651, section 3.3.7), such as `@1688169599`; or Malformed."""
    value = value.strip(" ")
    match = _SF_DATE.fullmatch(value)
    if match is None:
        raise _no_sf_date(value)
    try:
        return EPOCH + timedelta(seconds=int(match[1]))
    except OverflowError:
        raise Malformed(
            "deprecation-out-of-range",
            f"{quoted(value)} lies outside the years 1 to 9999; send whole seconds since 1970, no milliseconds",
            SF_DATE,
        ) from None


def parse_http_date(value: str) -> datetime:
    """The moment of an HTTP-date as senders must write it, an IMF-fixdate (RFC 9110, section 5.6.7); or Malformed."""
    value = value.strip(" \t")
    match = _IMF_FIXDATE.fullmatch(value)
    if match is None:
        raise _no_http_date(value)
    day_name, day, month, year, hour, minute, second = match.groups()
    try:
        # The grammar allows a leap second, which Python's time does not know.
        moment = datetime(
            int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC
        )
    except ValueError:
        raise Malformed("sunset-malformed", f"{quoted(value)} is no moment of the calendar", HTTP_DATE) from None
    if day_name != DAYS[moment.weekday()]:
        raise Malformed(
            "sunset-wrong-weekday",
            f"{quoted(value)} names the wrong day of the week; send `{http_date(moment)}`",
            "RFC 5322, section 3.3",
        )
    return moment


def parse_links(value: str, base_url: str) -> tuple[list[Link], list[Malformed]]:
    """The links of a Link field (RFC 8288, section 3), and what is wrong with them.

    Relative targets are resolved against `base_url`. What can be read in spite of a fault is read; after a fault in
    the grammar the rest of the value is not.
    """
    links: list[Link] = []
    faults: list[Malformed] = []
    at = 0
    while not _END.match(value, at):
        match = _TARGET.match(value, at)
        if match is None:
            message = f'no `<target>` at character {at + 1} of {quoted(value)}; write `<target>; rel="type"`'
            return links, [*faults, Malformed("link-malformed", message, LINK)]
        parameters, at = _parameters(value, match.end(), faults)
        if not _END_OF_LINK.match(value, at):
            message = f"character {at + 1} of {quoted(value)} fits nowhere; separate parameters by `;` and links by `,`"
            return links, [*faults, Malformed("link-malformed", message, LINK)]
        link = _link(match[1], parameters, base_url, faults)
        if link is not None:
            links.append(link)
    return links, faults


def _parameters(value: str, at: int, faults: list[Malformed]) -> tuple[list[tuple[str, str]], int]:
    """The parameters of one link, names in lower case, and where they end."""
    found = []
    while separator := _SEPARATOR.match(value, at):
        at = separator.end()
        match = _PARAMETER.match(value, at)
        if match is None:  # `;;` and a final `;` are allowed
            continue
        at = match.end()
        name, in_quotes, bare = match[1].lower(), match[2], match[3]
        if bare is not None and not re.fullmatch(_NAME, bare):
            message = f"the value {quoted(bare)} of `{name}` needs double quotes around it"
            faults.append(Malformed("link-unquoted", message, LINK))
        found.append((name, bare or "" if in_quotes is None else re.sub(r"\\(.)", r"\1", in_quotes)))
    return found, at


def _link(target: str, parameters: list[tuple[str, str]], base_url: str, faults: list[Malformed]) -> Link | None:
    """The link, if it can be read in spite of its faults, which are added."""
    first: dict[str, str] = {}
    for name, value in parameters:
        first.setdefault(name, value)  # of a parameter that is repeated, the first counts
    if not re.fullmatch(_URI, target):
        message = f"the target {quoted(target)} is no URI reference; percent-encode what may not stand in one"
        faults.append(Malformed("link-target", message, LINK_TARGET))
        return None
    try:
        resolved = urljoin(base_url, target)
        anchor = urljoin(base_url, first["anchor"]) if "anchor" in first else None
    except ValueError:
        faults.append(Malformed("link-target", f"the target {quoted(target)} is no URI reference", LINK_TARGET))
        return None
    if "rel" not in first:
        message = f"the link to {quoted(target)} has no `rel`; say what it is to this resource"
        faults.append(Malformed("link-without-rel", message, LINK_RELATION))
        return None
    if [name for name, _ in parameters].count("rel") > 1:
        message = f"the link to {quoted(target)} has several `rel`; write one, with its types separated by spaces"
        faults.append(Malformed("link-repeated-rel", message, LINK_RELATION))
    relations = first["rel"].lower().split()
    wrong = [relation for relation in relations if not _RELATION.fullmatch(relation)]
    if wrong or not relations:
        message = (
            f"`rel` {quoted(first['rel'])} of the link to {quoted(target)} is no list of types separated by spaces"
        )
        faults.append(Malformed("link-malformed-rel", message, LINK_RELATION))
    media_type = first.get("type", "").partition(";")[0].strip().lower()
    return Link(resolved, tuple(r for r in relations if r not in wrong), media_type, anchor)


def http_date(moment: datetime) -> str:
    """A moment as an HTTP-date: `Sun, 06 Nov 1994 08:49:37 GMT`."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def quoted(value: str) -> str:
    """A value as a message may repeat it: short, on one line, without control characters."""
    return ascii(value if len(value) <= LONGEST_QUOTE else f"{value[:LONGEST_QUOTE]}...")


def _no_sf_date(value: str) -> Malformed:
    if value.lower() in ("true", "?1", "1"):
        message = f"{quoted(value)} is the form of early drafts; send the date of deprecation, `@` and Unix seconds"
        return Malformed("deprecation-true", message, DEPRECATION)
    if re.fullmatch(rf"{_SF_DATE.pattern}(?:, *{_SF_DATE.pattern})+", value):
        return Malformed("deprecation-repeated", "several dates; send one, since clients ignore them all", SF_ITEM)
    if re.fullmatch(r"@-?[0-9]+\.[0-9]+", value):
        message = f"{quoted(value)} has a fraction; send whole seconds, `{value.partition('.')[0]}`"
        return Malformed("deprecation-fraction", message, SF_DATE)
    moment = _lenient_date(value)
    if moment is None:
        message = f"{quoted(value)} is no date; send `@` and whole Unix seconds, such as `@1688169599`"
        return Malformed("deprecation-malformed", message, DEPRECATION)
    code = "deprecation-http-date" if _IMF_FIXDATE.fullmatch(value) else "deprecation-malformed"
    return Malformed(code, f"{quoted(value)} is another form of date; send `@{_seconds(moment)}`", DEPRECATION)


def _no_http_date(value: str) -> Malformed:
    moment = _lenient_date(value)
    if moment is None:
        message = f"{quoted(value)} is no HTTP-date; send one, such as `Sun, 06 Nov 1994 08:49:37 GMT`"
        return Malformed("sunset-malformed", message, HTTP_DATE)
    send = f"send `{http_date(moment)}`"
    if _RFC850_DATE.fullmatch(value) or _ASCTIME_DATE.fullmatch(value):
        return Malformed("sunset-obsolete-date", f"{quoted(value)} is an obsolete form of date; {send}", HTTP_DATE)
    if value.endswith(" UTC"):  # as the example of RFC 9745, section 4, does
        return Malformed("sunset-malformed", f"an HTTP-date ends in GMT and never in UTC; {send}", HTTP_DATE)
    return Malformed("sunset-malformed", f"{quoted(value)} is another form of date; {send}", HTTP_DATE)


def _lenient_date(value: str) -> datetime | None:
    """The moment that somebody may have meant, to be able to say how to write it."""
    if re.fullmatch(r"@?[0-9]{9,11}", value):
        return EPOCH + timedelta(seconds=int(value.removeprefix("@")))
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def _seconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1)
