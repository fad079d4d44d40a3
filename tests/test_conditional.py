"""Conditional requests (RFC 9110, section 13) to either version, and between the two."""

from functools import partial
from itertools import product

import httpx2
import pytest

from app.db import migrations
from app.versioning.conditional import entity_tags
from tests.steps import Steps, at_once
from tests.test_migrations import execute, new_database, opened

VERSIONS = ("v1", "v2")
BODY = {"title": "t", "content": "c"}
WRITES = {"PUT": {"json": BODY}, "PATCH": {"json": {"title": "t"}}, "DELETE": {}}
PAIRS = list(product(VERSIONS, repeat=2))
WRITERS = 8


def tag(client, path, person=None, **headers):
    """The ETag of what is shown."""
    reply = client.get(path, headers={**(person.headers if person else {}), **headers})
    assert reply.status_code == 200, reply.text
    assert reply.headers["etag"].startswith('"'), "a weak tag"
    return reply.headers["etag"]


@pytest.fixture
def live(live_server):
    """Speaks to the server process, from any number of threads."""
    with httpx2.Client(base_url=live_server.url, timeout=60) as client:
        yield client


@pytest.mark.parametrize(("text", "found"), [
    (["*"], None),
    ([" * "], None),
    (['"a"'], ['"a"']),
    (['W/"a" ,"b",, "c,d"', '"e"'], ['W/"a"', '"b"', '"c,d"', '"e"']),
    (['""'], ['""']),
    (["a"], []),
    (['"a" "b"'], []),
    (['"a", *'], []),
    (['"a'], []),
    (['w/"a"'], []),
    ([""], []),
    (['"a b"'], []),
    ([",".join(['"a"'] * 500) + "x"], []),
])  # fmt: skip
def test_entity_tags(text, found):
    """Lists are read as RFC 9110, section 8.8.3, writes them, in any number of lines; what is no list names no tag."""
    assert entity_tags(text) == found


def test_the_tag_changes_with_all_that_is_shown(client, steps):
    """A change of the post, a vote, another name of its author: each makes another tag in both versions."""
    ada, bob = steps.person(), steps.person()
    post = steps.post(ada, tags=["a"])["id"]
    paths = [f"/{version}/posts/{post}" for version in VERSIONS]
    seen = []

    def look():
        seen.append([*(tag(client, path, ada) for path in paths), tag(client, paths[1], bob), tag(client, paths[1])])

    look()
    assert len(set(seen[0][1:])) == 2  # a vote of one's own is shown to whoever has a token
    for method, path, body, who in [
        ("PATCH", paths[0], {"title": "x"}, ada),
        ("PATCH", paths[1], {"tags": ["b"]}, ada),
        ("PUT", paths[1], BODY, ada),
        ("PUT", f"{paths[1]}/vote", {"value": -1}, bob),
        ("PUT", f"{paths[1]}/vote", {"value": 1}, bob),
        ("POST", "/v1/vote", {"post_id": post, "dir": 0}, bob),
        ("POST", "/v1/vote", {"post_id": post, "dir": 1}, bob),
        ("PATCH", "/v2/users/me", {"display_name": "Ada"}, ada),
    ]:
        assert client.request(method, path, json=body, headers=who.headers).is_success
        look()
    client.delete("/v2/users/me", headers=bob.headers)  # and the vote with it
    assert tag(client, paths[1]) not in {row[3] for row in seen}
    for column in zip(*seen, strict=True):
        assert len(set(column)) == len(seen)


def test_the_tag_stays_when_nothing_changes(client, steps):
    """Voting as before, an empty patch and a profile set to what it was leave every tag as it is."""
    ada, bob = steps.person(), steps.person(display_name="Bob")
    post = steps.post(ada)["id"]
    steps.vote(bob, post, 1)
    paths = [f"/v2/posts/{post}", f"/v1/posts/{post}", "/v2/users/me", f"/v1/users/{bob.id}"]
    before = [tag(client, path, bob) for path in paths]
    steps.vote(bob, post, 1)
    client.patch(paths[0], json={}, headers=ada.headers)
    client.patch("/v2/users/me", json={"display_name": "Bob"}, headers=bob.headers)
    client.delete(f"{paths[0]}/vote", headers=ada.headers)
    assert [tag(client, path, bob) for path in paths] == before


