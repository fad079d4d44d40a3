"""`/metrics`: what Prometheus reads."""

import httpx2
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app.adoption import clients
from app.main import create_app
from tests.conftest import make_settings
from tests.server import LiveServer
from tests.steps import PASSWORD
from tests.test_migrations import new_database


def samples(reply):
    """Values by (name, labels)."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def value(found, name, **labels):
    return found.get((name, frozenset(labels.items())), 0)


@pytest.fixture
def own(database_url, tmp_path):
    """A service of its own, whose counts begin at nothing."""
    with new_database(database_url, tmp_path) as url, TestClient(create_app(make_settings(url))) as client:
        yield client


def test_requests_and_durations(own):
    """Requests are counted by version, operation, status class and phase, and their durations with them."""
    for _ in range(3):
        own.get("/v2/posts")
    own.get("/v1/posts")
    own.head("/v2/posts/7")
    own.get("/v2/made-up-by-a-client")
    own.get("/livez")
    found = samples(own.get("/metrics"))
    ok = {"version": "v2", "operation": "GET /posts", "status": "2xx", "phase": "current"}
    assert value(found, "http_requests_total", **ok) == 3
    assert value(found, "http_request_duration_seconds_count", **ok) == 3
    assert value(found, "http_request_duration_seconds_bucket", **ok, le="+Inf") == 3
    assert 0 < value(found, "http_request_duration_seconds_sum", **ok) < 60
    for labels in (
        {"version": "v1", "operation": "GET /posts", "status": "4xx", "phase": "deprecated"},
        {"version": "v2", "operation": "GET /posts/{post_id}", "status": "4xx", "phase": "current"},
        {"version": "v2", "operation": "unknown", "status": "4xx", "phase": "current"},
    ):
        assert value(found, "http_requests_total", **labels) == 1, labels
    assert sum(count for (name, _), count in found.items() if name == "http_requests_total") == 6


def test_no_label_is_made_up_by_clients(own):
    """Paths, parameters, agents and unregistered clients are in no label."""
    own.get("/v2/zebra?zebra=1", headers={"User-Agent": "zebra/1", "X-Request-ID": "zebra"})
    own.request("ZEBRA", "/v2/posts")
    assert "zebra" not in own.get("/metrics").text.lower()


def test_dates_of_versions(own):
    """Deprecation and sunset are unix times by version; a version without an end has none."""
    found = samples(own.get("/metrics"))
    version = next(version for version in own.get("/versions").json()["versions"] if version["name"] == "v1")
    assert version["sunset"] == "2028-11-20T00:00:00Z"
    assert value(found, "api_version_sunset_timestamp_seconds", version="v1") == 1858291200
    assert value(found, "api_version_deprecation_timestamp_seconds", version="v1") == 1795132800
    assert ("api_version_sunset_timestamp_seconds", frozenset({("version", "v2")})) not in found


def test_the_ledger_s_lag_and_drift(own):
    """Up to when everything is in the ledger moves on with each flush; drift is counted for registered clients."""
    database = own.app.state.services.database
    with database.write() as connection:
        clients.register(connection, "billing", name="Billing", contact="b@example.com", pinned_version="v1")
    own.post("/v2/users", json={"email": "ada@example.com", "password": PASSWORD})
    form = {"username": "ada@example.com", "password": PASSWORD, "client_id": "billing"}
    token = own.post("/v1/login", data=form).json()["access_token"]
    for _ in range(2):
        own.get("/v2/posts", headers={"Authorization": f"Bearer {token}"})
    before = samples(own.get("/metrics"))
    assert own.portal.call(own.app.state.installed.ledger.flush)
    after = samples(own.get("/metrics"))
    written = "api_usage_written_timestamp_seconds"
    assert value(after, written) > value(before, written) > 0
    drift = {"client": "billing", "pinned": "v1", "called": "v2"}
    assert (
        value(before, "api_client_drift_calls_total", **drift),
        value(after, "api_client_drift_calls_total", **drift),
    ) == (0, 2)
    rename = "ALTER TABLE {} RENAME TO {}"
    own.get("/v2/posts")
    with database.write() as connection:
        connection.exec_driver_sql(rename.format("usage", "usage_away"))
    assert not own.portal.call(own.app.state.installed.ledger.flush)
    assert value(samples(own.get("/metrics")), written) == value(after, written)


def test_metrics_off(tmp_path):
    """METRICS_ENABLED=false serves none."""
    settings = make_settings(f"sqlite:///{tmp_path}/none.db", metrics_enabled=False)
    assert TestClient(create_app(settings)).get("/metrics").status_code == 404


def test_metrics_are_told_to_any_host(tmp_path):
    """Prometheus calls by address, as probes do."""
    settings = make_settings(f"sqlite:///{tmp_path}/none.db", allowed_hosts=("api.example.com",))
    assert TestClient(create_app(settings)).get("/metrics", headers={"Host": "10.0.0.7:8000"}).status_code == 200


def test_several_workers_tell_the_sum(database_url, tmp_path):
    """Whichever of 3 workers is asked, it tells what all have counted; a stop leaves no folder behind."""
    with new_database(database_url, tmp_path) as url, LiveServer(url, tmp_path, WORKERS="3") as server:
        asked = 0
        while asked < 60 or len(list(tmp_path.glob("tandem-metrics-*/counter_*.db"))) < 3:  # the third may start late
            assert httpx2.get(f"{server.url}/v2/posts").status_code == 200
            asked += 1
            assert asked < 5_000
        answers = [samples(httpx2.get(f"{server.url}/metrics")) for _ in range(9)]
        labels = {"version": "v2", "operation": "GET /posts", "status": "2xx", "phase": "current"}
        assert {value(found, "http_requests_total", **labels) for found in answers} == {asked}
        assert {value(found, "http_request_duration_seconds_count", **labels) for found in answers} == {asked}
        assert {value(found, "api_version_sunset_timestamp_seconds", version="v1") for found in answers} == {1858291200}
        assert len({value(found, "api_usage_written_timestamp_seconds") for found in answers}) == 1
        assert len(list(tmp_path.glob("tandem-metrics-*/counter_*.db"))) == 3
    assert not list(tmp_path.glob("tandem-metrics-*"))
