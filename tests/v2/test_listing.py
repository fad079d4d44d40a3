"""Version 2: the list of posts: filters, orders, pages and cursors."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.api import cursors
from tests.v2.helpers import (
    BEYOND_INT64,
    NOBODY,
    POST,
    ids,
    is_moment,
    is_ok,
    is_problem,
    listing,
    rows,
    walk,
)

SORTS = ["-created_at", "created_at", "-score", "score", "title", "-title"]
TITLES = ["b", "B", "ä", "Z", "a", "a", "é", "🎈", "b", "%", "a b", "\uffff", "10", "9", "b"]


def library(steps):
    """An author and posts whose titles and scores have many equals."""
    ada, bob, eve = steps.person(), steps.person(), steps.person()
    for index, title in enumerate(TITLES):
        post = steps.post(ada, title)
        for voter, value in ((bob, index % 3 - 1), (eve, index % 2)):
            if value:
                steps.vote(voter, post["id"], value)
    return ada, bob


def in_order(posts, sort):
    """The ids as the contract orders them: by the sort's own key and then by id, both in its direction."""
    keys = {
        "created_at": lambda post: is_moment(post["created_at"]),
        "score": lambda post: post["votes"]["score"],
        "title": lambda post: post["title"],
    }
    key = keys[sort.lstrip("-")]
    return [post["id"] for post in sorted(posts, key=lambda post: (key(post), post["id"]), reverse=sort[0] == "-")]


def first_cursor(client, person=None, **parameters):
    return listing(client, person, limit=2, **parameters)["page"]["next_cursor"]


def test_a_list_shows_posts_newest_first(client, steps):
    """Without parameters the list holds whole posts, newest first, twenty a page, and no total."""
    ada = steps.person()
    posts = [steps.post(ada, tags=["b", "a"]) for _ in range(2)]
    reply = client.get("/v2/posts", headers=ada.headers)
    page = {"limit": 20, "next_cursor": None, "prev_cursor": None}
    assert is_ok(reply) == {"data": posts[::-1], "page": page}
    assert set(posts[0]) == POST
    assert "link" not in reply.headers


def test_my_vote_is_the_readers_own(client, steps):
    """Each row tells the reader's own vote, and null to whom sent no token."""
    ada, bob = steps.person(), steps.person()
    up, down, none = (steps.post(ada)["id"] for _ in range(3))
    steps.vote(bob, up, 1)
    steps.vote(bob, down, -1)
    assert {row["id"]: row["my_vote"] for row in listing(client, bob)["data"]} == {up: 1, down: -1, none: 0}
    assert {row["my_vote"] for row in listing(client, ada)["data"]} == {0}
    assert {row["my_vote"] for row in listing(client)["data"]} == {None}


def test_a_page_holds_as_many_as_asked(client, steps):
    """The limit is 20 unless told, may be 1 and 100, and the page repeats it."""
    ada = steps.person()
    for _ in range(101):
        steps.post(ada)
    for query, limit in (({}, 20), ({"limit": 1}, 1), ({"limit": 100}, 100)):
        page = listing(client, **query)
        assert (len(page["data"]), page["page"]["limit"]) == (limit, limit)
        assert page["page"]["next_cursor"]


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ("limit=0", "limit", "greater_than_equal"),
        ("limit=101", "limit", "less_than_equal"),
        (f"limit={BEYOND_INT64}", "limit", "less_than_equal"),
        *((f"limit={bad}", "limit", "int_parsing") for bad in ("", "abc", "1_0", "%2B1", "1.5", "%201", "9" * 5000)),
        *((f"limit={bad}", "limit", "int_parsing") for bad in ("NaN", "%D9%A3", "1%00", 10**30)),
        ("author_id=0", "author_id", "greater_than_equal"),
        (f"author_id={BEYOND_INT64}", "author_id", "less_than_equal"),
        *((f"author_id={bad}", "author_id", "int_parsing") for bad in ("", "abc", "1_0", "+1", 10**30, "9" * 5000)),
        *((f"sort={bad}", "sort", "literal_error") for bad in ("", "id", "Title", "--title", "title,score", "%00")),
        *((f"published={bad}", "published", "bool_parsing") for bad in ("", "1", "True", "maybe", "%00")),
        *(
            (f"created_after={bad}", "created_after", "datetime_parsing")
            for bad in ("", "x", "2024-01-01", "2024-01-01T00:00:00", "2024-02-30T00:00:00Z", "1700000000", "NaN")
        ),
        ("created_before=0001-01-01T00:00:00%2B23:59", "created_before", "datetime_parsing"),
        ("q=a%00b", "q", "string_pattern_mismatch"),
        *((f"{name}={bad}", name, "string_unicode") for name in ("q", "tag", "cursor") for bad in ("%FF", "%ED%A0%80")),
        ("cursor=%00", "cursor", "string_pattern_mismatch"),
        ("tag=", "tag", "string_pattern_mismatch"),
        ("tag=ok&tag=UPPER", "tag", "string_pattern_mismatch"),
        ("&".join(f"tag=t{index}" for index in range(11)), "tag", "too_long"),
    ],
    ids=lambda value: value[:40],
)
def test_a_bad_parameter_is_named(client, query, parameter, code):
    """A parameter that is malformed or out of range is refused by its name."""
    reply = client.get(f"/v2/posts?{query}")
    is_problem(reply, "invalid-request", (parameter, code))
    assert "999999" not in reply.text


