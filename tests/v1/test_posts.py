"""Version 1: writing, reading, listing and searching posts, and who may."""

from typing import Any

import pytest

from tests.steps import Steps, at_once
from tests.v1 import helpers as v1

BY_ID = ["read", "replace", "update", "delete"]
MISTYPED: dict[str, list[Any]] = {
    "title": [None, 12, True, [], {}],
    "content": [None, 1.5, False, ["x"]],
    "published": [None, 1, 0, "true", "", [], {}],
}


@pytest.fixture
def tagged(steps, ada):
    """The id of a post of Ada's with what only version 2 can express: two tags and a down-vote."""
    post_id = steps.post(ada, tags=["zebra", "alpha"])["id"]
    steps.vote(steps.person(), post_id, -1)
    return post_id


def test_create_replies_with_the_post(client, ada):
    """Writing is 201 with the post: its seven facts and its owner's three, in this order, and published by default."""
    before = v1.now()
    body = {"title": "On Engines", "content": "Notes."}
    reply = v1.send(client, "POST", "/v1/posts", body, ada.headers)
    post = reply.json()
    facts = {"id": 1, **body, "published": True, "created_at": post["created_at"], "owner_id": ada.id}
    assert v1.answer(reply) == (201, {**facts, "owner": v1.user(client, ada)})
    assert before <= v1.moment(post["created_at"]) <= v1.now()


def test_every_reply_has_the_same_key_order(client, ada):
    """A post has its keys in one order wherever it appears, and beside it come `Post`, then `votes`."""
    created = v1.write(client, ada)
    replaced = v1.change(client, "PUT", ada, 1, {"title": "t", "content": "c"}).json()
    updated = v1.change(client, "PATCH", ada, 1, {"title": "t"}).json()
    item, (listed,) = v1.read(client, ada, 1).json(), client.get("/v1/posts", headers=ada.headers).json()
    assert list(item) == list(listed) == ["Post", "votes"]
    for post in (created, replaced, updated, item["Post"], listed["Post"]):
        assert list(post) == v1.POST_KEYS
        assert list(post["owner"]) == v1.USER_KEYS


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_writes_ignore_unknown_fields(client, ada, method):
    """A write does not touch what version 1 does not take: id, owner, time, votes, tags."""
    post = v1.write(client, ada)
    path, post_id = ("/v1/posts", 2) if method == "POST" else ("/v1/posts/1", 1)
    reply = v1.send(client, method, path, {"title": "new", "content": "some content", **v1.UNKNOWN}, ada.headers)
    expected = {**post, "id": post_id, "title": "new"}
    if method == "POST":
        assert reply.json()["created_at"] > post["created_at"]
        expected["created_at"] = reply.json()["created_at"]
    assert reply.json() == expected
    assert client.get(f"/v2/posts/{post_id}").json()["tags"] == []
    assert v1.counters(client, ada, post_id) == (0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in MISTYPED.items() for value in values],
    ids=repr,
)
def test_mistyped_field_is_422(client, ada, field, value):
    """A text that is no string, or a flag that is no boolean, is 422 in every write, and nothing is changed."""
    post = v1.write(client, ada)
    kind = "bool_type" if field == "published" else "string_type"
    body = {"title": "new", "content": "new", field: value}
    for method, path in (("POST", "/v1/posts"), ("PUT", "/v1/posts/1"), ("PATCH", "/v1/posts/1")):
        assert v1.faults(v1.send(client, method, path, body, ada.headers)) == [(f"body.{field}", kind)]
    assert client.get("/v1/posts", headers=ada.headers).json() == [{"Post": post, "votes": 0}]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  both ends  ",
        "line\r\nline\ttab",
        "👩\u200d👩 עב",
        "<b>&amp;</b>",
        "' OR 1=1 --",
        "%s %(x)s {0} ${x} \\",
        "\x01\x1f\x7f\u2028\ufeff�\uffff",
        "é",
        "x" * 50001,
        "".join(chr(19968 + i * 7919 % 20000) for i in range(20000)),
    ],
    ids=lambda text: f"{ascii(text)[:24]} ({len(text)})",
)
def test_text_comes_back_as_it_was_written(client, ada, text):
    """Titles and contents, empty, odd or beyond the limits of version 2, are kept and shown by both versions."""
    post = v1.write(client, ada, text, content=text)
    assert (post["title"], post["content"]) == (text, text)
    assert v1.read(client, ada, 1).json()["Post"] == post
    other_version = client.get("/v2/posts/1").json()
    assert (other_version["title"], other_version["content"]) == (text, text)


