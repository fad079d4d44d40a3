"""The developer portal: pages for everybody, and those of administrators, through HTTP as a browser speaks it."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from fastapi.testclient import TestClient

from app.adoption import activity, clients, ledger, plan
from app.domain import users
from app.domain.models import users as users_table
from app.main import create_app
from app.versioning.registry import LEAST_NOTICE, SUPPORT_MONTHS
from app.versioning.usage import Client, Counts, Use
from tests.conftest import make_settings
from tests.steps import PASSWORD

OURS = {"Origin": "http://testserver"}
VOID = {"meta", "link", "input", "br", "img", "hr"}
PUBLIC = ("/", "/policy", "/portal/sign-in", "/problems/not-found")
SIGNED_IN = ("/portal/adoption", "/portal/adoption?days=7", "/portal/brownouts")


class Page(HTMLParser):
    """What an HTML page holds; `faults` is what is wrong with it for a parser or for whoever cannot see it."""

    def __init__(self, html):
        super().__init__()
        self.faults: list[str] = []
        self.elements: list[tuple[str, dict[str, Any], list[str]]] = []  # with the names of those around it
        self.open: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag, _ in self.open]
        self._judge()

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), [name for name, _ in self.open]))

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        self.faults += [f"<{tag}> has {name} twice" for name in set(names) if names.count(name) > 1]
        self.elements.append((tag, dict(attributes), [name for name, _ in self.open]))
        if tag not in VOID:
            self.open.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.faults.append(f"</{tag}> closes nothing")
        else:
            self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1][0] != "style":
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def _judge(self):
        ids = [attributes["id"] for _, attributes, _ in self.elements if "id" in attributes]
        wants = {
            "the language": self.all("html") == [{"lang": "en"}],
            "a title": len([1 for tag, _, path in self.elements if tag == "title" and "head" in path]) == 1,
            "a viewport": any(meta.get("name") == "viewport" for meta in self.all("meta")),
            "one main, header and footer": [len(self.all(tag)) for tag in ("main", "header", "footer")] == [1, 1, 1],
            "one h1": len(self.all("h1")) == 1,
            "ids once": len(ids) == len(set(ids)),
            "names of navigations": all(nav.get("aria-label") for nav in self.all("nav")),
            "scopes": all(cell.get("scope") in ("col", "row") for cell in self.all("th")),
            "no script": not self.all("script"),
        }
        levels = [int(tag[1]) for tag, _, _ in self.elements if re.fullmatch("h[1-6]", tag)]
        wants["headings in order"] = all(new <= old + 1 for old, new in zip([0, *levels], levels, strict=False))
        labelled = {label["for"] for label in self.all("label")}
        for field in (*self.all("input"), *self.all("select")):
            wants[f"a label of {field}"] = field.get("type") == "hidden" or field.get("id") in labelled
        for picture in self.all("svg"):
            named = picture.get("aria-labelledby", "").split()
            wants["pictures that say what they show"] = (
                picture.get("role") == "img" and named and set(named) <= set(ids)
            )
        for _, attributes, _ in self.elements:
            told = attributes.get("aria-describedby", "").split()
            wants[f"what {told} describes"] = set(told) <= set(ids)
            wants["no handlers"] = wants.get("no handlers", True) and not any(
                name.startswith("on") for name in attributes
            )
        self.faults += [f"the page lacks {what}" for what, there in wants.items() if not there]


@contextmanager
def serving(url, **changes):
    with TestClient(create_app(make_settings(url, **changes)), follow_redirects=False) as client:
        yield client


@pytest.fixture(autouse=True)
def _december():
    """A day on which version 1 is deprecated, and the windows below are yet to come."""
    with time_machine.travel(datetime(2026, 12, 1, 12, tzinfo=UTC)):
        yield


def browser(app, session_client):
    """A browser without a session. It shares the event loop in which the application runs: started in a second one as
    well, that would wait there for what it holds here.
    """
    client = TestClient(app, follow_redirects=False)
    client.portal = session_client.portal
    return client


@pytest.fixture
def portal(app, session_client, database):  # noqa: ARG001 - empties it
    """A browser, over an empty database, of whose emptiness the application knows."""
    session_client.portal.call(app.state.portal.watch.refresh)
    return browser(app, session_client)


def administrator(steps, database, email="ada@example.com"):
    person = steps.person(email)
    with database.write() as connection:
        users.promote(connection, email)
    return person


@pytest.fixture
def admin(portal, steps, database):
    """A browser in which an administrator is signed in."""
    administrator(steps, database)
    assert sign_in(portal).status_code == 303
    return portal


def sign_in(browser, email="ada@example.com", password=PASSWORD, headers=OURS):
    return browser.post("/portal/sign-in", data={"email": email, "password": password}, headers=headers)


def form_token(browser):
    (token, *_) = re.findall(r'name="form_token" value="([0-9a-f]{64})"', browser.get("/portal/brownouts").text)
    return token


def act(browser, path, **fields):
    return browser.post(path, data={"form_token": form_token(browser), **fields}, headers=OURS)


WINDOW = {"version": "v1", "starts": "2027-03-01T09:00", "ends": "2027-03-01T10:00"}


def use(database, *rows):
    """Each row: days ago, version, operation, client, source, calls."""
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    counts = {
        Use(today - timedelta(days=days), version, operation, Client(client, source), 2): calls
        for days, version, operation, client, source, calls in rows
    }
    with database.write() as connection:
        ledger.store(connection, Counts(counts, {}))


@pytest.mark.parametrize("path", PUBLIC)
def test_public_pages_are_sound(portal, path):
    """A page for everybody is well formed, and usable without seeing it, without a mouse and without scripts."""
    reply = portal.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert Page(reply.text).faults == []


@pytest.mark.parametrize("path", SIGNED_IN)
@pytest.mark.parametrize("filled", [False, True])
def test_administrators_pages_are_sound(admin, database, path, filled):
    """So are those of administrators, empty and full; nobody keeps a copy of them."""
    if filled:
        use(database, (0, "v1", "GET /posts", "app", "token", 5), (1, "v2", "GET /posts", "curl", "user-agent", 3))
        act(admin, "/portal/brownouts", **WINDOW)
    reply = admin.get(path)
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store")
    assert Page(reply.text).faults == []


def test_front_page_leads_everywhere(portal):
    """Versions with status and dates, documents, guide, policy, health and discovery are one click away."""
    page = Page(portal.get("/").text)
    links = {link["href"] for link in page.all("a")}
    assert {"/v1/docs", "/v2/docs", "/v1/openapi.json", "/v2/openapi.json", "/versions/v1/migration"} <= links
    assert {"/policy", "/livez", "/readyz", "/versions", "/.well-known/api-catalog", "/portal/adoption"} <= links
    for said in ("deprecated", "current", "2026-11-20", "2028-11-20", "curl http://testserver/v2/posts"):
        assert said in page.text


@pytest.mark.parametrize(
    ("at", "said"),
    [("2026-11-21", "deprecated"), ("2028-11-19", "in 1 days"), ("2028-11-20", "retired"), ("2031-01-01", "retired")],
)
def test_front_page_tells_the_time(portal, at, said):
    """What the page says of version 1 follows the clock, and its timeline stays a picture."""
    with time_machine.travel(f"{at}T00:00:00Z", tick=False):
        page = Page(portal.get("/").text)
    assert said in page.text
    assert page.faults == []
    for shape in (*page.all("rect"), *page.all("line")):
        places = [float(shape[name].rstrip("%")) for name in ("x", "x1", "width") if name in shape]
        assert all(0 <= place <= 100 for place in places), shape


def test_timeline_shows_what_is_planned_for_everybody(admin):
    """A planned brownout is drawn as soon as the form says that it is planned; one client's own is not."""
    bare = Page(admin.get("/").text)
    assert not [rect for rect in bare.all("rect") if rect["class"] == "off"]
    act(admin, "/portal/brownouts", **WINDOW)
    act(admin, "/portal/brownouts", **WINDOW, client="app")
    page = Page(admin.get("/").text)
    assert len([rect for rect in page.all("rect") if rect["class"] == "off"]) == 1
    assert "with 1 brownouts planned" in page.text


