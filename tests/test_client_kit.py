"""The client kit: a transport that pins a version, warns of what the API announces, and counts."""

import asyncio
import shutil
import subprocess
import sys
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import httpx2
import pytest

from app.versioning import client as client_kit
from app.versioning.client import (
    AsyncPinnedTransport,
    DeprecatedOperation,
    OperationWarning,
    OtherVersion,
    PausedOperation,
    PinnedTransport,
    RetiredOperation,
)
from tests.announcer import Announcer
from tests.steps import PASSWORD

ENDS = datetime.now(UTC).replace(microsecond=0) + timedelta(days=10, hours=1)
ANNOUNCED = [
    ("Deprecation", "@1688169599;by=us"),
    ("Sunset", format_datetime(ENDS, usegmt=True)),
    ("Link", '</a,b>; title="x; rel=successor-version, <c>", </v2/posts>; rel="successor-version next"'),
    ("Link", '</guide>; type="text/html"; rel=deprecation'),
]


@pytest.fixture
def api():
    """An API of somebody else's."""
    with Announcer() as announcer:
        yield announcer


@pytest.fixture
def notices():
    return []


@pytest.fixture
def transport(notices):
    return PinnedTransport("v1", on_notice=notices.append)


@pytest.fixture
def pinned(api, transport):
    with httpx2.Client(transport=transport, base_url=api.url) as http:
        yield http


def paths(api):
    return [path for _, path, _ in api.seen]


def test_requests_go_to_the_pinned_version(api, pinned):
    """The version is put before a path, once, and the client sees the address that was really asked."""
    reply = pinned.get("/posts/a%2Fb?limit=1&q=%20")
    pinned.post("/v1/posts")
    pinned.get("")
    assert paths(api) == ["/v1/posts/a%2Fb?limit=1&q=%20", "/v1/posts", "/v1/"]
    assert reply.url.path == "/v1/posts/a/b"


@pytest.mark.parametrize("version", ["v1", "/v1/"])
@pytest.mark.parametrize("path", ["/v2/posts", "/v2", "/%762/posts", "/v1/../v10/posts"])
def test_another_version_is_not_asked(api, version, path):
    """A path of another version is refused before anything is sent, and not counted."""
    transport = PinnedTransport(version)
    with httpx2.Client(transport=transport, base_url=api.url) as http:
        with pytest.raises(OtherVersion, match="pinned to v1"):
            http.get(path)
        assert http.get("/v2x").status_code == 200
    assert paths(api) == ["/v1/v2x"]
    assert transport.counts.requests == 1


def test_versions_may_be_dates(api):
    """What another version looks like is told by the pinned one."""
    with httpx2.Client(transport=PinnedTransport("2024-01-31"), base_url=api.url) as http:
        http.get("/v2/posts")
        with pytest.raises(OtherVersion):
            http.get("/2025-06-30/posts")
    assert paths(api) == ["/2024-01-31/v2/posts"]


@pytest.mark.parametrize("version", ["", "/", "v1/posts"])
def test_a_version_is_one_segment(version):
    """Anything else is refused when the transport is made."""
    with pytest.raises(ValueError, match="one segment"):
        PinnedTransport(version)


def test_a_redirect_to_another_version_is_refused(api, pinned):
    """The pin also holds for where the API sends a client on to."""
    api.status, api.headers = 307, [("Location", "/v2/posts")]
    with pytest.raises(OtherVersion):
        pinned.get("/posts", follow_redirects=True)
    assert paths(api) == ["/v1/posts"]


def test_a_reply_of_another_version_is_refused(api, pinned, transport, notices):
    """API-Version says who answered: the pinned version may, another one may not, and announces nothing to us."""
    api.headers = [("API-Version", "v1")]
    assert pinned.get("/posts").status_code == 200
    api.headers = [("API-Version", "v2"), *ANNOUNCED]
    with pytest.raises(OtherVersion, match="answered by 'v2'"):
        pinned.get("/posts")
    assert (transport.counts.statuses, transport.counts.notices, notices) == ({"2xx": 2}, {}, [])
    api.headers = ANNOUNCED
    pinned.get("/posts")
    assert len(notices) == 1


def test_a_notice_says_everything(api, pinned, notices):
    """Dates, days left, successor and guide are read from the headers; addresses are absolute."""
    api.headers = ANNOUNCED
    pinned.get(f"/posts/7/parts/{str(uuid4()).upper()}")
    (notice,) = notices
    assert (notice.kind, notice.operation) == ("deprecated", "GET /v1/posts/{id}/parts/{id}")
    assert notice.deprecation == datetime(2023, 6, 30, 23, 59, 59, tzinfo=UTC)
    assert (notice.sunset, notice.days_left) == (ENDS, 10)
    assert (notice.successor, notice.guide) == (f"{api.url}/v2/posts", f"{api.url}/guide")
    assert str(notice) == (
        f"GET /v1/posts/{{id}}/parts/{{id}} is deprecated as of 2023-06-30; sunset {ENDS:%Y-%m-%d}, days left: 10; "
        f"successor: {api.url}/v2/posts; guide: {api.url}/guide"
    )