def test_post_is_the_same_for_all_and_in_both_versions(client, steps, ada, bob):
    """A published post reads the same for its owner and for others, and has the same facts in both versions."""
    for post_id in (v1.write(client, ada)["id"], steps.post(ada)["id"]):
        reply, other_version = v1.read(client, bob, post_id), client.get(f"/v2/posts/{post_id}").json()
        post = reply.json()["Post"]
        assert v1.answer(reply) == v1.answer(v1.read(client, ada, post_id)) == (200, {"Post": post, "votes": 0})
        keys = ("id", "title", "content", "published", "created_at")
        assert [post[key] for key in keys] == [other_version[key] for key in keys]
        assert post["owner_id"] == other_version["author"]["id"] == ada.id


@pytest.mark.parametrize("operation", BY_ID)
def test_unknown_post_is_404(client, ada, operation):
    """A post that was deleted, and the last id there can be, are 404 for every operation by id."""
    v1.write(client, ada)
    assert client.delete("/v1/posts/1", headers=ada.headers).status_code == 204
    for post_id in (1, v1.LAST_ID):
        reply = client.request(**v1.operations(post_id)[operation], headers=ada.headers)
        assert v1.answer(reply) == (404, v1.NO_POST)


@pytest.mark.parametrize("published", [{}, {"published": True}, {"published": False}], ids=str)
def test_put_replaces_the_three_fields(client, ada, published):
    """A replacement sets title, content and published, which is true when it is not given, and keeps all else."""
    post = v1.write(client, ada, "old", content="old", published=False)
    reply = v1.change(client, "PUT", ada, 1, {"title": "new", "content": "newer", **published})
    expected = {**post, "title": "new", "content": "newer", "published": published.get("published", True)}
    assert v1.answer(reply) == (200, expected)
    assert v1.read(client, ada, 1).json()["Post"] == expected


@pytest.mark.parametrize(
    "changes", [{"title": "x"}, {"content": "x"}, {"published": False}, {"title": "", "content": ""}, {}], ids=str
)
def test_patch_changes_only_what_is_sent(client, ada, changes):
    """A patch sets the fields it names and leaves the others."""
    post = v1.write(client, ada, "old", content="old")
    assert v1.answer(v1.change(client, "PATCH", ada, 1, changes)) == (200, {**post, **changes})
    assert v1.read(client, ada, 1).json()["Post"] == {**post, **changes}


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PUT", {"title": "n", "content": "m"}),
        ("PUT", {"title": "n", "content": "m", "tags": []}),
        ("PATCH", {"title": "n"}),
        ("PATCH", {"published": False}),
        ("PATCH", {"title": "n", "tags": None}),
    ],
    ids=str,
)
def test_tags_and_down_votes_survive_changes(client, ada, tagged, method, body):
    """A change through version 1 keeps the tags, their order and the down-votes that only version 2 can express."""
    assert v1.change(client, method, ada, tagged, body).status_code == 200
    assert client.get(f"/v2/posts/{tagged}", headers=ada.headers).json()["tags"] == ["zebra", "alpha"]
    assert v1.counters(client, ada, tagged) == (0, 1)


def test_delete_removes_the_post(client, ada, bob, tagged):
    """Deleting is 204 without a body, whatever tags and votes there are, and the post is gone for votes as well."""
    v1.vote(client, bob, tagged)
    reply = client.delete(f"/v1/posts/{tagged}", headers=ada.headers)
    assert (reply.status_code, reply.content) == (204, b"")
    assert v1.listed(client, ada) == []
    for direction in (1, 0):
        assert v1.answer(v1.vote(client, bob, tagged, direction)) == (404, v1.NO_POST)


def test_racing_deletions_succeed_once(live):
    """Of eight deletions of one post at once, one is 204 and the rest are 404."""
    ada = Steps(live).person()
    post_id = v1.write(live, ada)["id"]
    statuses = at_once(*[lambda: live.delete(f"/v1/posts/{post_id}", headers=ada.headers).status_code] * 8)
    assert sorted(statuses) == [204] + [404] * 7


