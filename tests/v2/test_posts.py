"""Version 2: writing, reading, changing and deleting posts; drafts."""

import json

import pytest

from tests.v2.helpers import (
    BODY,
    JSON,
    MERGE_PATCH,
    NO_VOTES,
    NOBODY,
    POST,
    get_post,
    ids,
    is_moment,
    is_ok,
    is_problem,
    listing,
    send,
)

WRONG = [
    ({"title": ""}, "#/title", "string_too_short"),
    ({"title": "t" * 301}, "#/title", "string_too_long"),
    ({"title": 5}, "#/title", "string_type"),
    ({"title": None}, "#/title", "string_type"),
    ({"content": ""}, "#/content", "string_too_short"),
    ({"content": "c" * 50_001}, "#/content", "string_too_long"),
    ({"content": ["c"]}, "#/content", "string_type"),
    ({"published": "true"}, "#/published", "bool_type"),
    ({"published": 1}, "#/published", "bool_type"),
    ({"published": None}, "#/published", "bool_type"),
    ({"tags": "a"}, "#/tags", "list_type"),
    ({"tags": {"0": "a"}}, "#/tags", "list_type"),
    ({"tags": [f"t{i}" for i in range(11)]}, "#/tags", "too_long"),
    ({"tags": [5]}, "#/tags/0", "string_type"),
    ({"tags": ["ok", None]}, "#/tags/1", "string_type"),
    *(
        ({"tags": ["ok", name]}, "#/tags/1", "string_pattern_mismatch")
        for name in ("", "Upper", "-a", "a" * 33, "a b", "a_b", "abc\n", "é", "a٣")
    ),
    ({"unknown": 1}, "#/unknown", "extra_forbidden"),
    ({"id": 5}, "#/id", "extra_forbidden"),
    ({"votes": {}}, "#/votes", "extra_forbidden"),
]
WRONG_IDS = [f"{pointer}-{code}-{index}" for index, (_, pointer, code) in enumerate(WRONG)]
WRITES = [("PUT", "", BODY), ("PATCH", "", {"title": "x"}), ("PATCH", "", {}), ("DELETE", "", None)]
VOTES = [("PUT", "/vote", {"value": 1}), ("DELETE", "/vote", None)]


def ask(client, method, post_id, person, path="", body=None):
    return client.request(method, f"/v2/posts/{post_id}{path}", json=body, headers=person.headers if person else {})


def change(client, method, post, person, body):
    return is_ok(ask(client, method, post["id"], person, body=body))


def test_writing_gives_the_post_and_its_location(client, steps):
    """A new post has every member, defaults for what was left out, and the path it is read at."""
    ada = steps.person(display_name="Ada")
    reply = client.post("/v2/posts", json=BODY, headers=ada.headers)
    post = is_ok(reply, 201)
    assert set(post) == POST
    assert {name: post[name] for name in POST - {"id", "created_at", "updated_at"}} == {
        **BODY,
        "published": True,
        "tags": [],
        "author": {"id": ada.id, "display_name": "Ada"},
        "votes": NO_VOTES,
        "my_vote": 0,
    }
    assert is_moment(post["created_at"]) == is_moment(post["updated_at"])
    assert reply.headers["location"] == f"/v2/posts/{post['id']}"
    assert is_ok(client.get(reply.headers["location"], headers=ada.headers)) == post


def test_a_post_may_fill_its_limits(client, steps):
    """300 characters of title, 50,000 of content and ten tags of up to 32 come back as they were sent."""
    tags = ["a" * 32, "0", "a-", "a--b", *(f"t{i}" for i in range(6))]
    sent = {"title": "🎈" * 300, "content": "é" * 50_000, "tags": tags, "published": False}
    ada = steps.person()
    post = steps.post(ada, **sent)
    assert {name: post[name] for name in sent} == sent
    assert get_post(client, post["id"], ada) == post


def test_text_comes_back_unchanged(client, steps):
    """Text is neither trimmed nor normalized nor escaped."""
    text = " <script>&amp; \" ' \\ \u2028 e\u0301 🎈 \t\r\n%s {0} "
    post = steps.post(steps.person(), text, content=text)
    assert (post["title"], post["content"]) == (text, text)
    assert get_post(client, post["id"])["title"] == text


@pytest.mark.parametrize(("fields", "pointer", "code"), WRONG, ids=WRONG_IDS)
def test_bodies_of_posts_are_strict(client, steps, fields, pointer, code):
    """A member that is wrong or unknown is refused by POST, PUT and PATCH alike, and nothing changes."""
    ada = steps.person()
    post = steps.post(ada, tags=["keep"])
    replies = [
        client.post("/v2/posts", json={**BODY, **fields}, headers=ada.headers),
        ask(client, "PUT", post["id"], ada, body={**BODY, **fields}),
        ask(client, "PATCH", post["id"], ada, body=fields),
    ]
    for reply in replies:
        is_problem(reply, "invalid-request", (pointer, code))
    assert listing(client, ada)["data"] == [post]