def test_policy_says_what_holds(portal):
    """The policy has the figures that start-up enforces, and the headers that a reply really carries."""
    text = Page(portal.get("/policy").text).text
    assert f"{LEAST_NOTICE.days} days" in text
    assert f"{SUPPORT_MONTHS} months" in text
    reply = portal.get("/v1/posts")
    for name in ("API-Version", "Deprecation", "Sunset"):
        assert f"{name}: {reply.headers[name]}" in text
    assert '</policy>; rel="sunset"' in reply.headers["link"]


def test_declared_dates_keep_the_promise(portal):
    """Version 1 lives for as long after its deprecation as the policy says."""
    (v1, _) = portal.get("/versions").json()["versions"]
    since, until = (datetime.fromisoformat(v1[name]) for name in ("deprecated", "sunset"))
    assert (until.year - since.year) * 12 + until.month - since.month == SUPPORT_MONTHS
    assert until.day == since.day


def test_docs_off_leaves_the_policy(tmp_path):
    """Without documents there is no portal; the policy stays, as replies of version 1 link to it."""
    with serving(f"sqlite:///{tmp_path}/nowhere.db", docs_enabled=False) as client:
        for path in ("/", "/portal/sign-in", "/portal/adoption", "/portal/brownouts"):
            assert client.get(path).status_code == 404, path
        for path in ("/policy", "/problems/not-found"):
            page = Page(client.get(path).text)
            assert page.faults == []
            for link in page.all("a"):
                if not link["href"].startswith("#") and not link["href"].endswith("/migration"):
                    assert client.get(link["href"]).status_code == 200, link


