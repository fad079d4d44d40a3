"""What the declarations of versions may say together. A contradiction is refused when the service starts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

from app.versioning.times import rfc3339
from app.versioning.version import ApiVersion

LEAST_NOTICE = timedelta(days=180)
SUPPORT_MONTHS = 24  # from the deprecation on: what is promised; a deployment may set other dates, with that notice
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")


class LifecycleError(ValueError):
    """Versions that contradict each other or themselves; the message is one line and says what to do."""


def with_dates(versions: Sequence[ApiVersion], dates: Mapping[str, Mapping[str, Any]]) -> tuple[ApiVersion, ...]:
    """The versions with other dates than they declare: {"v1": {"sunset": …}}. LifecycleError for an unknown version."""
    if unknown := sorted(set(dates) - {version.name for version in versions}):
        raise LifecycleError(f"there are dates for {', '.join(unknown)}, which is no version")
    return tuple(replace(version, **dates.get(version.name, {})) for version in versions)


def check(versions: Sequence[ApiVersion]) -> None:
    """LifecycleError for the first contradiction found."""
    for complaint in complaints(versions):
        raise LifecycleError(complaint)


def complaints(versions: Sequence[ApiVersion]) -> Iterator[str]:
    """Everything that is wrong with the declarations, a sentence each."""
    if not versions:
        yield "no version is declared: VERSIONS needs at least one"
        return
    names = [version.name for version in versions]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two versions have the same name: {name}"
    if without_zone := [complaint for version in versions for complaint in _without_zone(version)]:
        yield from without_zone  # nothing can be compared with these
        return
    for version in versions:
        yield from _alone(version)
        yield from _brownouts(version)
        if version.successor is not None:
            yield from _succession(version, {other.name: other for other in versions})
    if all(version.status != "current" for version in versions):
        yield "no version is current: clients have nowhere to go"


def _without_zone(version: ApiVersion) -> Iterator[str]:
    moments = {
        "deprecated": (version.deprecated,),
        "sunset": (version.sunset,),
        **{f"brownout {at}": (window.starts, window.ends) for at, window in enumerate(version.brownouts, 1)},
    }
    for which, of_it in moments.items():
        if any(moment is not None and moment.tzinfo is None for moment in of_it):
            yield f"{version.name}: the time of {which} has no time zone; write it with tzinfo=UTC, or with Z"


def _alone(version: ApiVersion) -> Iterator[str]:
    name = version.name
    if not _NAME.fullmatch(name):
        yield f"{name!r} is no name of a version: it is a path segment of a-z, 0-9, dots and hyphens, such as v1"
    if version.status == "deprecated":
        if version.deprecated is None:
            yield f"{name} is deprecated, but has no date since when: give it `deprecated`"
        if version.successor is None:
            yield f"{name} is deprecated, but names no successor for its clients to go to"
    elif version.deprecated is not None:
        yield f"{name} has a date of deprecation, but its status is {version.status}: make it deprecated"
    if version.sunset is not None:
        yield from _sunset(version)


def _sunset(version: ApiVersion) -> Iterator[str]:
    name = version.name
    assert version.sunset is not None
    if version.policy is None:
        yield f"{name} has a sunset, but no policy: clients must be able to read what it means"
    if version.deprecated is None:
        yield f"{name} has a sunset, but was never deprecated: give it `deprecated`, {LEAST_NOTICE.days} days before"
    elif version.sunset < version.deprecated:
        yield f"{name} has its sunset before it is deprecated (RFC 8594 and 9745 want it after)"
    elif version.sunset - version.deprecated < LEAST_NOTICE:
        days = (version.sunset - version.deprecated).days
        yield f"{name} gives {days} days of notice before its sunset; clients need at least {LEAST_NOTICE.days}"


def _brownouts(version: ApiVersion) -> Iterator[str]:
    if version.brownouts and version.sunset is None:
        yield f"{version.name} has brownouts, but no sunset to remind of"
        return
    for window in version.brownouts:
        if (fault := fault_of_window(version, window.starts, window.ends, window.percentage)) is not None:
            yield fault
    for one, other in combinations(version.brownouts, 2):
        if one.overlaps(other):
            yield f"{version.name}: the brownouts that start {one.starts} and {other.starts} overlap"


def fault_of_window(version: ApiVersion, starts: datetime, ends: datetime, percentage: int) -> str | None:
    """What is wrong with a brownout of the version; None when nothing is."""
    if ends <= starts:
        return f"{version.name}: the brownout that starts {rfc3339(starts)} ends before it has begun"
    if not 1 <= percentage <= 100:
        return f"{version.name}: a brownout hits 1 to 100 percent of the clients, not {percentage}"
    if version.deprecated is None or version.sunset is None:
        return f"{version.name} has no sunset to remind of, so it takes no brownouts"
    if starts < version.deprecated or ends > version.sunset:
        between = f"the deprecation, {rfc3339(version.deprecated)}, and the sunset, {rfc3339(version.sunset)}"
        return f"{version.name}: the brownout that starts {rfc3339(starts)} is not between {between}"
    return None


def _succession(version: ApiVersion, known: Mapping[str, ApiVersion]) -> Iterator[str]:
    path = [version.name]
    while (following := known[path[-1]].successor) is not None:
        if following not in known:
            if len(path) == 1:
                yield f"{version.name} names {following} as its successor, which is no version"
            return
        if following in path:
            yield f"{' → '.join([*path, following])}: a version cannot succeed itself"
            return
        path.append(following)
    heir = known[path[1]]
    if version.sunset is not None and heir.sunset is not None and heir.sunset <= version.sunset:
        yield f"{version.name} sends its clients to {heir.name}, which ends no later"
    if version.migration is None:
        yield f"{version.name} names a successor, but no migration: say how its clients get to {heir.name}"