@pytest.mark.parametrize("missing", ["title", "content"])
def test_what_a_post_needs_is_named_when_missing(client, steps, missing):
    """POST and PUT want title and content; PUT does not keep the old ones."""
    ada = steps.person()
    post = steps.post(ada)
    body = {name: value for name, value in BODY.items() if name != missing}
    for reply in (
        client.post("/v2/posts", json=body, headers=ada.headers),
        ask(client, "PUT", post["id"], ada, body=body),
    ):
        is_problem(reply, "invalid-request", (f"#/{missing}", "missing"))


def test_all_errors_are_told_at_once(client, steps):
    """Everything that is wrong with a body is listed in one reply."""
    body = {"title": "", "content": 5, "tags": ["ok", "NO"], "x": 1}
    is_problem(
        client.post("/v2/posts", json=body, headers=steps.person().headers),
        "invalid-request",
        ("#/title", "string_too_short"),
        ("#/content", "string_type"),
        ("#/tags/1", "string_pattern_mismatch"),
        ("#/x", "extra_forbidden"),
    )


def test_anybody_reads_a_published_post(client, steps):
    """Without a token my_vote is null, with one it is a number; the author's e-mail is nowhere."""
    ada, bob = steps.person(), steps.person()
    post = steps.post(ada, tags=["b", "a"])
    assert get_post(client, post["id"]) == {**post, "my_vote": None}
    assert get_post(client, post["id"], bob) == post
    assert "@" not in client.get("/v2/posts").text
    for person in (None, bob):
        is_problem(ask(client, "GET", NOBODY, person), "post-not-found")


def test_put_replaces_all(client, steps):
    """What a PUT leaves out takes its default; identity, author and votes stay."""
    ada, bob = steps.person(), steps.person()
    post = steps.post(ada, tags=["b", "a"])
    steps.vote(bob, post["id"], -1)
    changed = change(client, "PUT", post, ada, {**BODY, "published": False, "tags": ["z", "y"]})
    votes = {"up": 0, "down": 1, "score": -1}
    sent = {**BODY, "published": False, "tags": ["z", "y"], "updated_at": changed["updated_at"]}
    assert changed == {**post, **sent, "votes": votes} == get_post(client, post["id"], ada)
    assert is_moment(changed["updated_at"]) > is_moment(post["updated_at"])
    replaced = change(client, "PUT", post, ada, BODY)
    assert replaced == {**changed, "published": True, "tags": [], "updated_at": replaced["updated_at"]}
    assert get_post(client, post["id"], bob)["my_vote"] == -1


@pytest.mark.parametrize("media_type", [MERGE_PATCH, JSON, "Application/Merge-Patch+JSON; charset=UTF-8"])
def test_patch_changes_the_given_members(client, steps, media_type):
    """A merge patch sets what it names, replaces tags whole, takes them away by null, and leaves the rest."""
    ada = steps.person()
    post = steps.post(ada, tags=["b", "a"])
    for patch in ({"title": "one"}, {"content": "two"}, {"published": False}, {"tags": ["c", "a"]}, {"tags": None}):
        reply = send(client, "PATCH", f"/v2/posts/{post['id']}", json.dumps(patch), ada.headers, media_type)
        changed = is_ok(reply)
        assert is_moment(changed["updated_at"]) > is_moment(post["updated_at"])
        post = {**post, **patch, "tags": patch.get("tags", post["tags"]) or [], "updated_at": changed["updated_at"]}
        assert changed == post == get_post(client, post["id"], ada)


def test_an_empty_patch_changes_nothing(client, steps):
    """A patch without members answers with the post as it is."""
    ada = steps.person()
    post = steps.post(ada, tags=["b", "a"])
    assert change(client, "PATCH", post, ada, {}) == post


@pytest.mark.parametrize("body", ["[]", '"x"', "null", "5", '[{"title": "x"}]'])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_post_is_changed_by_an_object(client, steps, method, body):
    """Any other JSON than an object is refused as a whole."""
    ada = steps.person()
    path = f"/v2/posts/{steps.post(ada)['id']}"
    reply = send(client, method, path, body, ada.headers)
    is_problem(reply, "invalid-request", ("#", "model_attributes_type"))


