"""How a version's end shows to programs and people who look before they call: all of it from one declaration."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from fastapi.testclient import TestClient

from app.main import create_app
from app.versioning import Brownout
from app.versioning.brownouts import Plan
from tests.conftest import make_settings
from tests.links import deprecation_of, links_of, sunset_of
from tests.test_routes import operations

NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DECLARED = {"deprecated": "2026-11-20T00:00:00Z", "sunset": "2028-11-20T00:00:00Z"}
# With another offset, so that a date which is not brought to UTC shows.
OVERRIDDEN = {"deprecated": "2027-01-01T01:00:00+02:00", "sunset": "2029-01-01T00:30:00+01:00"}
dates = pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, DECLARED),
        (OVERRIDDEN, {"deprecated": "2026-12-31T23:00:00Z", "sunset": "2028-12-31T23:30:00Z"}),
    ],
    ids=["as declared", "as overridden"],
)


@pytest.fixture
def serving(tmp_path):
    """A client of the service with other settings; nothing is asked of its database."""

    def serve(**changes):
        return TestClient(create_app(make_settings(f"sqlite:///{tmp_path}/none.db", **changes)))

    return serve


@dates
def test_everything_tells_the_same_dates(serving, given, wanted):
    """Headers, /versions, the document and the docs page agree, in UTC, with the dates of this deployment."""
    client = serving(lifecycle={"v1": given} if given else {})
    reply = client.get("/v1/nothing")
    moments = {name: datetime.fromisoformat(text) for name, text in wanted.items()}
    assert {"deprecated": deprecation_of(reply), "sunset": sunset_of(reply)} == moments
    v1, v2 = client.get("/versions").json()["versions"]
    assert {name: v1[name] for name in wanted} == wanted
    assert {name: v2[name] for name in wanted} == dict.fromkeys(wanted)
    document = client.get("/v1/openapi.json").json()
    assert document["info"]["x-deprecated"] == wanted["deprecated"]
    assert document["info"]["x-sunset"] == wanted["sunset"]
    for method, path, operation in operations(document):
        assert operation["deprecated"] is True, (method, path)
        assert operation["x-sunset"] == wanted["sunset"], (method, path)
        assert list(operation["responses"]["410"]["content"]) == ["application/json"], (method, path)
    with time_machine.travel(NOW):
        page = client.get("/v1/docs").text
    assert f"v1 is deprecated since {wanted['deprecated'][:10]}. It ends on {wanted['sunset'][:10]}." in page
    assert '<a style="color:#fff" href="/versions/v1/migration">How to move to v2</a>' in page


def test_a_version_that_goes_on_says_nothing_of_an_end(serving):
    """The document and the docs page of version 2 hold none of it."""
    client = serving()
    document = client.get("/v2/openapi.json").json()
    assert not {"x-deprecated", "x-sunset"} & document["info"].keys()
    for _, path, operation in operations(document):
        assert not {"deprecated", "x-sunset"} & operation.keys(), path
        assert "410" not in operation["responses"], path
    assert 'role="note"' not in client.get("/v2/docs").text


@pytest.mark.parametrize(
    ("at", "status", "said"),
    [
        (datetime(2026, 11, 19, 23, 59, 59, tzinfo=UTC), "current", "v1 will be deprecated on 2026-11-20. It ends on"),
        (datetime(2026, 11, 20, tzinfo=UTC), "deprecated", "v1 is deprecated since 2026-11-20. It ends on 2028-11-20."),
        (datetime(2028, 11, 19, 23, 59, 59, tzinfo=UTC), "deprecated", "It ends on 2028-11-20."),
        (datetime(2028, 11, 20, tzinfo=UTC), "retired", "It ended on 2028-11-20."),
    ],
)
def test_the_status_follows_the_clock(serving, at, status, said):
    """/versions and the docs page speak of the dates as past or to come, without a restart."""
    client = serving()
    with time_machine.travel(at, tick=False):
        assert client.get("/versions").json()["versions"][0]["status"] == status
        assert said in client.get("/v1/docs").text


def test_versions_lists_what_everybody_may_know_of_brownouts(serving):
    """Windows to come, in order, with their percentage; not a single client's, not past ones, none that are stopped."""
    client = serving()
    windows = [
        Brownout(NOW + DAY, NOW + DAY + HOUR, percentage=10),
        Brownout(NOW - HOUR, NOW + HOUR),
        Brownout(NOW, NOW + HOUR, "till"),
        Brownout(NOW - DAY, NOW),
    ]
    with time_machine.travel(NOW, tick=False):
        client.app.state.installed.schedule.plan = Plan({"v1": windows})
        assert [one["brownouts"] for one in client.get("/versions").json()["versions"]] == [
            [
                {"starts": "2027-06-01T11:00:00Z", "ends": "2027-06-01T13:00:00Z", "percentage": 100},
                {"starts": "2027-06-02T12:00:00Z", "ends": "2027-06-02T13:00:00Z", "percentage": 10},
            ],
            [],
        ]
        client.app.state.installed.schedule.plan = Plan({"v1": windows}, stopped=True)
        assert client.get("/versions").json()["versions"][0]["brownouts"] == []


