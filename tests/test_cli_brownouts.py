"""`tandem versions brownout`: from a rehearsal to the report, and how running workers come to know."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from fastapi.testclient import TestClient

from app.adoption import clients, ledger, plan
from app.main import create_app
from app.versioning.usage import GONE, Client, Counts, Use
from tests.conftest import SECRET, make_settings
from tests.server import LiveServer
from tests.test_cli import one_line, tandem
from tests.test_migrations import new_database, opened

pytestmark = pytest.mark.usefixtures("scratch")

NOW = datetime(2027, 6, 2, 8, 20, tzinfo=UTC)  # a Wednesday
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
TAKEN = "v1: there is a brownout for the same clients then:"
SECONDS = 20  # to wait for what has to happen


@pytest.fixture
def url(database_url, tmp_path):
    with new_database(database_url, tmp_path) as url:
        yield url


@pytest.fixture
def brownout(url):
    """What `tandem versions brownout …` does at NOW, or `at` another time."""

    def run(*arguments, at=NOW, **environment):
        with time_machine.travel(at, tick=False):
            return tandem("versions", "brownout", *arguments, DATABASE_URL=url, **environment)

    return run


def lines(result):
    assert (result.code, result.err) == (0, ""), result
    return [line.rstrip() for line in result.out.splitlines()]


def used(url, *uses):
    """Put (hour, client, source, operation, status class, calls) into the ledger."""
    counts = {
        Use(hour, version, operation, Client(client, source), status): calls
        for hour, version, client, source, operation, status, calls in uses
    }
    with opened(url) as database, database.write() as connection:
        ledger.store(connection, Counts(counts, {}))


def test_plan_list_and_cancel(brownout, url):
    """What is planned is listed with its state as time goes by, and can be cancelled until it is over."""
    whom = ("plan", "v1", "--starts", "2027-06-03T09:00Z")
    assert lines(brownout("list")) == ["id  version  state  window  reason"]
    assert lines(brownout(*whom, "--ends", "2027-06-03T09:30Z", "--reason", "the first")) == [
        "brownout 1 of v1 planned: 2027-06-03T09:00:00Z to 2027-06-03T09:30:00Z for all clients"
    ]
    assert lines(
        brownout("plan", "v1", "--starts", "2027-06-04T11:00+02:00", "--for", "1h30m", "--percentage", 10)
    ) == ["brownout 2 of v1 planned: 2027-06-04T09:00:00Z to 2027-06-04T10:30:00Z for 10 % of the clients"]
    used(url, (NOW - DAY, "v1", "till", "user-agent", "GET /posts", 2, 1))
    assert lines(brownout(*whom, "--for", "1d", "--client", "till")) == [
        "brownout 3 of v1 planned: 2027-06-03T09:00:00Z to 2027-06-04T09:00:00Z for client till"
    ]
    assert lines(brownout("cancel", 2)) == ["brownout 2 cancelled"]
    listed = lines(brownout("list", "v1", at=NOW + DAY + HOUR))
    assert [line.split()[:3] for line in listed] == [
        ["id", "version", "state"],
        ["1", "v1", "open"],
        ["3", "v1", "open"],
        ["2", "v1", "cancelled"],
    ]
    assert listed[1].endswith(" for all clients          the first")
    assert [line.split()[2] for line in lines(brownout("list", at=NOW + 9 * DAY))[1:]] == ["over", "over", "cancelled"]
    assert lines(brownout("list", "v2")) == ["id  version  state  window  reason"]
    with time_machine.travel(NOW, tick=False):
        shown = lines(tandem("versions", "list", DATABASE_URL=url))
    assert shown[3:] == [
        "brownout of v1: 2027-06-03T09:00:00Z to 2027-06-03T09:30:00Z for all clients",
        "brownout of v1: 2027-06-03T09:00:00Z to 2027-06-04T09:00:00Z for client till",
    ]


def test_what_cannot_be_cancelled(brownout):
    """A brownout that is over, is cancelled, or never was, is one line; what was planned stays as it is."""
    lines(brownout("plan", "v1", "--starts", "2027-06-03T09:00Z", "--for", "30m"))
    for number, at in ((7, NOW), (1, NOW + 9 * DAY)):
        refused = one_line(brownout("cancel", number, at=at))
        assert refused == f"there is no brownout {number} to cancel; see: tandem versions brownout list"
    assert " over " in lines(brownout("list", at=NOW + 9 * DAY))[1]
    lines(brownout("cancel", 1))
    assert one_line(brownout("cancel", 1)).startswith("there is no brownout 1 to cancel")
    assert one_line(brownout("report", 7)) == "there is no brownout 7; see: tandem versions brownout list"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "v1 --starts 2027-06-03T09:00Z --ends 2027-06-03T09:00Z",
            "v1: the brownout that starts 2027-06-03T09:00:00Z ends before it has begun",
        ),
        (
            "v1 --starts 2027-06-02T08:19Z --for 1h",
            "v1: a brownout that starts 2027-06-02T08:19:00Z comes unannounced: it is past",
        ),
        (
            "v1 --starts 2028-11-19T23:59Z --for 30m",
            (
                "v1: the brownout that starts 2028-11-19T23:59:00Z is not between "
                "the deprecation, 2026-11-20T00:00:00Z, and the sunset, 2028-11-20T00:00:00Z"
            ),
        ),
        ("v2 --starts 2027-06-03T09:00Z --for 1h", "v2 has no sunset to remind of, so it takes no brownouts"),
        (
            "v1 --starts 2027-07-01T09:29Z --for 1h",
            f"{TAKEN} 2027-07-01T09:00:00Z to 2027-07-01T09:30:00Z for all clients",
        ),
        (
            "v1 --starts 2027-07-01T08:00Z --for 1d --client till --dry-run",
            f"{TAKEN} 2027-07-01T09:00:00Z to 2027-07-01T09:30:00Z for client till",
        ),
    ],
)
def test_windows_that_make_no_sense(brownout, arguments, message):
    """Such a window is refused in one line that says why, and nothing is planned."""
    for more in ((), ("--client", "till")):
        assert brownout("plan", "v1", "--starts", "2027-07-01T09:00Z", "--for", "30m", *more).code == 0
    assert one_line(brownout("plan", *arguments.split())) == message
    assert len(lines(brownout("list"))) == 3


def test_windows_beside_each_other(brownout):
    """One may begin where another ends, or where one was cancelled."""
    for starts in ("09:00", "09:30"):
        lines(brownout("plan", "v1", "--starts", f"2027-07-01T{starts}Z", "--for", "30m"))
    lines(brownout("cancel", 1))
    lines(brownout("plan", "v1", "--starts", "2027-07-01T08:45Z", "--for", "45m"))


@pytest.mark.parametrize(
    "arguments",
    [
        "v1",
        "v1 --starts 2027-06-03T09:00Z",
        "v1 --starts 2027-06-03T09:00Z --ends 2027-06-03T10:00Z --for 1h",
        "v1 --starts 2027-06-03T09:00 --for 1h",
        "v1 --starts tomorrow --for 1h",
        "v1 --starts 0001-01-01T00:00+14:00 --for 1h",
        "v1 --starts 2027-06-03T09:00Z --for 1",
        "v1 --starts 2027-06-03T09:00Z --for 99999999999d",
        "v1 --starts 2027-06-03T09:00Z --for 9999999d",
        "v1 --starts 2027-06-03T09:00Z --for 1h --percentage 0",
        "v1 --starts 2027-06-03T09:00Z --for 1h --percentage 101",
        "v1 --starts 2027-06-03T09:00Z --for 1h --percentage 10 --client till",
        "v1 --starts 2027-06-03T09:00Z --for 1h --dry-run --weeks 0",
        "v1 --starts 2027-06-03T09:00Z --for 1h --weeks 3",
        "v9 --starts 2027-06-03T09:00Z --for 1h",
    ],
)
def test_wrong_usage(brownout, arguments):
    """What cannot be meant exits with 2 and says what would be right."""
    refused = brownout("plan", *arguments.split())
    assert (refused.code, refused.out) == (2, "")
    assert "Traceback" not in refused.err


def test_a_dry_run(brownout, url):
    """It names who called at those times a week before, whom the window would hit, and plans nothing."""
    with opened(url) as database, database.write() as connection:
        clients.register(connection, "till", name="Tills", contact="tills@example.com")
        clients.change(connection, "till", {"brownout_exempt": True})
    nine = datetime(2027, 6, 2, 9, tzinfo=UTC)  # in forty minutes; so the last time it was over is a week ago
    before = nine - WEEK
    used(
        url,
        (before, "v1", "ios", "user-agent", "GET /posts", 2, 5),
        (before, "v1", "ios", "user-agent", "GET /posts", 4, 2),
        (before, "v1", "ios", "user-agent", "POST /vote", 2, 1),
        (before + HOUR, "v1", "ios", "user-agent", "GET /posts/{post_id}", 2, 30),
        (before, "v1", "android", "user-agent", "GET /posts", 2, 3),
        (before, "v1", "till", "token", "GET /posts", 2, 40),
        # Elsewhere, at other times, of another version: not to be counted.
        (before, "v2", "ios", "user-agent", "GET /posts", 2, 1000),
        (before - HOUR, "v1", "ios", "user-agent", "GET /posts", 2, 1000),
        (before + 2 * HOUR, "v1", "ios", "user-agent", "GET /posts", 2, 1000),
        (before - DAY, "v1", "ios", "user-agent", "GET /posts", 2, 1000),
        (before - WEEK, "v1", "ios", "user-agent", "GET /posts", 2, 100),
    )
    window = ("plan", "v1", "--starts", "2027-06-02T09:30Z", "--for", "1h")
    told = "2027-06-02T09:30:00Z to 2027-06-02T10:30:00Z"
    assert lines(brownout(*window, "--percentage", 50, "--dry-run")) == [
        f"nothing is planned; v1 would be switched off {told} for 50 % of the clients",
        "looked at 2027-05-26T09:30:00Z to 2027-05-26T10:30:00Z, by whole hours",
        "verdict  client   known by    calls  operations",
        "hit      ios      user-agent  38     GET /posts/{post_id} 30, GET /posts 7, POST /vote 1",
        "exempt   till     token       40     GET /posts 40",
        "not hit  android  user-agent  3      GET /posts 3",
        "1 of 3 clients would have been refused 38 of 81 calls",
    ]
    assert lines(brownout(*window, "--client", "android", "--dry-run"))[3].split()[:2] == ["hit", "android"]
    two_weeks = lines(brownout(*window, "--dry-run", "--weeks", 2))
    assert two_weeks[1:3] == [
        "looked at 2027-05-26T09:30:00Z to 2027-05-26T10:30:00Z, by whole hours",
        "looked at 2027-05-19T09:30:00Z to 2027-05-19T10:30:00Z, by whole hours",
    ]
    assert two_weeks[-1] == "2 of 3 clients would have been refused 141 of 181 calls"
    far = lines(brownout("plan", "v1", "--starts", "2027-08-04T09:00Z", "--for", "2h", "--dry-run"))
    assert far[-1] == "2 of 3 clients would have been refused 41 of 81 calls"
    long = lines(brownout("plan", "v1", "--starts", "2027-06-03T00:00Z", "--for", "20d", "--dry-run"))
    assert long[1] == "looked at 2027-05-13T00:00:00Z to 2027-06-02T00:00:00Z, by whole hours"
    assert lines(brownout("list")) == ["id  version  state  window  reason"]


def test_a_client_nobody_has_heard_of(brownout, url):
    """A window for a name that is neither registered nor in the ledger is planned, with a word about it."""
    for number, name in enumerate(("kiosk", "ios")):
        for_it = ("plan", "v1", "--starts", "2027-06-03T09:00Z", "--for", "1h", "--client", name)
        planned = brownout(*for_it)
        assert planned.err == f"no client {name} is registered or has called so far\n"
        assert (planned.code, f"brownout {number + 1} of v1 planned" in planned.out) == (0, True)
    with opened(url) as database, database.write() as connection:
        clients.register(connection, "kiosk", name="Kiosks", contact="kiosks@example.com")
    used(url, (NOW - DAY, "v2", "ios", "user-agent", "GET /posts", 2, 1))
    for name in ("kiosk", "ios"):
        lines(brownout("plan", "v1", "--starts", "2027-06-04T09:00Z", "--for", "1h", "--client", name))


def test_times_the_ledger_cannot_tell_of(brownout, url):
    """Before it begins, and where it counts by the day, nobody is said to have called or to have been refused."""
    dry_run = ("plan", "v1", "--starts", "2027-06-03T09:00Z", "--for", "1h", "--dry-run")
    assert lines(brownout(*dry_run))[1:] == [
        "not looked at 2027-05-27T09:00:00Z to 2027-05-27T10:00:00Z: the ledger is empty: nothing is known of that time"
    ]
    used(url, (NOW - DAY, "v1", "ios", "user-agent", "GET /posts", 2, 1))
    begins = "the ledger begins at 2027-06-01T08:20:00Z: nothing is known of that time"
    assert lines(brownout(*dry_run))[1:] == [f"not looked at 2027-05-27T09:00:00Z to 2027-05-27T10:00:00Z: {begins}"]
    used(url, (datetime(2027, 1, 1, tzinfo=UTC), "v1", "ios", "user-agent", "GET /posts", 2, 1))
    by_day = "counted by the day, as all before 2027-05-23T00:00:00Z: who called in those hours is not known"
    told = lines(brownout(*dry_run, "--weeks", 2, USAGE_HOURLY_DAYS="10"))
    assert told[1:3] == [
        "looked at 2027-05-27T09:00:00Z to 2027-05-27T10:00:00Z, by whole hours",
        f"not looked at 2027-05-20T09:00:00Z to 2027-05-20T10:00:00Z: {by_day}",
    ]
    assert told[-1] == "0 of 0 clients would have been refused 0 of 0 calls"
    lines(brownout("plan", "v1", "--starts", "2027-06-03T09:00Z", "--for", "1h"))
    assert lines(brownout("report", 1, at=NOW + 11 * DAY, USAGE_HOURLY_DAYS="10"))[-1].startswith("0 clients were")
    late = lines(brownout("report", 1, at=NOW + 12 * DAY, USAGE_HOURLY_DAYS="10"))
    assert late[1:] == [by_day.replace("05-23", "06-04")]


def test_the_report(brownout, url):
    """Who was refused while the window was open is told from the ledger, with what they asked for."""
    lines(brownout("plan", "v1", "--starts", "2027-06-02T09:00Z", "--for", "30m", "--percentage", 50))
    window = datetime(2027, 6, 2, 9, tzinfo=UTC)
    app = create_app(make_settings(url))
    with time_machine.travel(window - HOUR, tick=False) as clock, TestClient(app) as client:
        assert client.portal
        for at in (window - HOUR / 2, window, window + HOUR / 4, window + HOUR / 2, window + HOUR):
            clock.move_to(at)
            client.portal.call(app.state.installed.ledger.flush)
            for agent in ("ios/1.0", "android/3"):
                client.get("/v1/users/1", headers={"User-Agent": agent})
                client.post("/v1/vote/", headers={"User-Agent": agent})
            client.get("/v1/nothing", headers={"User-Agent": "ios/1.0"})
    told = lines(brownout("report", 1, at=window + HOUR / 2))
    assert told == [
        "brownout 1 of v1, over: 2027-06-02T09:00:00Z to 2027-06-02T09:30:00Z for 50 % of the clients",
        "client  known by    refused  operations",
        "ios     user-agent  6        GET /users/{user_id} 2, POST /vote 2, unknown 2",
        "1 clients were refused 6 calls, by whole hours",
    ]
    lines(brownout("plan", "v1", "--starts", "2027-06-03T09:00Z", "--for", "30m"))
    lines(brownout("cancel", 2))
    assert lines(brownout("report", 2))[-1] == "0 clients were refused 0 calls, by whole hours"


def test_the_report_blames_nobody_else(brownout, url):
    """Of two brownouts in the same hour each is told with those that it is for, and nobody else."""
    nine = datetime(2027, 6, 2, 9, tzinfo=UTC)
    for whom in (("--client", "android"), ("--percentage", 50)):
        assert brownout("plan", "v1", "--starts", "2027-06-02T09:00Z", "--for", "30m", *whom).code == 0
    used(url, *((nine, "v1", name, "user-agent", "GET /posts", GONE, 2) for name in ("android", "ios")))
    for number, name in ((1, "android"), (2, "ios")):
        told = lines(brownout("report", number, at=nine + HOUR))
        assert [line.split()[0] for line in told[2:-1]] == [name]
        assert told[-1] == "1 clients were refused 2 calls, by whole hours"


def test_the_kill_switch(brownout, url):
    """`stop` may be said twice, is told by the lists, and lasts until `resume`."""
    lines(brownout("plan", "v1", "--starts", "2027-06-02T09:00Z", "--for", "30m"))
    for _ in range(2):
        assert lines(brownout("stop")) == ["all brownouts stopped; go on with: tandem versions brownout resume"]
    assert lines(brownout("list"))[-1].startswith("All brownouts are stopped")
    assert lines(tandem("versions", "list", DATABASE_URL=url))[-1] == "brownouts: all stopped"
    for _ in range(2):
        assert lines(brownout("resume")) == ["brownouts happen as planned"]
    assert len(lines(brownout("list"))) == 2


def test_versions_list_without_a_database(scratch):
    """The dates are in the code: they are told also while the database is not there; the brownouts are not."""
    shown = tandem("versions", "list", DATABASE_URL=f"sqlite:///{scratch}/none.db")
    assert shown.code == 0
    assert [line.split()[0] for line in shown.out.splitlines()] == ["version", "v1", "v2"]
    assert shown.err.startswith("which brownouts are planned cannot be told: there is no database ")


def test_changes_reach_running_workers(url, tmp_path):
    """Each of two workers learns of a plan, a stop, a resume and a cancellation without a restart."""
    now = datetime.now(UTC)
    dates = {"v1": {"deprecated": (now - 200 * DAY).isoformat(), "sunset": (now + 200 * DAY).isoformat()}}
    there = {"DATABASE_URL": url, "LIFECYCLE": json.dumps(dates)}
    with LiveServer(url, tmp_path, WORKERS="2", LIFECYCLE=json.dumps(dates)) as server:
        workers = server.connection_to_each_worker(2)

        def becomes(status):
            """What every worker answers, asked over a connection that is its own."""
            deadline = time.monotonic() + SECONDS
            while (seen := [status_of(worker, "/v1/users/1") for worker in workers]) != [status, status]:
                assert time.monotonic() < deadline, seen
                time.sleep(0.05)
            return True

        assert becomes(404)
        starts = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        lines(tandem("versions", "brownout", "plan", "v1", "--starts", starts, "--for", "1h", **there))
        assert becomes(410)
        lines(tandem("versions", "brownout", "stop", **there))
        assert becomes(404)
        lines(tandem("versions", "brownout", "resume", **there))
        assert becomes(410)
        lines(tandem("versions", "brownout", "cancel", 1, **there))
        assert becomes(404)
        for worker in workers:
            worker.close()
    text = server.log.read_text()
    assert "Traceback" not in text
    assert SECRET not in text


def status_of(connection, path):
    connection.request("GET", path)
    reply = connection.getresponse()
    reply.read()
    return reply.status


def test_a_worker_that_loses_the_database_keeps_the_plan(database_url, tmp_path):
    """What was known last goes on to hold while the database is away, and what is new is learnt when it is back."""
    with new_database(database_url, tmp_path) as url:
        moment = datetime.now(UTC)
        with opened(url) as database:
            with database.write() as connection:
                plan.add(connection, "v1", moment - HOUR, moment + HOUR)
            app = create_app(make_settings(url, lifecycle_refresh_seconds=0.1, log_level="ERROR"))
            with TestClient(app) as client:
                assert client.get("/v1/users/1").status_code == 410
                with database.write() as connection:
                    connection.exec_driver_sql("ALTER TABLE brownouts RENAME TO away")
                time.sleep(0.5)
                assert client.get("/v1/users/1").status_code == 410
                with database.write() as connection:
                    connection.exec_driver_sql("ALTER TABLE away RENAME TO brownouts")
                    plan.stop(connection)
                deadline = time.monotonic() + SECONDS
                while client.get("/v1/users/1").status_code == 410:
                    assert time.monotonic() < deadline