def test_tags_keep_their_order_and_count_once(client, steps):
    """Tags come back as their author ordered them, a repeated one at its first place, after every kind of write."""
    ada = steps.person()
    post = steps.post(ada, tags=["m", "z", "a", "m", "z", "b"])
    assert post["tags"] == ["m", "z", "a", "b"]
    assert change(client, "PATCH", post, ada, {"tags": ["b", "new", "b", "a"]})["tags"] == ["b", "new", "a"]
    assert change(client, "PUT", post, ada, {**BODY, "tags": ["z", "a", "z", "new"]})["tags"] == ["z", "a", "new"]
    assert listing(client)["data"][0]["tags"] == ["z", "a", "new"]


def test_deleting_leaves_nothing_and_frees_no_id(client, steps):
    """A deleted post is 404 to everything, and its id is not given out again."""
    ada, bob = steps.person(), steps.person()
    post = steps.post(ada, tags=["gone"])
    steps.vote(bob, post["id"], 1)
    assert is_ok(ask(client, "DELETE", post["id"], ada), 204) is None
    for method, path, body in (("GET", "", None), *WRITES, *VOTES):
        is_problem(ask(client, method, post["id"], ada, path, body), "post-not-found")
    assert listing(client)["data"] == listing(client, path="/v2/tags")["data"] == []
    assert steps.post(ada)["id"] > post["id"]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_only_the_owner_writes(client, steps, method, path, body):
    """Another's published post cannot be changed or deleted, and 403 says so."""
    post = steps.post(steps.person())
    is_problem(ask(client, method, post["id"], steps.person(), path, body), "not-the-owner")
    assert get_post(client, post["id"]) == {**post, "my_vote": None}


@pytest.mark.parametrize(("method", "path", "body"), [("GET", "", None), *WRITES, *VOTES])
def test_anothers_draft_does_not_exist(client, steps, method, path, body):
    """Whatever is asked of another's draft gets the very reply that no post would."""
    ada, bob = steps.person(), steps.person()
    draft = steps.post(ada, published=False)
    is_problem(ask(client, method, draft["id"], bob, path, body), "post-not-found")
    is_problem(ask(client, method, NOBODY, bob, path, body), "post-not-found")
    assert get_post(client, draft["id"], ada) == draft


def test_a_draft_is_seen_by_its_owner_alone(client, steps):
    """In lists, searches, filters, tag counts and by id a draft is there for its owner and for nobody else."""
    ada, bob = steps.person(), steps.person()
    draft = steps.post(ada, "secret plan", tags=["hush"], published=False)
    shown = steps.post(ada, "open secret", tags=["loud"])
    for person in (None, bob):
        is_problem(ask(client, "GET", draft["id"], person), "post-not-found")
        for query in ({}, {"q": "secret"}, {"author_id": ada.id}, {"sort": "title"}, {"published": "true"}):
            assert ids(listing(client, person, **query)) == [shown["id"]]
        assert listing(client, person, tag="hush")["data"] == []
    for query in ({}, {"q": "secret"}, {"author_id": ada.id}):
        assert ids(listing(client, ada, **query)) == [shown["id"], draft["id"]]
    assert ids(listing(client, ada, published="true")) == [shown["id"]]
    assert ids(listing(client, ada, tag="hush")) == [draft["id"]]
    for person in (None, bob, ada):
        assert listing(client, person, path="/v2/tags")["data"] == [{"name": "loud", "posts": 1}]


def test_published_false_lists_ones_own_drafts(client, steps):
    """The list of drafts holds one's own, under every filter, and needs a token."""
    ada, bob = steps.person(), steps.person()
    drafts = [steps.post(ada, published=False)["id"] for _ in range(3)]
    steps.post(ada)
    steps.post(bob, published=False)
    assert ids(listing(client, ada, published="false")) == drafts[::-1]
    assert ids(listing(client, ada, published="false", sort="created_at", author_id=ada.id)) == drafts
    assert listing(client, bob, published="false", author_id=ada.id)["data"] == []
    is_problem(client.get("/v2/posts?published=false"), "unauthenticated")


def test_hiding_a_post_keeps_its_votes(client, steps):
    """A post made a draft disappears for others with its votes, and comes back with them."""
    ada, bob = steps.person(), steps.person()
    post = steps.post(ada, tags=["t"])
    steps.vote(bob, post["id"], 1)
    change(client, "PATCH", post, ada, {"published": False})
    for method, path, body in (("GET", "", None), *VOTES):
        is_problem(ask(client, method, post["id"], bob, path, body), "post-not-found")
    assert listing(client, path="/v2/tags")["data"] == []
    change(client, "PATCH", post, ada, {"published": True})
    shown = get_post(client, post["id"], bob)
    assert (shown["votes"], shown["my_vote"]) == ({"up": 1, "down": 0, "score": 1}, 1)