@pytest.mark.parametrize("operation", ["replace", "update", "delete"])
def test_anothers_published_post_is_403(client, ada, bob, operation):
    """Only the owner changes or deletes a published post; it stays as it was."""
    post = v1.write(client, ada)
    reply = client.request(**v1.operations(1)[operation], headers=bob.headers)
    assert v1.answer(reply) == (403, v1.NOT_THE_OWNER)
    assert v1.read(client, ada, 1).json()["Post"] == post


@pytest.mark.parametrize("operation", [*BY_ID, "vote", "take back"])
def test_anothers_draft_is_404(client, ada, bob, operation):
    """A draft answers others exactly as a post that does not exist, and stays as it was."""
    draft = v1.write(client, ada, published=False)
    for post_id in (1, v1.LAST_ID):
        reply = client.request(**v1.operations(post_id)[operation], headers=bob.headers)
        assert v1.answer(reply) == (404, v1.NO_POST)
    assert v1.read(client, ada, 1).json() == {"Post": draft, "votes": 0}


def test_invalid_change_does_not_reveal_a_draft(client, ada, bob):
    """An invalid body is 422 alike for another's draft, another's post and no post at all."""
    ids = [v1.write(client, ada, published=False)["id"], v1.write(client, ada)["id"], v1.LAST_ID]
    for post_id in ids:
        reply = v1.change(client, "PATCH", bob, post_id, {"title": None})
        assert v1.faults(reply) == [("body.title", "string_type")]


def test_owner_has_all_rights_on_a_draft(client, ada):
    """The owner of a draft reads, changes, votes for and deletes it."""
    v1.write(client, ada, published=False)
    for operation, status in {"read": 200, "update": 200, "vote": 201, "take back": 201, "delete": 204}.items():
        assert client.request(**v1.operations(1)[operation], headers=ada.headers).status_code == status


def test_drafts_are_listed_for_their_owner_alone(client, ada, bob):
    """Lists and searches hold a draft for its owner; for others it takes no place in a page either."""
    first, draft, last = (v1.write(client, ada, f"post {n}", published=n != 2)["id"] for n in (1, 2, 3))
    assert v1.listed(client, ada) == v1.listed(client, ada, search="post") == [first, draft, last]
    assert v1.listed(client, bob) == v1.listed(client, bob, search="post") == [first, last]
    assert v1.listed(client, bob, limit=2) == [first, last]
    assert v1.listed(client, bob, skip=1) == v1.listed(client, bob, skip=1, limit=1) == [last]
    assert v1.listed(client, bob, search="post 2") == []


def test_unpublishing_hides_and_publishing_shows(client, ada, bob):
    """A post that becomes a draft is 404 to others, and comes back with its votes when it is published again."""
    v1.write(client, ada)
    v1.vote(client, bob, 1)
    v1.change(client, "PATCH", ada, 1, {"published": False})
    assert v1.answer(v1.read(client, bob, 1)) == v1.answer(v1.vote(client, bob, 1, 0)) == (404, v1.NO_POST)
    assert v1.listed(client, bob) == []
    v1.change(client, "PATCH", ada, 1, {"published": True})
    assert v1.listed(client, bob) == [1]
    assert v1.counters(client, bob, 1) == (1, 0)


def test_list_is_a_bare_array_by_id(client, ada):
    """A list is an array of posts with their votes, by id ascending whatever was changed or voted for last."""
    assert v1.answer(client.get("/v1/posts", headers=ada.headers)) == (200, [])
    posts = [v1.write(client, ada, title) for title in ("c", "a", "b")]
    v1.vote(client, ada, 2)
    posts[0] = v1.change(client, "PATCH", ada, 1, {"title": "d"}).json()
    expected = [{"Post": post, "votes": votes} for post, votes in zip(posts, (0, 1, 0), strict=True)]
    assert v1.answer(client.get("/v1/posts", headers=ada.headers)) == (200, expected)