@pytest.mark.parametrize(
    "query",
    [
        *("unknown=1", "q=%zz", "q=", f"q={'x' * 5000}", f"author_id={NOBODY}"),
        *("created_after=0001-01-01T00:00:00Z", "created_before=9999-12-31t23:59:59.999999999z"),
    ],
    ids=lambda value: value[:30],
)
def test_odd_but_legal_queries_are_answered(client, query):
    """Unknown parameters and extreme values are no error."""
    assert is_ok(client.get(f"/v2/posts?{query}"))["data"] == []


def test_filters_by_author_and_tags(client, steps):
    """author_id and every tag given must match; a part of a tag's name is no match."""
    ada, bob = steps.person(), steps.person()
    all_three = steps.post(ada, tags=["b", "aa", "c"])["id"]
    one = steps.post(ada, tags=["aa"])["id"]
    two = steps.post(bob, tags=["aa", "b"])["id"]
    steps.post(bob, tags=["aa", "b"], published=False)
    for query, expected in (
        ({"author_id": ada.id}, [one, all_three]),
        ({"author_id": NOBODY}, []),
        ({"tag": "aa"}, [two, one, all_three]),
        ({"tag": ["b", "aa"]}, [two, all_three]),
        ({"tag": ["aa", "aa"]}, [two, one, all_three]),
        ({"tag": ["c", "aa", "b"]}, [all_three]),
        ({"tag": ["aa", "b"], "author_id": bob.id}, [two]),
        ({"tag": ["aa", "zz"]}, []),
        ({"tag": "a"}, []),
    ):
        assert ids(listing(client, **query)) == expected, query


@pytest.mark.parametrize(
    ("q", "found"),
    [
        *(("100%", ["100%x"]), ("a_b", ["a_b"]), ("c\\d", ["c\\d"]), ("[a]", ["[a]"]), ("e'f\"", ["e'f\""])),
        *(("*", []), ("_", ["a_b"]), ("%", ["100%x", "c%d"]), ("\\", ["c\\d"])),
    ],
)
def test_q_is_taken_literally(client, steps, q, found):
    """No character of q is a wildcard or an escape."""
    ada = steps.person()
    for title in ("100%x", "100zx", "a_b", "aXb", "c\\d", "c%d", "[a]", "e'f\""):
        steps.post(ada, title, content="100% * a_b")
    assert [row["title"] for row in listing(client, q=q, sort="created_at")["data"]] == found


@pytest.mark.parametrize("q", ["straße", "STRASSE", "ÄÖÉ", "äöé", "жУк", "e ä"])
def test_q_disregards_case_in_every_script(client, steps, q):
    """A title is found by q however either is capitalized, on both databases alike."""
    ada = steps.person()
    made = [steps.post(ada, title)["id"] for title in ("STRASSE ÄÖÉ ЖУК", "Straße äöé жук", "other")]
    assert ids(listing(client, q=q, sort="created_at")) == made[:2]


def test_q_follows_a_changed_title(client, steps):
    """A post is found by its present title only."""
    ada = steps.person()
    post = steps.post(ada, "Before")
    is_ok(client.patch(f"/v2/posts/{post['id']}", json={"title": "After"}, headers=ada.headers))
    assert listing(client, q="before")["data"] == []
    assert ids(listing(client, q="after")) == [post["id"]]


def test_filters_by_time_exclude_the_moment_itself(client, steps):
    """created_after and created_before are exclusive, and mean the same instant in any zone."""
    ada = steps.person()
    first, middle, last = (steps.post(ada) for _ in range(3))
    moment = is_moment(middle["created_at"])
    for text in (middle["created_at"], (moment + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00")):
        assert ids(listing(client, created_after=text)) == [last["id"]]
        assert ids(listing(client, created_before=text)) == [first["id"]]
    between = {"created_after": first["created_at"], "created_before": last["created_at"]}
    assert ids(listing(client, **between)) == [middle["id"]]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 4, 15])