def test_once_an_operation_and_kind(api, pinned, transport, notices):
    """However often an operation is called, it is told once that it is deprecated, and once that it is gone."""
    api.headers = ANNOUNCED
    for number in range(3):
        pinned.get(f"/posts/{number}")
    pinned.post("/posts/1")
    api.status = 410
    for number in range(2):
        pinned.get(f"/posts/{number}")
    api.headers = [("Retry-After", "3600")]
    pinned.get("/posts/1")
    assert [(notice.kind, notice.operation) for notice in notices] == [
        ("deprecated", "GET /v1/posts/{id}"),
        ("deprecated", "POST /v1/posts/{id}"),
        ("retired", "GET /v1/posts/{id}"),
        ("paused", "GET /v1/posts/{id}"),
    ]
    assert transport.counts.notices == {"deprecated": 4, "retired": 2, "paused": 1}


@pytest.mark.parametrize(
    ("headers", "status", "category", "text"),
    [
        (ANNOUNCED[:1], 200, DeprecatedOperation, "GET /v1/posts is deprecated as of 2023-06-30"),
        (ANNOUNCED[1:2], 404, DeprecatedOperation, "GET /v1/posts is deprecated; sunset .*, days left: 10"),
        (ANNOUNCED[2:3], 410, RetiredOperation, r"GET /v1/posts has ended \(410\); successor: http://.*/v2/posts"),
        ([("Retry-After", "60")], 410, PausedOperation, r"GET /v1/posts is switched off .*; retry after: 60"),
    ],
)
def test_without_a_callback_it_warns(api, headers, status, category, text):
    """By default a notice is a warning of Python's, which is shown unless a program asks not to."""
    api.headers, api.status = headers, status
    with httpx2.Client(transport=PinnedTransport("v1"), base_url=api.url) as http:
        with pytest.warns(category, match=text) as caught:
            assert http.get("/posts").status_code == status
        assert http.get("/posts").status_code == status  # warnings are errors here: there is no second one
    (warning,) = [one.message for one in caught]
    assert isinstance(warning, OperationWarning)
    assert isinstance(warning, FutureWarning)
    assert warning.notice.operation == "GET /v1/posts"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Deprecation", "true"),
        ("Deprecation", "@99999999999999999999"),
        ("Deprecation", "@soon"),
        ("Sunset", "soon"),
        ("Sunset", "Fri, 99 Foo 99999 99:99:99 GMT"),
    ],
)
def test_a_malformed_date_still_warns(api, pinned, notices, name, value):
    """A client does not break on a header that is not as it should be; the date is just not known."""
    api.headers = [(name, value), ("Link", "<http://[>; rel=successor-version, <")]
    assert pinned.get("/posts").status_code == 200
    (notice,) = notices
    assert (notice.kind, notice.deprecation, notice.sunset, notice.days_left) == ("deprecated", None, None, None)
    assert notice.successor is None


def test_dates_of_drafts_are_read(api, pinned, notices):
    """Earlier drafts had an HTTP-date as Deprecation, and APIs still do; links about something else are not ours."""
    api.headers = [
        ("Deprecation", "Fri, 30 Jun 2023 23:59:59 GMT"),
        ("Link", '</v2/users>; rel=successor-version; anchor="/users", </up>; rel=up; rel=successor-version'),
    ]
    pinned.get("/posts")
    assert notices[0].deprecation == datetime(2023, 6, 30, 23, 59, 59, tzinfo=UTC)
    assert notices[0].successor is None


def test_days_left_after_the_sunset(api, pinned, notices):
    """The last day counts 0, and what has passed is negative."""
    for path, hours in (("/a", 23), ("/b", -1), ("/c", -25)):
        api.headers = [("Sunset", format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True))]
        pinned.get(path)
    assert [notice.days_left for notice in notices] == [0, -1, -2]


def test_it_counts(api, pinned, transport):
    """Requests by operation, replies by class of status; the counts that were taken do not change any more."""
    before = transport.counts
    for status, path in ((200, "/posts/1"), (201, "/posts/2"), (404, "/posts/3"), (500, "/users")):
        api.status = status
        pinned.get(path)
    assert before.requests == 0
    assert transport.counts.requests == 4
    assert transport.counts.operations == {"GET /v1/posts/{id}": 3, "GET /v1/users": 1}
    assert transport.counts.statuses == {"2xx": 2, "4xx": 1, "5xx": 1}
    assert transport.counts.notices == {}


