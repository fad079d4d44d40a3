"""Version 2: the list of tags."""

import httpx2
import pytest

from tests.steps import at_once
from tests.v2.helpers import BODY, is_ok, is_problem, listing, rows, walk


def tags(client, **parameters):
    return [(row["name"], row["posts"]) for row in listing(client, path="/v2/tags", **parameters)["data"]]


def test_tags_are_listed_by_name_with_their_posts(client, steps):
    """Each tag comes with the number of published posts that carry it, ordered by code point."""
    ada, bob = steps.person(), steps.person()
    steps.post(ada, tags=["b", "a-b", "a"])
    steps.post(bob, tags=["b", "a1"])
    page = {"limit": 20, "next_cursor": None, "prev_cursor": None}
    reply = client.get("/v2/tags")
    assert is_ok(reply)["page"] == page
    assert is_ok(reply)["data"][0] == {"name": "a", "posts": 1}
    assert tags(client) == [("a", 1), ("a-b", 1), ("a1", 1), ("b", 2)]
    assert "link" not in reply.headers


def test_counts_follow_every_change(client, steps):
    """A tag's count follows edits, hiding and deletion, and a tag without posts is not listed."""
    ada = steps.person()
    one, two = steps.post(ada, tags=["a", "b"]), steps.post(ada, tags=["a"])

    def patch(post, **fields):
        is_ok(client.patch(f"/v2/posts/{post['id']}", json=fields, headers=ada.headers))
        return tags(client)

    assert patch(one, tags=["a", "c"]) == [("a", 2), ("c", 1)]
    assert patch(one, published=False) == [("a", 1)]
    assert patch(one, published=True) == [("a", 2), ("c", 1)]
    is_ok(client.delete(f"/v2/posts/{two['id']}", headers=ada.headers), 204)
    assert tags(client) == [("a", 1), ("c", 1)]
    is_ok(client.put(f"/v2/posts/{one['id']}", json=BODY, headers=ada.headers))
    assert tags(client) == []


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        *(("", ["a", "ab", "ab-c", "ab0", "b"]), ("a", ["a", "ab", "ab-c", "ab0"]), ("ab", ["ab", "ab-c", "ab0"])),
        *(("ab-", ["ab-c"]), ("c", []), ("A", []), ("%", []), ("_", []), ("\\", []), ("é", []), ("x" * 5000, [])),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_prefix_is_literal(client, steps, prefix, names):
    """Only tags that begin with the prefix, case and all, are listed; no character of it is a wildcard."""
    steps.post(steps.person(), tags=["b", "ab-c", "a", "ab0", "ab"])
    assert [name for name, _ in tags(client, prefix=prefix)] == names


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_tags_are_walked_forward_and_back(client, steps, limit):
    """The pages of a prefix meet each tag once, in either direction."""
    ada = steps.person()
    steps.post(ada, tags=[f"w-{index}" for index in range(10)])
    steps.post(ada, tags=["w", "w-3", "z"])
    query = {"path": "/v2/tags", "prefix": "w-", "limit": limit}
    pages = walk(client, **query)
    assert [row["name"] for row in rows(pages)] == [f"w-{index}" for index in range(10)]
    if limit < 10:
        back = walk(client, backward_from=pages[-1]["page"]["prev_cursor"], **query)
        assert rows(back[::-1]) == rows(pages[:-1])


def test_tags_met_while_others_write(client, steps):
    """Tags that come and go during a walk do not shift the ones that stay."""
    ada = steps.person()
    steps.post(ada, tags=["b", "d", "f", "h"])
    passing = steps.post(ada, tags=["c"])
    walked = iter(["a", "g"])

    def interfere(page):
        steps.post(ada, tags=[next(walked)])
        if page["data"][-1]["name"] == "c":
            is_ok(client.delete(f"/v2/posts/{passing['id']}", headers=ada.headers), 204)

    names = [row["name"] for row in rows(walk(client, path="/v2/tags", limit=2, between=interfere))]
    assert names == ["b", "c", "d", "f", "g", "h"]


def test_new_tags_written_by_many_at_once_are_one_each(client, steps, live_server):
    """Parallel posts with the same new tags, in any order, all succeed and share the tags."""
    ada = steps.person()
    bodies = [{**BODY, "tags": ["x", "y", "z"][:: 1 if index % 2 else -1]} for index in range(8)]
    with httpx2.Client(base_url=live_server.url, timeout=30) as live:
        jobs = [lambda b=body: live.post("/v2/posts", json=b, headers=ada.headers) for body in bodies]
        assert [is_ok(reply, 201)["tags"] for reply in at_once(*jobs)] == [body["tags"] for body in bodies]
    assert tags(client) == [("x", 8), ("y", 8), ("z", 8)]


def test_tags_link_to_their_pages(client, steps):
    """Link next and prev of the tags can be followed."""
    steps.post(steps.person(), tags=["a1", "a2", "a3"])
    one = client.get("/v2/tags", params={"prefix": "a", "limit": 2})
    assert set(one.links) == {"next"}
    two = client.get(one.links["next"]["url"])
    assert [row["name"] for row in is_ok(two)["data"]] == ["a3"]
    assert set(two.links) == {"prev"}
    assert is_ok(client.get(two.links["prev"]["url"]))["data"] == is_ok(one)["data"]


def test_a_tags_cursor_is_bound_to_its_prefix(client, steps):
    """A cursor of one prefix is refused with another, and without any."""
    steps.post(steps.person(), tags=["ab1", "ab2", "ab3"])
    cursor = listing(client, path="/v2/tags", prefix="ab", limit=2)["page"]["next_cursor"]
    assert tags(client, prefix="ab", limit=2, cursor=cursor) == [("ab3", 1)]
    for other in ({"prefix": "a"}, {}):
        is_problem(client.get("/v2/tags", params={**other, "limit": 2, "cursor": cursor}), "invalid-cursor")


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        *(("limit=0", "limit", "greater_than_equal"), ("limit=101", "limit", "less_than_equal")),
        *(("limit=1_0", "limit", "int_parsing"), ("prefix=a%00", "prefix", "string_pattern_mismatch")),
    ],
)
def test_a_bad_parameter_of_tags_is_named(client, query, parameter, code):
    """A parameter that is malformed or out of range is refused by its name."""
    is_problem(client.get(f"/v2/tags?{query}"), "invalid-request", (parameter, code))


def test_tags_are_public_and_take_any_reader(client, steps):
    """The list needs no token and tells everybody, the owner of a draft too, the same."""
    ada = steps.person()
    steps.post(ada, tags=["shown"])
    steps.post(ada, tags=["shown", "hidden"], published=False)
    for headers in ({}, ada.headers, {"Authorization": "Bearer x"}):
        assert is_ok(client.get("/v2/tags", headers=headers))["data"] == [{"name": "shown", "posts": 1}]