def test_pages_forward_and_back_make_the_whole_list(client, steps, sort, limit):
    """In every order, made total by id, the pages meet each row once, forward and backward alike."""
    ada, _ = library(steps)
    whole = listing(client, sort=sort, limit=100)["data"]
    assert len(whole) == len(TITLES)
    assert [row["id"] for row in whole] == in_order(whole, sort)
    query = {"sort": sort, "limit": limit, "author_id": ada.id}
    pages = walk(client, **query)
    assert rows(pages) == whole
    assert [len(page["data"]) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[0]["page"]["prev_cursor"] is None
    if len(pages) > 1:
        back = walk(client, backward_from=pages[-1]["page"]["prev_cursor"], **query)
        assert [page["data"] for page in back[::-1]] == [page["data"] for page in pages[:-1]]
        assert all(page["page"]["next_cursor"] for page in back)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_what_did_not_change_is_met_once_while_others_write(client, steps, sort, backward):
    """Rows are inserted, deleted and voted past while somebody walks: no unchanged row is skipped or repeated."""
    ada, bob = library(steps)
    before = ids(listing(client, sort=sort, limit=100))
    unsteady: set[int] = set()
    query, titles = {"sort": sort, "limit": 2}, iter(["a", "b", "\U0010ffff", "B", "é"])
    start = walk(client, **query)[-1]["page"]["prev_cursor"] if backward else None
    expected = before[:-1] if backward else before  # the last page of two holds the fifteenth row alone

    def interfere(page):
        title = next(titles, None)
        if title:
            steps.vote(bob, steps.post(ada, title)["id"], 1)
        edge = page["data"][0 if backward else -1]["id"]  # the row that the cursor stands on
        if edge in before and not unsteady:
            unsteady.add(edge)
            is_ok(client.delete(f"/v2/posts/{edge}", headers=ada.headers), 204)
            moved = before[len(before) // 2]
            unsteady.add(moved)
            body = {"title": "moved", "content": "c"}
            is_ok(client.put(f"/v2/posts/{moved}", json=body, headers=ada.headers))
            steps.vote(steps.person(), moved, 1)

    pages = walk(client, backward_from=start, between=interfere, **query)
    met = [row["id"] for row in rows(pages[::-1] if backward else pages)]
    assert len(unsteady) == 2
    assert [id_ for id_ in met if id_ in expected and id_ not in unsteady] == [
        id_ for id_ in expected if id_ not in unsteady
    ]
    inserted = [id_ for id_ in met if id_ not in before]
    assert len(inserted) == len(set(inserted))


def test_a_page_that_lost_its_rows_leads_back(client, steps):
    """Where everything past the cursor was deleted, the page is empty and its prev leads to the end of the list."""
    ada = steps.person()
    oldest, *kept = (steps.post(ada)["id"] for _ in range(3))
    cursor = first_cursor(client)
    is_ok(client.delete(f"/v2/posts/{oldest}", headers=ada.headers), 204)
    empty = listing(client, limit=2, cursor=cursor)
    assert (empty["data"], empty["page"]["next_cursor"]) == ([], None)
    assert ids(listing(client, limit=2, cursor=empty["page"]["prev_cursor"])) == kept[::-1]


def test_ones_drafts_are_walked_page_by_page(client, steps):
    """The cursors of a list that needs a token go on working with it, and show others nothing."""
    ada, bob = steps.person(), steps.person()
    drafts = [steps.post(ada, published=False)["id"] for _ in range(5)]
    cursor = first_cursor(client, ada, published="false")
    query = {"published": "false", "limit": 2, "cursor": cursor}
    assert ids(listing(client, ada, **query)) == drafts[2:0:-1]
    assert listing(client, bob, **query)["data"] == []
    is_problem(client.get("/v2/posts", params=query), "unauthenticated")


def test_link_leads_on_with_every_parameter(client, steps):
    """Link next and prev can be followed as they are, repeated tags and escaped text included."""
    ada = steps.person()
    made = [steps.post(ada, 'x&=é+ "<>', tags=["a", "b"])["id"] for _ in range(5)]
    steps.post(ada, "x", tags=["a", "b"])
    parameters = [("tag", "b"), ("tag", "a"), ("q", 'X&=É+ "<>'), ("sort", "created_at"), ("limit", "2")]

    def follow(reply, relation):
        url = urlsplit(reply.links[relation]["url"])
        assert (url.scheme, url.netloc, url.path) == ("", "", "/v2/posts")
        cursor = is_ok(reply)["page"][f"{relation}_cursor"]
        assert parse_qsl(url.query) == [*parameters, ("cursor", cursor)]
        return client.get(url.geturl())

    one = client.get("/v2/posts", params=parameters)
    assert (ids(is_ok(one)), set(one.links)) == (made[:2], {"next"})
    two = follow(one, "next")
    assert (ids(is_ok(two)), set(two.links)) == (made[2:4], {"next", "prev"})
    three = follow(two, "next")
    assert (ids(is_ok(three)), set(three.links)) == (made[4:], {"prev"})
    assert ids(is_ok(follow(three, "prev"))) == made[2:4]
    assert ids(is_ok(follow(two, "prev"))) == made[:2]


def test_no_header_is_smuggled_through_link(client, steps):
    """A line break in a parameter stays escaped in the Link header."""
    ada = steps.person()
    for _ in range(2):
        steps.post(ada, "a\r\nX-Evil: 1")
    reply = client.get("/v2/posts", params={"q": "a\r\nX-Evil: 1", "limit": 1})
    assert len(is_ok(reply)["data"]) == 1
    assert "x-evil" not in reply.headers
    assert "q=a%0D%0AX-Evil" in reply.headers["link"]


@pytest.mark.parametrize("path", ["/v2/posts", "/v2/tags"])
@pytest.mark.parametrize(
    "cursor",
    ["", "x", "null", "-1", "MQ==", "eyJpZCI6MX0", "e30.e30", "é", "💥", "A" * 5000, "../..", "' OR 1=1--", "\n"],
    ids=lambda value: value[:10].encode("unicode_escape").decode() or "empty",
)
def test_a_made_up_cursor_is_refused(client, path, cursor):
    """Garbage in place of a cursor is 400 invalid-cursor, and is not repeated."""
    reply = client.get(path, params={"cursor": cursor})
    is_problem(reply, "invalid-cursor")
    assert "AAAA" not in reply.text


def test_an_altered_cursor_is_refused(client, steps):
    """One changed character anywhere, a missing or an added one, makes a cursor invalid."""
    ada = steps.person()
    for _ in range(3):
        steps.post(ada)
    cursor = first_cursor(client)
    flipped = [
        cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(0, len(cursor) - 2, 3)
    ]
    for forged in (
        *flipped,
        cursor[:-4],
        cursor[4:],
        cursor[:4] + "!!!!" + cursor[4:],
        cursor + "AAAA",
        cursor[::-1],
        cursor.swapcase(),
        cursor * 2,
    ):
        is_problem(client.get("/v2/posts", params={"limit": 2, "cursor": forged}), "invalid-cursor")
    assert len(listing(client, limit=2, cursor=cursor)["data"]) == 1


@pytest.mark.parametrize(
    "other",
    [
        *({"sort": "title"}, {"sort": "created_at"}, {"q": "z"}, {"tag": "x"}, {"tag": ["x", "y", "z"]}),
        *({"published": "true"}, {"author_id": 2}, {"created_after": "2020-01-01T00:00:00Z"}),
        {"created_before": "2999-01-01T00:00:00Z"},
    ],
    ids=lambda other: "-".join(f"{name}-{value}" for name, value in other.items()),
)
def test_a_cursor_is_bound_to_filters_and_order(client, steps, other):
    """A cursor is good for the filters and the order it came with, and no other."""
    ada = steps.person()
    for _ in range(3):
        steps.post(ada, tags=["x", "y"])
    own = {"author_id": ada.id, "tag": ["x", "y"], "limit": 2}
    cursor = first_cursor(client, author_id=ada.id, tag=["x", "y"])
    is_problem(client.get("/v2/posts", params={**own, **other, "cursor": cursor}), "invalid-cursor")
    is_problem(client.get("/v2/posts", params={"cursor": cursor}), "invalid-cursor")
    assert len(listing(client, **own, cursor=cursor)["data"]) == 1


def test_a_cursor_of_another_format_is_stale(client, steps, monkeypatch):
    """What another release of the service has signed, in a form of its own, is refused and not misread."""
    ada = steps.person()
    for _ in range(3):
        steps.post(ada)
    monkeypatch.setattr(cursors, "CURSOR_FORMAT", 0)
    stale = first_cursor(client)
    monkeypatch.undo()
    is_problem(client.get("/v2/posts", params={"limit": 2, "cursor": stale}), "invalid-cursor")


def test_a_cursor_of_another_list_is_foreign(client, steps):
    """The cursors of posts and of tags are not interchangeable."""
    ada = steps.person()
    for _ in range(3):
        steps.post(ada, tags=["x", "y", "z"])
    of_posts, of_tags = first_cursor(client), first_cursor(client, path="/v2/tags")
    is_problem(client.get("/v2/tags", params={"limit": 2, "cursor": of_posts}), "invalid-cursor")
    is_problem(client.get("/v2/posts", params={"limit": 2, "cursor": of_tags}), "invalid-cursor")


def test_a_cursor_may_be_used_again_and_with_another_limit(client, steps):
    """A cursor is a place in the list: it gives the same page each time, and a longer one if asked."""
    ada = steps.person()
    made = [steps.post(ada)["id"] for _ in range(6)][::-1]
    cursor = first_cursor(client)
    for limit in (2, 2, 3, 1):
        assert ids(listing(client, limit=limit, cursor=cursor)) == made[2 : 2 + limit]
