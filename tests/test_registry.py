"""What versions may not declare: each contradiction is refused when the service starts, in a sentence."""

from datetime import datetime, timedelta

import pytest
from fastapi import FastAPI

from app.versioning import Brownout, Installation, LifecycleError, install, registry
from tests.kitchen import DEPRECATED, SUNSET, ending, serve, version
from tests.test_cli import one_line, tandem

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NAIVE = datetime(2027, 1, 1)  # noqa: DTZ001 - what is refused


def window(start=DEPRECATED + DAY, length=HOUR, **more):
    return Brownout(start, start + length, **more)


REFUSED = {
    "no version": ([], "no version is declared: VERSIONS needs at least one"),
    "the same name twice": ([version("v2"), version("v2")], "two versions have the same name: v2"),
    "a name that is no path segment": (
        [version("v2"), version("V 3/4")],
        "'V 3/4' is no name of a version: it is a path segment of a-z, 0-9, dots and hyphens, such as v1",
    ),
    "an empty name": (
        [version("v2"), version("")],
        "'' is no name of a version: it is a path segment of a-z, 0-9, dots and hyphens, such as v1",
    ),
    "a deprecation without a time zone": (
        [ending(deprecated=NAIVE, brownouts=[window()]), version()],
        "v1: the time of deprecated has no time zone; write it with tzinfo=UTC, or with Z",
    ),
    "a sunset without a time zone": (
        [ending(sunset=NAIVE), version()],
        "v1: the time of sunset has no time zone; write it with tzinfo=UTC, or with Z",
    ),
    "a brownout without a time zone": (
        [ending(brownouts=[window(), window(NAIVE)]), version()],
        "v1: the time of brownout 2 has no time zone; write it with tzinfo=UTC, or with Z",
    ),
    "deprecated since nobody knows when": (
        [ending(deprecated=None, sunset=None), version()],
        "v1 is deprecated, but has no date since when: give it `deprecated`",
    ),
    "deprecated without a successor": (
        [ending(successor=None), version()],
        "v1 is deprecated, but names no successor for its clients to go to",
    ),
    "current, with a date of deprecation": (
        [version(deprecated=DEPRECATED)],
        "v2 has a date of deprecation, but its status is current: make it deprecated",
    ),
    "a sunset without a policy": (
        [ending(policy=None), version()],
        "v1 has a sunset, but no policy: clients must be able to read what it means",
    ),
    "a sunset without a deprecation": (
        [version(sunset=SUNSET, policy="/policy")],
        "v2 has a sunset, but was never deprecated: give it `deprecated`, 180 days before",
    ),
    "a sunset before the deprecation": (
        [ending(sunset=DEPRECATED - DAY), version()],
        "v1 has its sunset before it is deprecated (RFC 8594 and 9745 want it after)",
    ),
    "too short a notice": (
        [ending(sunset=DEPRECATED + 180 * DAY - timedelta(seconds=1)), version()],
        "v1 gives 179 days of notice before its sunset; clients need at least 180",
    ),
    "brownouts without a sunset": (
        [ending(sunset=None, brownouts=[window()]), version()],
        "v1 has brownouts, but no sunset to remind of",
    ),
    "a brownout that ends before it begins": (
        [ending(brownouts=[window(length=-HOUR)]), version()],
        "v1: the brownout that starts 2027-01-02T00:00:00Z ends before it has begun",
    ),
    "a brownout of no length": (
        [ending(brownouts=[window(length=0 * HOUR)]), version()],
        "v1: the brownout that starts 2027-01-02T00:00:00Z ends before it has begun",
    ),
    "a brownout for nobody": (
        [ending(brownouts=[window(percentage=0)]), version()],
        "v1: a brownout hits 1 to 100 percent of the clients, not 0",
    ),
    "a brownout for more than everybody": (
        [ending(brownouts=[window(percentage=101)]), version()],
        "v1: a brownout hits 1 to 100 percent of the clients, not 101",
    ),
    "a brownout before the deprecation": (
        [ending(brownouts=[window(DEPRECATED - HOUR / 2)]), version()],
        (
            "v1: the brownout that starts 2026-12-31T23:30:00Z is not between "
            "the deprecation, 2027-01-01T00:00:00Z, and the sunset, 2027-12-31T23:59:59Z"
        ),
    ),
    "a brownout beyond the sunset": (
        [ending(brownouts=[window(SUNSET - HOUR / 2)]), version()],
        (
            "v1: the brownout that starts 2027-12-31T23:29:59Z is not between "
            "the deprecation, 2027-01-01T00:00:00Z, and the sunset, 2027-12-31T23:59:59Z"
        ),
    ),
    "brownouts that overlap": (
        [ending(brownouts=[window(), window(client="cli"), window(DEPRECATED + DAY + HOUR / 2)]), version()],
        "v1: the brownouts that start 2027-01-02 00:00:00+00:00 and 2027-01-02 00:30:00+00:00 overlap",
    ),
    "a successor that is no version": (
        [ending(successor="v7"), version()],
        "v1 names v7 as its successor, which is no version",
    ),
    "a version that succeeds itself": (
        [ending(successor="v1"), version()],
        "v1 → v1: a version cannot succeed itself",
    ),
    "versions that succeed each other": (
        [ending("v1", successor="v3"), ending("v3", successor="v1"), version()],
        "v1 → v3 → v1: a version cannot succeed itself",
    ),
    "a successor that ends first": (
        [ending("v1", successor="v3"), ending("v3", successor="v2"), version()],
        "v1 sends its clients to v3, which ends no later",
    ),
    "a successor without a way to it": (
        [ending(migration=None), version()],
        "v1 names a successor, but no migration: say how its clients get to v2",
    ),
    "nothing but deprecated versions": (
        [ending("v1", successor="v2"), ending("v2", successor="v1")],
        "no version is current: clients have nowhere to go",
    ),
}
ACCEPTED = {
    "one version": [version()],
    "a version that ends": [ending(), version()],
    "a deprecation without a sunset": [ending(sunset=None, policy=None), version()],
    "a notice of 180 days": [ending(sunset=DEPRECATED + 180 * DAY), version()],
    "each sends its clients to the next": [
        ending("v1", successor="v2"),
        ending("v2", successor="v3", sunset=SUNSET + DAY),
        version("v3"),
    ],
    "brownouts that follow each other, and one client's own": [
        ending(brownouts=[window(), window(DEPRECATED + DAY + HOUR), window(client="cli"), window(client="ios")]),
        version(),
    ],
    "brownouts from the deprecation to the sunset": [
        ending(brownouts=[window(DEPRECATED, SUNSET - DEPRECATED)]),
        version(),
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_contradiction_is_refused(name):
    """Each has its own message, which the start fails with where it is found first."""
    versions, message = REFUSED[name]
    complaints = list(registry.complaints(versions))
    assert message in complaints
    with pytest.raises(LifecycleError) as refused:
        install(FastAPI(openapi_url=None), Installation(versions=versions, translate={}, info={}))
    assert str(refused.value) == complaints[0]
    assert "\n" not in message


def test_the_contradictions_are_all_different():
    """As many checks as there are messages, and more than twelve."""
    assert len({message for _, message in REFUSED.values()}) >= 22


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_consistent_is_served(name):
    """At the very bounds of what is refused nothing is complained of."""
    assert list(registry.complaints(ACCEPTED[name])) == []
    serve(*ACCEPTED[name])


def test_a_route_without_a_version_is_refused():
    """What stands in no version's router has no form for its errors and no document; unless it is not for clients."""
    app = FastAPI(openapi_url=None)
    app.get("/health", include_in_schema=False)(lambda: None)
    app.get("/kettles")(lambda: None)
    with pytest.raises(LifecycleError) as refused:
        install(app, Installation(versions=[version()], translate={}, info={}))
    assert str(refused.value) == (
        "/kettles is in no version: put it into a version's router, or set include_in_schema=False"
    )


def test_other_dates_than_declared():
    """A deployment moves the dates of a version it names, and cannot name another."""
    later = SUNSET + 365 * DAY
    moved = registry.with_dates([ending(), version()], {"v1": {"sunset": later}})
    assert [(one.deprecated, one.sunset) for one in moved] == [(DEPRECATED, later), (None, None)]
    with pytest.raises(LifecycleError) as refused:
        registry.with_dates([ending(), version()], {"v9": {}, "v8": {}})
    assert str(refused.value) == "there are dates for v8, v9, which is no version"


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (
            '{"v1": {"sunset": "2020-01-01T00:00:00Z"}}',
            "v1 has its sunset before it is deprecated (RFC 8594 and 9745 want it after)",
        ),
        (
            '{"v1": {"sunset": "2026-12-01T00:00:00Z"}}',
            "v1 gives 11 days of notice before its sunset; clients need at least 180",
        ),
        (
            '{"v1": {"deprecated": null}}',
            "v1 is deprecated, but has no date since when: give it `deprecated`",
        ),
        (
            '{"v2": {"deprecated": "2026-12-01T00:00:00Z"}}',
            "v2 has a date of deprecation, but its status is current: make it deprecated",
        ),
        ('{"v9": {}}', "there are dates for v9, which is no version"),
        ('{"v1": {"sunset": "2028-01-01T00:00:00"}}', "LIFECYCLE.V1.SUNSET: Input should have timezone info"),
        ('{"v1": {"ends": 1}}', "LIFECYCLE.V1.ENDS: Extra inputs are not permitted"),
        ("tomorrow", 'LIFECYCLE: must be JSON, such as {"v1": {"sunset": "2028-11-20T00:00:00Z"}}'),
    ],
)
def test_wrong_dates_are_one_line(scratch, dates, message):
    """A deployment with dates that contradict each other does not start, and is told why."""
    for command in (("serve", "--workers", 2), ("settings",)):
        failed = tandem(*command, LIFECYCLE=dates, DATABASE_URL=f"sqlite:///{scratch}/tandem.db")
        assert one_line(failed) == message