@pytest.mark.parametrize("path", SIGNED_IN)
def test_nobody_gets_in_without_a_session(portal, path):
    """Without a cookie, or with one that says nothing, the page leads to the sign-in."""
    for cookie in (None, "", "nonsense", "a.b.c"):
        headers = {} if cookie is None else {"Cookie": f"tandem_portal={cookie}"}
        reply = portal.get(path, headers=headers)
        assert (reply.status_code, reply.headers["location"]) == (303, "/portal/sign-in")
        assert reply.headers["cache-control"] == "no-store"


def test_only_administrators_sign_in(portal, steps, database):
    """A wrong password, an unknown e-mail and somebody who is no administrator get one and the same refusal."""
    administrator(steps, database)
    steps.person("bob@example.com")
    refusals = [
        sign_in(portal, "ada@example.com", "wrong"),
        sign_in(portal, "bob@example.com", PASSWORD),
        sign_in(portal, "bob@example.com", "wrong"),
        sign_in(portal, "nobody@example.com", PASSWORD),
        sign_in(portal, "", ""),
    ]
    for reply in refusals:
        assert reply.status_code == 403
        assert "set-cookie" not in reply.headers
        assert Page(reply.text).faults == []
    assert len({re.sub(r'value="[^"]*"', "", reply.text) for reply in refusals}) == 1
    assert sign_in(portal).status_code == 303