def test_writes_give_the_tag_that_a_read_gives(client, steps):
    """POST, PUT and PATCH of version 2 hand out the tag of what they show, as GET would."""
    ada = steps.person()
    made = client.post("/v2/posts", json=BODY, headers=ada.headers)
    path = made.headers["location"]
    assert made.headers["etag"] == tag(client, path, ada)
    for method in ("PUT", "PATCH"):
        assert client.request(method, path, json=BODY, headers=ada.headers).headers["etag"] == tag(client, path, ada)
    reply = client.patch("/v2/users/me", json={"bio": "x"}, headers=ada.headers)
    assert reply.headers["etag"] == tag(client, "/v2/users/me", ada)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("length", [10, 5000])
def test_304_has_the_headers_of_the_200(client, steps, method, coding, length):
    """ETag, Vary and Cache-Control are the same; there is no body, nor anything that speaks of one."""
    ada = steps.person()
    post = steps.post(ada, content="x" * length)["id"]
    for path, who in product((f"/v1/posts/{post}", f"/v2/posts/{post}", "/v2/users/me"), (ada.headers, {})):
        asked = {**who, "Accept-Encoding": coding}
        whole = client.get(path, headers=asked)
        if whole.status_code == 401:
            continue
        for value in (whole.headers["etag"], f"W/{whole.headers['etag']}", f'"x", {whole.headers["etag"]}', "*"):
            reply = client.request(method, path, headers={**asked, "If-None-Match": value})
            assert (reply.status_code, reply.content) == (304, b"")
            for name in ("etag", "vary", "cache-control", "api-version"):
                assert reply.headers.get(name) == whole.headers.get(name), name
            assert not {"content-type", "content-length", "content-encoding"} & reply.headers.keys()


def test_a_compressed_reply_has_a_tag_of_its_own(client, steps):
    """Its bytes are others, so a strong tag must be, too; both are good for If-Match."""
    ada = steps.person()
    path = f"/v2/posts/{steps.post(ada, content='x' * 5000)['id']}"
    plain, packed = (tag(client, path, ada, **{"Accept-Encoding": coding}) for coding in ("identity", "gzip"))
    assert plain != packed
    asked = {**ada.headers, "Accept-Encoding": "gzip", "If-None-Match": plain}
    assert client.get(path, headers=asked).status_code == 200
    reply = client.patch(path, json={"title": "x"}, headers={**ada.headers, "If-Match": packed})
    assert reply.status_code == 200, reply.text


def test_caches_are_told_whose_a_reply_is(client, steps):
    """What a token decides varies by it and is private; nothing is used again without asking."""
    ada = steps.person()
    post = steps.post(ada)["id"]
    mine, anybodys = client.get(f"/v2/posts/{post}", headers=ada.headers), client.get(f"/v2/posts/{post}")
    assert (mine.headers["cache-control"], mine.headers["vary"]) == ("private, no-cache", "Authorization")
    assert (anybodys.headers["cache-control"], anybodys.headers["vary"]) == ("public, no-cache", "Authorization")
    stale = {**ada.headers, "If-None-Match": anybodys.headers["etag"]}
    assert client.get(f"/v2/posts/{post}", headers=stale).status_code == 200
    assert client.get("/v2/users/me", headers=ada.headers).headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(("read", "written"), PAIRS)
@pytest.mark.parametrize("method", WRITES)
def test_a_tag_of_either_version_protects_against_both(client, steps, read, written, method):
    """A write with a tag from before another's write is 412 and changes nothing; with the new one it succeeds."""
    ada = steps.person()
    post = steps.post(ada)["id"]
    old = tag(client, f"/{read}/posts/{post}", ada)
    for between in VERSIONS:
        assert client.patch(f"/{between}/posts/{post}", json={"title": between}, headers=ada.headers).is_success
        path = f"/{written}/posts/{post}"
        reply = client.request(method, path, headers={**ada.headers, "If-Match": old}, **WRITES[method])
        assert reply.status_code == 412, reply.text
        assert client.get(f"/v2/posts/{post}").json()["title"] == between
    if written == "v1":
        assert list(reply.json()) == ["detail"]
    else:
        assert reply.json()["code"] == "precondition-failed"
        assert client.get(reply.json()["type"]).status_code == 200
    now = tag(client, f"/{read}/posts/{post}", ada)
    assert client.request(method, path, headers={**ada.headers, "If-Match": now}, **WRITES[method]).is_success