def test_a_request_without_a_reply_counts():
    """What never arrives was asked all the same, and the error is the transport's own."""
    transport = PinnedTransport("v1")
    with httpx2.Client(transport=transport) as http, pytest.raises(httpx2.ConnectError):
        http.get("http://127.0.0.1:1/posts")
    assert (transport.counts.requests, transport.counts.statuses) == (1, Counter())


def test_counts_of_many_threads(api, transport, notices):
    """Threads that share a client lose no count, and hear of one operation once between them."""
    api.headers = ANNOUNCED
    with httpx2.Client(transport=transport, base_url=api.url) as http, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: http.get(f"/posts/{number}"), range(80)))
    assert transport.counts.operations == {"GET /v1/posts/{id}": 80}
    assert transport.counts.notices == {"deprecated": 80}
    assert len(notices) == 1


def test_counts_stay_small():
    """Paths that go on for ever, such as a name in each, share one line after the first thousand operations."""
    transport = PinnedTransport("v1", httpx2.MockTransport(lambda _: httpx2.Response(200)))
    with httpx2.Client(transport=transport, base_url="http://api.example") as http:
        for number in range(1010):
            http.get(f"/tags/t{number}")
    assert len(transport.counts.operations) == client_kit.MOST_OPERATIONS + 1
    assert transport.counts.operations["GET (other)"] == 10


def test_a_refused_reply_frees_its_connection(api):
    """A warning that a program makes an error, and a reply of another version, leave no connection taken."""
    api.headers = [("API-Version", "v2"), ("Deprecation", "@1")]
    inner = httpx2.HTTPTransport(limits=httpx2.Limits(max_connections=1))
    with httpx2.Client(transport=PinnedTransport("v1", inner), base_url=api.url, timeout=2) as http:
        for _ in range(2):
            with pytest.raises(OtherVersion):
                http.get("/posts")
        api.headers = [("Deprecation", "@1")]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(DeprecatedOperation):
                http.get("/users")
        assert http.get("/users").status_code == 200


def test_the_asynchronous_one(api, notices):
    """The transport for tasks pins, warns, counts, refuses and frees its connection like the one for threads."""
    api.headers = ANNOUNCED
    inner = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=1))
    transport = AsyncPinnedTransport("v1", inner, notices.append)

    async def call():
        async with httpx2.AsyncClient(transport=transport, base_url=api.url, timeout=2) as http:
            await asyncio.gather(*(http.get(f"/posts/{number}") for number in range(5)))
            with pytest.raises(OtherVersion):
                await http.get("/v2/posts")
            api.headers = [("API-Version", "v2")]
            for _ in range(2):
                with pytest.raises(OtherVersion):
                    await http.get("/posts/1")

    asyncio.run(call())
    assert transport.counts.operations == {"GET /v1/posts/{id}": 7}
    assert transport.counts.statuses == {"2xx": 7}
    assert [notice.operation for notice in notices] == ["GET /v1/posts/{id}"]


def test_the_inner_transport_is_closed_with_it():
    """A client that is closed closes what does the sending, through either transport."""
    closed = []

    class Inner(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
        def close(self):
            closed.append("close")

        async def aclose(self):
            closed.append("aclose")

    httpx2.Client(transport=PinnedTransport("v1", Inner())).close()
    asyncio.run(httpx2.AsyncClient(transport=AsyncPinnedTransport("v1", Inner())).aclose())
    assert closed == ["close", "aclose"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_against_our_own_service(client, app, version):
    """A program written without versions in its paths runs against either one, and learns which of them ends."""
    account = {"email": "ada@example.com", "password": PASSWORD}
    transport = AsyncPinnedTransport(version, httpx2.ASGITransport(app))

    async def call():
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as http:
            made = await http.post("/users", json=account)
            shown = await http.get(f"/users/{made.json()['id']}")
            return made.status_code, shown.status_code

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert asyncio.run(call()) == (201, 200)
    assert [type(each.message) for each in told] == [DeprecatedOperation] * (2 if version == "v1" else 0)
    assert client.get(f"/{version}/users/1").status_code == 200
    assert transport.counts.operations == {f"POST /{version}/users": 1, f"GET /{version}/users/{{id}}": 1}


def test_against_a_server_of_our_own(live_server):
    """The same over the network, with threads' transport: the other version cannot be reached by mistake."""
    transport = PinnedTransport("v2")
    with httpx2.Client(transport=transport, base_url=live_server.url) as http:
        assert http.get("/posts").json()["data"] is not None
        with pytest.raises(OtherVersion):
            http.get("/v1/posts")
    assert transport.counts.statuses == {"2xx": 1}


def test_it_stands_alone(tmp_path):
    """The file can be copied: in a folder of its own, without this project or the server's packages, it imports."""
    shutil.copy(client_kit.__file__, tmp_path / "pinned.py")
    program = (
        "import sys\n"
        "import pinned\n"
        "pinned.PinnedTransport('v1').close()\n"
        "print([name for name in ('app', 'fastapi', 'starlette', 'pydantic') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