def test_an_api_token_of_somebody_else_opens_nothing(portal, steps):
    """A valid access token in the cookie is no way in for who is no administrator."""
    bob = steps.person()
    token = bob.headers["Authorization"].removeprefix("Bearer ")
    reply = portal.get("/portal/adoption", headers={"Cookie": f"tandem_portal={token}"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/portal/sign-in")


def test_the_cookie_is_guarded(portal, steps, database, database_url):
    """Scripts cannot read the cookie, other sites' requests do not carry it, and in production it needs TLS."""
    administrator(steps, database)
    given = sign_in(portal).headers["set-cookie"]
    parts = {part.strip().lower() for part in given.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/portal", "max-age=1800"} <= parts
    assert "secure" not in parts
    with serving(database_url, environment="production") as client:
        given = client.post(
            "/portal/sign-in",
            data={"email": "ada@example.com", "password": PASSWORD},
            headers={"Sec-Fetch-Site": "same-origin"},
        ).headers["set-cookie"]
        assert "secure" in {part.strip().lower() for part in given.split(";")[1:]}


def test_signing_in_leads_nowhere_else(portal, steps, database):
    """No parameter makes the sign-in send somebody to another site."""
    administrator(steps, database)
    form = {"email": "ada@example.com", "password": PASSWORD, "next": "https://evil.example/"}
    reply = portal.post("/portal/sign-in?next=//evil.example", data=form, headers=OURS)
    assert (reply.status_code, reply.headers["location"]) == (303, "/portal/adoption")


FOREIGN = [
    {},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "http://testserver:81"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
]
FORMS = ["/portal/sign-out", *(f"/portal/brownouts{rest}" for rest in ("", "/1/cancel", "/stop", "/resume"))]


@pytest.mark.parametrize("headers", FOREIGN)
def test_forms_of_other_sites_do_nothing(admin, database, headers):
    """A form that no page of ours sent is 403 wherever it goes, with the right token even; nothing changes."""
    assert act(admin, "/portal/brownouts", **WINDOW).status_code == 303
    token = form_token(admin)
    for path in FORMS:
        reply = admin.post(path, data={"form_token": token, **WINDOW}, headers=headers)
        assert reply.status_code == 403, path
        assert Page(reply.text).faults == []
    form = {"email": "ada@example.com", "password": PASSWORD}
    reply = admin.post("/portal/sign-in", data=form, headers=headers)
    assert (reply.status_code, "set-cookie" in reply.headers) == (403, False)
    nothing_changed(admin, database)


def nothing_changed(admin, database):
    """One window is planned, none cancelled; the switch is off; the administrator is still signed in."""
    with database.read() as connection:
        (window,) = plan.windows(connection)
        assert window.cancelled_at is None
        assert not plan.stopped(connection)
    assert admin.get("/portal/adoption").status_code == 200


def test_forms_without_their_token_do_nothing(admin, database, app, session_client):
    """A missing, a made-up and another session's token are refused; nothing changes."""
    assert act(admin, "/portal/brownouts", **WINDOW).status_code == 303
    other = browser(app, session_client)
    sign_in(other)
    foreign = form_token(other)
    for path in FORMS:
        for token in (None, "", "0" * 64, "ä", foreign):
            fields = WINDOW if token is None else {**WINDOW, "form_token": token}
            assert admin.post(path, data=fields, headers=OURS).status_code == 403, path
        upload = {"form_token": ("name", form_token(admin).encode())}
        assert admin.post(path, data=WINDOW, files=upload, headers=OURS).status_code == 403
    nothing_changed(admin, database)


@pytest.mark.parametrize("path", FORMS)
def test_forms_need_a_session(portal, path):
    """Without a session a form leads to the sign-in."""
    reply = portal.post(path, data={"form_token": "0" * 64}, headers=OURS)
    assert (reply.status_code, reply.headers["location"]) == (303, "/portal/sign-in")


def test_signing_out_ends_the_session(admin):
    """After it the cookie is gone, and a copy of it opens nothing any more."""
    copied = {"Cookie": f"tandem_portal={admin.cookies['tandem_portal']}"}
    reply = act(admin, "/portal/sign-out")
    assert (reply.status_code, reply.headers["location"]) == (303, "/portal/sign-in")
    assert "tandem_portal" not in admin.cookies
    assert admin.get("/portal/adoption", headers=copied).status_code == 303


@pytest.mark.parametrize("how", ["password", "deletion", "command", "demotion"])
def test_what_ends_a_session_ends_it_here(admin, steps, client, database, how):
    """A password change elsewhere, the account's deletion and losing the office sign an administrator out."""
    headers = steps.log_in("ada@example.com")
    match how:
        case "password":
            body = {"current_password": PASSWORD, "new_password": "another horse"}
            assert client.put("/v2/users/me/password", json=body, headers=headers).status_code == 204
        case "deletion":
            assert client.delete("/v2/users/me", headers=headers).status_code == 204
        case "command":
            with database.write() as connection:
                users.reset_password(connection, "ada@example.com", "no hash")
        case "demotion":
            with database.write() as connection:
                connection.execute(sa.update(users_table).values(is_admin=False))
    assert admin.get("/portal/adoption").status_code == 303


def test_a_session_ends_by_itself(admin):
    """After the lifetime of an access token the administrator signs in again."""
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=31)):
        headers = {"Cookie": f"tandem_portal={admin.cookies['tandem_portal']}"}
        assert admin.get("/portal/adoption", headers=headers).status_code == 303


def test_cookies_of_others_do_no_harm(admin):
    """A cookie that no site may set and that takes long to read is passed over, and those beside it are not."""
    ours = f"tandem_portal={admin.cookies['tandem_portal']}"
    others = 'a="' + "\\1" * 100_000 + '"'
    for cookies in (f"{others}; {ours}", f"{ours}; {others}"):
        assert admin.get("/portal/adoption", headers={"Cookie": cookies}).status_code == 200
    assert admin.get("/v2/posts", headers={"Cookie": others}).status_code == 200


def v1_status(browser, client="app"):
    return browser.get("/v1/posts", headers={"User-Agent": client}).status_code


@contextmanager
def clock(hour, browser):
    """An hour of a day next year, at which the administrator signs in again."""
    with time_machine.travel(datetime(2027, 5, 1, hour, tzinfo=UTC)):
        assert sign_in(browser).status_code == 303
        yield


def test_a_brownout_by_form(admin, database):
    """Planned by the form, open when its time comes for whom it is for; cancelled by its button, over at once."""
    with clock(10, admin):
        times = {"starts": "2027-05-01T11:00", "ends": "2027-05-01T14:00+01:00"}
        reply = act(admin, "/portal/brownouts", version="v1", client="app", reason="a reminder", **times)
        assert (reply.status_code, reply.headers["location"]) == (303, "/portal/brownouts?done=planned")
        assert v1_status(admin, "app") == 401
        text = Page(admin.get(reply.headers["location"]).text).text
        assert "The brownout is planned." in text
        assert "2027-05-01 11:00 to 2027-05-01 13:00 UTC, for the client app: planned. a reminder" in text
    with clock(12, admin):
        assert (v1_status(admin, "app"), v1_status(admin, "other")) == (410, 401)
        assert "the client app: open" in Page(admin.get("/portal/adoption").text).text
        with database.read() as connection:
            (window,) = plan.windows(connection)
        assert act(admin, f"/portal/brownouts/{window.id}/cancel").status_code == 303
        assert v1_status(admin, "app") == 401
        assert "the client app: cancelled" in Page(admin.get("/portal/adoption").text).text
        assert "/cancel" not in admin.get("/portal/brownouts").text


def test_the_kill_switch_by_form(admin):
    """Stopping ends an open brownout at once; resuming brings it back."""
    with clock(10, admin):
        act(admin, "/portal/brownouts", version="v1", starts="2027-05-01T11:00", ends="2027-05-01T13:00")
    with clock(12, admin):
        assert v1_status(admin) == 410
        assert act(admin, "/portal/brownouts/stop").status_code == 303
        assert v1_status(admin) == 401
        assert "Brownouts are stopped" in admin.get("/portal/adoption").text
        assert act(admin, "/portal/brownouts/resume").status_code == 303
        assert v1_status(admin) == 410


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"version": "v9"}, "version", "Choose a version."),
        ({"version": "v2"}, "starts", "v2 has no sunset to remind of"),
        ({"starts": ""}, "starts", "Say when it starts"),
        ({"starts": "tomorrow"}, "starts", "Say when it starts"),
        ({"ends": "2027-13-01T00:00"}, "ends", "Say when it ends"),
        ({"ends": "2027-02-01T00:00"}, "starts", "ends before it has begun"),
        ({"starts": "2026-11-20T00:00"}, "starts", "unannounced"),
        ({"ends": "2029-01-01T00:00"}, "starts", "the deprecation, 2026-11-20T00:00:00Z, and the sunset"),
        ({"starts": "0001-01-01T00:00+14:00"}, "starts", "Say when it starts"),
        ({"percentage": "0"}, "percentage", "from 1 to 100"),
        ({"percentage": "101"}, "percentage", "from 1 to 100"),
        ({"percentage": "1.5"}, "percentage", "from 1 to 100"),
        ({"percentage": "²"}, "percentage", "from 1 to 100"),
        ({"client": "app", "percentage": "5"}, "client", "one client or for a percentage"),
    ],
)
def test_a_form_that_makes_no_sense(admin, database, fields, field, said):
    """It comes back as it was typed, with what is wrong at the field it is wrong in; nothing is planned."""
    typed = {**WINDOW, "client": "", "percentage": "100", "reason": 'so "that" <it> reminds', **fields}
    reply = act(admin, "/portal/brownouts", **typed)
    assert reply.status_code == 422
    page = Page(reply.text)
    assert page.faults == []
    assert page.text.count(said) == 2  # above the form, and at the field
    inputs = {one["name"]: one for one in (*page.all("input"), *page.all("select"))}
    assert inputs[field]["aria-invalid"] == "true"
    for name, value in typed.items():
        assert name == "version" or inputs[name]["value"] == value
    with database.read() as connection:
        assert plan.windows(connection) == []