def test_list_is_read_by_limit_and_skip(client, ada):
    """`limit` is 10 by default and may be 0 to 1000, `skip` is 0 and may be as large as an int64."""
    ids = [v1.write(client, ada)["id"] for _ in range(12)]
    assert v1.listed(client, ada) == v1.listed(client, ada, limit=10, skip=0, search="", unknown=1) == ids[:10]
    assert v1.listed(client, ada, limit=1000) == ids
    assert v1.listed(client, ada, limit=0) == []
    assert [v1.listed(client, ada, limit=5, skip=skip) for skip in (0, 5, 10)] == [ids[:5], ids[5:10], ids[10:]]
    assert v1.listed(client, ada, skip=12) == v1.listed(client, ada, limit=1000, skip=v1.LAST_ID) == []


@pytest.mark.parametrize(
    ("query", "kind"),
    [("limit=1001", "less_than_equal"), (f"limit={v1.LAST_ID + 1}", "less_than_equal")]
    + [
        ("limit=-1", "greater_than_equal"),
        ("skip=-1", "greater_than_equal"),
        (f"skip={v1.LAST_ID + 1}", "less_than_equal"),
    ]
    + [("search=a%00b", "string_pattern_mismatch")]
    + [(f"{name}={value}", "int_parsing") for name in ("limit", "skip") for value in ["", *v1.NO_NUMBERS]]
    + [(f"{name}={value}", "string_unicode") for name in ("limit", "skip", "search") for value in v1.NO_TEXTS],
    ids=lambda value: value[:24],
)
def test_query_out_of_range_is_422(client, ada, query, kind):
    """A limit or skip that is no number in range, in plain digits, and what is no text are 422 at that parameter."""
    reply = client.get(f"/v1/posts?{query}", headers=ada.headers)
    assert v1.faults(reply) == [(f"query.{query.partition('=')[0]}", kind)]


def test_search_is_a_part_of_the_title_alone(client, ada):
    """`search` finds any part of a title, nothing in the content, and everything when it is empty."""
    v1.write(client, ada, "before the engine after")
    v1.write(client, ada, "nothing", content="the engine")
    assert v1.listed(client, ada, search="engine") == v1.listed(client, ada, search="re the eng") == [1]
    assert v1.listed(client, ada, search="engine the") == []
    assert v1.listed(client, ada, search="") == [1, 2]


@pytest.mark.parametrize(
    ("title", "search"),
    [
        ("MiXeD Case", "mIxEd cASE"),
        ("ÄÖÜ", "äöü"),
        ("при", "ПРИ"),
        ("ΑΒΣ", "αβσ"),
        ("Đặng", "đẶNG"),
        ("Straße", "STRASSE"),
    ],
    ids=["ASCII", "umlauts", "Cyrillic", "Greek", "Vietnamese", "sharp s"],
)
def test_search_ignores_case_in_every_script(client, ada, title, search):
    """`search` finds a title whatever the case of its letters, the same on both databases."""
    v1.write(client, ada, f"the {title} itself")
    v1.write(client, ada, "another")
    assert v1.listed(client, ada, search=search) == v1.listed(client, ada, search=title) == [1]


@pytest.mark.parametrize(
    "text", ["%", "_", "%%", "\\", "\\%", "*", "?", ".", "[a-z]", "'", '"', "^", "$", "&", "+", "#"]
)
def test_search_takes_every_character_literally(client, ada, text):
    """No character of `search` is a wildcard or an escape."""
    for between in (text, "", "x", "xy", " "):
        v1.write(client, ada, f"a{between}b")
    assert v1.listed(client, ada, search=text) == v1.listed(client, ada, search=f"A{text}B") == [1]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_search_follows_a_changed_title(client, ada, method):
    """A post is found by its new title and not by its old one."""
    v1.write(client, ada, "Old Name")
    v1.change(client, method, ada, 1, {"title": "NEW name", "content": "c"})
    assert v1.listed(client, ada, search="old") == []
    assert v1.listed(client, ada, search="new") == [1]


@pytest.mark.parametrize("search", ["%0D%0AX-Bad:%201", "x" * 20_000], ids=lambda text: text[:9])
def test_search_for_odd_text_finds_nothing(client, ada, search):
    """Line ends and very long text are searched for, and found nowhere."""
    v1.write(client, ada)
    reply = client.get(f"/v1/posts?search={search}", headers=ada.headers)
    assert v1.answer(reply) == (200, [])
    assert "x-bad" not in reply.headers