def test_the_authors_name_is_no_change_of_the_post(client, steps):
    """If-Match compares what a write protects: the post's own row."""
    ada = steps.person()
    path = f"/v2/posts/{steps.post(ada)['id']}"
    old = tag(client, path, ada)
    assert client.patch("/v2/users/me", json={"display_name": "Ada"}, headers=ada.headers).is_success
    assert client.put(path, json=BODY, headers={**ada.headers, "If-Match": old}).status_code == 200


def test_the_account_is_protected_as_well(client, steps):
    """PATCH and DELETE of one's own account with an old tag are 412 and change nothing."""
    ada = steps.person()
    old = tag(client, "/v2/users/me", ada)
    assert tag(client, f"/v1/users/{ada.id}") == tag(client, f"/v2/users/{ada.id}") == old
    stale = {**ada.headers, "If-Match": old}
    assert client.patch("/v2/users/me", json={"bio": "one"}, headers=stale).status_code == 200
    assert client.patch("/v2/users/me", json={"bio": "two"}, headers=stale).status_code == 412
    assert client.delete("/v2/users/me", headers=stale).status_code == 412
    assert client.get("/v2/users/me", headers=ada.headers).json()["bio"] == "one"
    now = tag(client, "/v2/users/me", ada)
    assert client.delete("/v2/users/me", headers={**ada.headers, "If-Match": now}).status_code == 204


def test_a_refusal_comes_before_the_precondition(client, steps):
    """Conditions are looked at only where the answer would be 2xx (RFC 9110, section 13.2.1)."""
    ada, bob = steps.person(), steps.person()
    public, draft = steps.post(ada)["id"], steps.post(ada, published=False)["id"]
    for version, method in product(VERSIONS, WRITES):
        for post, who, status in ((public, bob, 403), (draft, bob, 404), (999, ada, 404)):
            for value in ('"77.1"', "*", "nonsense"):
                asked = {**who.headers, "If-Match": value}
                reply = client.request(method, f"/{version}/posts/{post}", headers=asked, **WRITES[method])
                assert reply.status_code == status, reply.text


def test_of_writers_with_the_same_tag_one_succeeds(live):
    """Those who have read the same and write at once, through both versions: one is answered 200, the others 412."""
    steps = Steps(live)
    ada = steps.person()

    def written_by(changes, headers):
        """The numbers of the changes that succeed, when all are made at once; the others are 412."""
        replies = at_once(*(partial(live.patch, path, json=body, headers=headers) for path, body in changes))
        assert {reply.status_code for reply in replies} <= {200, 412}
        return [number for number, reply in enumerate(replies) if reply.status_code == 200]

    for _ in range(3):
        post = steps.post(ada)["id"]
        seen = {**ada.headers, "If-Match": tag(live, f"/v1/posts/{post}", ada)}
        (winner,) = written_by(
            [(f"/{VERSIONS[number % 2]}/posts/{post}", {"title": f"title {number}"}) for number in range(WRITERS)], seen
        )
        assert live.get(f"/v2/posts/{post}").json()["title"] == f"title {winner}"
        seen = {**ada.headers, "If-Match": tag(live, "/v2/users/me", ada)}
        (winner,) = written_by([("/v2/users/me", {"bio": f"{post} {number}"}) for number in range(WRITERS)], seen)
        assert live.get("/v2/users/me", headers=ada.headers).json()["bio"] == f"{post} {winner}"


def test_rows_from_before_have_a_revision(database_url, tmp_path):
    """The migration gives the rows that are there a first revision, and a release before it can go on inserting."""
    user = (
        "INSERT INTO users (email, email_key, is_admin, created_at, updated_at)"
        " VALUES ('{0}', '{0}', false, '2026-01-01', '2026-01-01')"
    )
    with new_database(database_url, tmp_path, migrated=False) as url, opened(url) as database:
        migrations.upgrade(database, "0002")
        execute(database, user.format("a@b.example"))
        migrations.upgrade(database)
        execute(database, user.format("c@d.example"))
        with database.read() as connection:
            revisions = connection.exec_driver_sql("SELECT revision FROM users").scalars().all()
        assert revisions == [1, 1]
        migrations.downgrade(database, "0002")