def test_forms_at_once(admin, database):
    """Of planners that send the same window at the same time one plans it; the others are told that it is taken."""
    form = {"form_token": form_token(admin), **WINDOW}
    with ThreadPoolExecutor(8) as threads:
        sent = [threads.submit(admin.post, "/portal/brownouts", data=form, headers=OURS) for _ in range(8)]
    replies = [one.result() for one in sent]
    assert sorted(reply.status_code for reply in replies) == [303, *[422] * 7]
    assert sum("there is a brownout for the same clients then" in reply.text for reply in replies) == 7
    with database.read() as connection:
        assert len(plan.windows(connection)) == 1


@pytest.mark.parametrize("path", ["/portal/brownouts/0/cancel", f"/portal/brownouts/{2**63}/cancel"])
def test_ids_that_cannot_be(admin, path):
    """A window's number that no database could hold is refused, not a failure."""
    assert act(admin, path).status_code == 422


def test_text_that_cannot_be_stored(admin):
    """NUL in a form is refused, not a failure."""
    assert act(admin, "/portal/brownouts", **WINDOW, reason="a\x00b").status_code == 422
    assert sign_in(admin, email="a\x00b").status_code == 422
    assert sign_in(admin, password="x" * 1025).status_code == 422


MARKUP = "<script>alert(1)</script>\"'&"