def test_versions(serving):
    """Each version says where it is, what describes it, and where its clients are to go; what it names is there."""
    versions = {one["name"]: one for one in serving().get("/versions").json()["versions"]}
    assert versions["v1"] == {
        "name": "v1",
        "status": versions["v1"]["status"],
        "frozen": True,
        "base": "/v1",
        "summary": "Users, posts and votes, for clients pinned to version 1.",
        "openapi": "/v1/openapi.json",
        "docs": "/v1/docs",
        **DECLARED,
        "successor": "v2",
        "policy": "/policy",
        "migration": "/versions/v1/migration.json",
        "brownouts": [],
    }
    assert (versions["v2"]["status"], versions["v2"]["successor"], versions["v2"]["migration"]) == (
        *("current", None, None),
    )
    for one in versions.values():
        assert serving().get(one["openapi"]).is_success
        assert serving().get(one["docs"]).is_success


@pytest.mark.parametrize("docs_enabled", [True, False])
def test_the_api_catalog(serving, docs_enabled):
    """RFC 9727: a set of links of its profile, which names every version and, of each, what headers link to as well."""
    client = serving(docs_enabled=docs_enabled)
    reply = client.get("/.well-known/api-catalog")
    assert reply.headers["content-type"] == (
        'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'
    )
    catalog, v1, v2 = reply.json()["linkset"]
    assert catalog == {"anchor": "/.well-known/api-catalog", "item": [{"href": "/v1"}, {"href": "/v2"}]}
    assert (v1.pop("anchor"), v2.pop("anchor")) == ("/v1", "/v2")
    in_headers = {
        link.relation: [{"href": link.target, **({"type": link.type} if link.type else {})}]
        for link in links_of(client.get("/v1"))
    }
    assert {name: v1[name] for name in in_headers} == in_headers
    described = {"service-desc", "service-doc"} if docs_enabled else set()
    assert v1.keys() == {"status", "deprecation", "sunset", "successor-version", *described}
    assert v2.keys() == {"status", *described}
    for name in ("status", *described):
        assert client.get(v2[name][0]["href"]).headers["content-type"].startswith(v2[name][0]["type"])


def test_head_of_the_api_catalog(serving):
    """RFC 9727, section 2: HEAD says by a link that this is the catalog."""
    reply = serving().head("/.well-known/api-catalog")
    assert (reply.status_code, reply.content) == (200, b"")
    assert [link[:2] for link in links_of(reply)] == [("/.well-known/api-catalog", "api-catalog")]
    assert reply.headers["content-type"].startswith("application/linkset+json")
