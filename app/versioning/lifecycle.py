"""What a version tells about its own end, on every reply (RFC 9745, 8594, 8288), and what it answers after it."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

from fastapi import Request

from app.versioning.brownouts import Schedule
from app.versioning.problems import BROWNOUT, RETIRED, Problem
from app.versioning.times import rfc3339
from app.versioning.usage import Client
from app.versioning.version import ApiVersion

_SHOWN_WINDOWS = 5
_LONGEST_TARGET = 2000  # characters: proxies give all headers of a reply 4 to 8 KiB, and answer 502 beyond it
_URL_CHARACTERS = "%/?#[]@!$&'()*+,;=:~"


def announcement(version: ApiVersion) -> dict[str, str]:
    """The headers that every reply of the version has, whatever was asked; links are not among them."""
    headers = {"API-Version": version.name}
    if version.deprecated is not None:
        headers["Deprecation"] = f"@{int(version.deprecated.timestamp())}"  # RFC 9745, section 2.1
    if version.sunset is not None:
        headers["Sunset"] = format_datetime(version.sunset.astimezone(UTC), usegmt=True)  # RFC 8594, section 3
    return headers


def links(version: ApiVersion, *, docs_enabled: bool) -> list[str]:
    """The links that every reply of a version with an end has (RFC 8288); `successor_link` goes with them."""
    if version.deprecated is None:
        return []
    found = [f'<{guide_path(version)}>; rel="deprecation"; type="text/html"'] if version.migration else []
    if version.policy is not None:
        found.append(f'<{version.policy}>; rel="sunset"; type="text/html"')
    if docs_enabled:
        found.append(f'<{version.document_paths[0]}>; rel="service-desc"; type="application/json"')
    return found


def guide_path(version: ApiVersion) -> str:
    """Where the guide to the successor is."""
    return f"/versions/{version.name}/migration"


def successor_link(version: ApiVersion, request: Request) -> str:
    """The link to the same resource in the successor (RFC 5829)."""
    return f'<{successor_of(version, request)}>; rel="successor-version"'


def successor_of(version: ApiVersion, request: Request) -> str:
    """Path and query, in the successor, of what the request is for; safe to be put into a header.

    For what is too long to be put there it is the successor itself.
    """
    assert version.migration is not None
    target = quote(version.migration.resource(request), safe=_URL_CHARACTERS, errors="replace")
    target = re.sub("%(?![0-9A-Fa-f]{2})", "%25", target)
    return target if len(target) <= _LONGEST_TARGET else f"/{version.successor}"


def refusal(version: ApiVersion, schedule: Schedule, request: Request, client: Client, at: datetime) -> Problem | None:
    """410 after the sunset, and in a brownout that is for this client; None when the request may go on."""
    if version.phase(at) == "retired":
        assert version.sunset is not None
        detail = (
            f"Version {version.name} was retired on {rfc3339(version.sunset)}; "
            f"its successor {version.successor} has this at {successor_of(version, request)}"
        )
        return Problem(RETIRED, detail)
    if schedule.exempt(client) or not any(window.hits(client.name) for window in schedule.open(version.name, at)):
        return None
    coming = [
        (window.starts, window.ends)
        for window in schedule.windows(version.name)
        if window.ends > at and window.hits(client.name)
    ]
    ends = at
    for start, end in coming:  # in order: windows may overlap, or follow each other at once
        if start <= ends:
            ends = max(ends, end)
    detail = (
        f"Version {version.name} is switched off for a while until {rfc3339(ends)}, to remind its clients of its "
        f"sunset; its successor {version.successor} has this at {successor_of(version, request)}. "
        f"Switched off: {', '.join(f'{rfc3339(a)} to {rfc3339(b)}' for a, b in coming[:_SHOWN_WINDOWS])}"
    )
    headers = {
        "Retry-After": str(max(1, math.ceil((ends - at).total_seconds()))),
        "Brownout": _intervals(coming),
        "Cache-Control": "no-store",  # caches keep a 410 unless told otherwise (RFC 9110, section 15.1)
    }
    return Problem(BROWNOUT, detail, headers=headers)


def _intervals(windows: Sequence[tuple[datetime, datetime]]) -> str:
    """Windows as ISO 8601 time intervals, the next ones first."""
    return ", ".join(f"{rfc3339(a)}/{rfc3339(b)}" for a, b in windows[:_SHOWN_WINDOWS])