def test_what_others_wrote_is_text(admin, database):
    """Names, contacts, reasons and e-mails with markup in them are shown as they are, and nothing else."""
    with database.write() as connection:
        clients.register(connection, "app", name=MARKUP, contact=MARKUP, pinned_version="v1")
    use(database, (0, "v1", "GET /posts", "app", "token", 1), (0, "v2", f"GET /{MARKUP}", MARKUP, "user-agent", 1))
    act(admin, "/portal/brownouts", **WINDOW, reason=MARKUP)
    act(admin, "/portal/brownouts", **WINDOW, client=MARKUP)
    replies = [admin.get("/portal/adoption"), admin.get("/portal/brownouts"), admin.get("/")]
    replies.append(act(admin, "/portal/brownouts", reason=MARKUP, client=MARKUP, starts=MARKUP))
    replies.append(sign_in(admin, email=MARKUP))
    for reply in replies:
        assert "<script" not in reply.text
        assert Page(reply.text).faults == []
    for reply in (replies[0], replies[1]):
        assert Page(reply.text).text.count(MARKUP) >= 2
    assert next(field for field in Page(replies[4].text).all("input") if field["name"] == "email")["value"] == MARKUP


def rows_of(page, label):
    """The text of each row of the table in the region of that name."""
    (region,) = re.findall(rf'aria-label="{label}">(.*?)</table>', page, re.DOTALL)
    rows = re.findall(r"<tr.*?</tr>", region, re.DOTALL)
    return [[re.sub(r"<[^>]*>|\s+", " ", cell).split() for cell in re.split(r"</t[hd]>", row)[:-1]] for row in rows]


def test_who_calls_what(admin, database):
    """The page counts calls by day and version, says when each client was last seen, and who left its pin."""
    with database.write() as connection:
        clients.register(connection, "app", name="The app", contact="app@example.com", pinned_version="v1")
        clients.register(connection, "kept", name="Kept", contact="kept@example.com", pinned_version="v2")
    use(
        database,
        (0, "v1", "GET /posts", "app", "token", 60),
        (0, "v1", "POST /posts", "app", "token", 10),
        (0, "v2", "GET /posts", "app", "token", 7),
        (6, "v2", "GET /posts", "kept", "token", 1400),
        (20, "v1", "GET /posts", "curl", "user-agent", 3),
        (40, "v1", "GET /posts", "app", "user-agent", 3),  # a program that merely calls itself so
        (100, "v1", "GET /posts", "old", "user-agent", 3),
        (500, "v1", "GET /posts", "forgotten", "user-agent", 3),
    )
    page = admin.get("/portal/adoption?days=7").text
    days = rows_of(page, "Calls a day by version")
    assert len(days) == 8
    assert days[1][1:] == [["70"], ["7"]]
    assert days[7][1:] == [["0"], ["1,400"]]
    found = {(row[0][0], row[0][-1]): row[1:] for row in rows_of(page, "Clients")[1:]}
    assert {key: row[0][-1] for key, row in found.items()} == {
        ("app", "app@example.com"): "active",
        ("kept", "kept@example.com"): "active",
        ("curl", "user-agent"): "quiet",
        ("app", "user-agent"): "stale",
        ("old", "user-agent"): "gone",
    }
    assert found["app", "app@example.com"][1:] == [["10.0"], ["1.0"], ["v1", "drift:", "calls", "v2"]]
    assert found["kept", "kept@example.com"][1:] == [["-"], ["200.0"], ["v2"]]
    ready = [(row[0][0], row[1][0]) for row in rows_of(page, "Clients of v1")[1:]]
    assert ready == [
        *((name, "blocked") for name in ("app", "app", "curl")),
        *((name, "gone") for name in ("forgotten", "old")),  # gone is who has not called for 90 days, not for 7
    ]
    month = admin.get("/portal/adoption").text
    assert len(rows_of(month, "Calls a day by version")) == 31
    assert [(row[0][0], row[1][0]) for row in rows_of(month, "Clients of v1")[1:]] == [
        ("app", "blocked"),
        ("curl", "blocked"),
        ("app", "blocked"),
        *ready[3:],
    ]
    assert len(rows_of(admin.get("/portal/adoption?days=90").text, "Calls a day by version")) == 91
    assert admin.get("/portal/adoption?days=nonsense").text.count('aria-current="true"') == 1


def test_the_chart_is_to_scale(admin, database):
    """Each bar is as high as its calls, those of one day stand on each other, and none leaves the picture."""
    use(database, (0, "v1", "GET /posts", "app", "token", 30), (0, "v2", "GET /posts", "app", "token", 60))
    use(database, (3, "v2", "GET /posts", "app", "token", 15))
    bars = Page(admin.get("/portal/adoption?days=7").text).all("rect")
    (old, low, high) = [{key: float(bar[key].rstrip("%")) for key in ("x", "y", "width", "height")} for bar in bars]
    assert low["x"] == high["x"] > old["x"]
    assert high["height"] == pytest.approx(2 * low["height"], abs=0.02)
    assert low["height"] == pytest.approx(2 * old["height"], abs=0.02)
    assert low["y"] == pytest.approx(high["y"] + high["height"], abs=0.02)
    assert all(bar["y"] >= 0 and bar["x"] + bar["width"] <= 100 for bar in (old, low, high))


def test_many_clients(admin, database):
    """A flood of clients makes no endless page: the latest are shown, and that there are more is said."""
    use(database, *((0, "v2", "GET /posts", f"bot{number:03}", "user-agent", 1) for number in range(101)))
    page = admin.get("/portal/adoption").text
    assert len(rows_of(page, "Clients")) == 1 + 100
    assert "Only the 100 that called last" in page


def test_days_are_those_of_utc(database):
    """Calls count for the day in UTC they were made on, on either side of midnight."""
    hours = [datetime(2026, 12, 31, 23, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)]
    counts = {Use(hour, "v1", "GET /posts", Client("a", "token"), 2): 1 for hour in hours}
    with database.write() as connection:
        ledger.store(connection, Counts(counts, {}))
    with database.read() as connection:
        found = activity.calls_by_day(connection, ["v1"], hours[0])
    assert found == {"v1": {date(2026, 12, 31): 1, date(2027, 1, 1): 1}}
