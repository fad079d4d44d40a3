"""Version 1: writing, changing and deleting posts."""

from typing import Any

from contract_tests.golden.ask import delete, get, patch, post, put
from contract_tests.golden.values import LAST_ID, LATER, MICROSECONDS, MILLISECONDS, NO_IDS, NO_OBJECTS

_BODY = {"title": "t", "content": "c"}
_IGNORED = {"id": 77, "owner_id": 77, "votes": 9, "tags": ["x"], "created_at": "2001-01-01T00:00:00Z", "x": {"y": [1]}}
_UNICODE = "é e\u0301 ß ŉ 🦊 👩‍👩‍👧 العربية \u200f\u2028 \ufeff \U0010ffff"
_NO_TEXTS: dict[str, Any] = {
    "null": None,
    "a number": 1,
    "a flag": True,
    "a list": [],
    "an object": {},
    "NUL": "a\x00b",
}
_NO_FLAGS: dict[str, Any] = {"null": None, "a number": 1, "a text": "true", "an empty text": "", "a list": [True]}


def _fields(refused: dict[str, Any], member: str) -> dict[str, dict[str, Any]]:
    return {f"{member}: {name}": {**_BODY, member: value} for name, value in refused.items()}


_WRONG = {
    "nothing given": {},
    "no title": {"content": "c"},
    "no content": {"title": "t"},
    **_fields(_NO_TEXTS, "title"),
    **_fields(_NO_TEXTS, "content"),
    **_fields(_NO_FLAGS, "published"),
    "all at once": {"title": None, "content": 1, "published": "no"},
}

SCENARIOS = {
    "posts-create": {
        "the plainest": post("/v1/posts", "ada", json=_BODY),
        "a draft": post("/v1/posts", "ada", json={**_BODY, "published": False}),
        "published said": post("/v1/posts", "ada", json={**_BODY, "published": True}),
        "with microseconds": post("/v1/posts", "bob", json=_BODY, at=MICROSECONDS),
        "with milliseconds": post("/v1/posts", "bob", json=_BODY, at=MILLISECONDS),
        "empty texts": post("/v1/posts", "ada", json={"title": "", "content": ""}),
        "white space": post("/v1/posts", "ada", json={"title": " ", "content": "\n\t\r "}),
        "unicode": post("/v1/posts", "zoe", json={"title": _UNICODE, "content": _UNICODE}),
        "escapes": post("/v1/posts", "ada", text=r'{"title":"\ud83d\ude00\u00e9\/","content":"\"\\\b\f\n\r\t\u0001"}'),
        "long": post("/v1/posts", "ada", json={"title": "{repeat:ü:400}", "content": "c"}),
        "ignored members": post("/v1/posts", "ada", json={**_BODY, **_IGNORED}),
        "ignored numbers": post("/v1/posts", "ada", text='{"title":"t","content":"c","x":1e400,"y":NaN,"z":-0.0}'),
        "a member twice": post("/v1/posts", "ada", text='{"title":"first","title":"last","content":"c"}'),
        "trailing slash": post("/v1/posts/", "ada", json=_BODY),
        "as +json": post("/v1/posts", "ada", json=_BODY, kind="application/vnd.api+json"),
        "all are there": get("/v1/posts?skip=13&limit=100", "ada", at=LATER),
        "another sees the published ones": get("/v1/posts?skip=12&limit=3", "zoe"),
        "another does not see the draft": get("/v1/posts/16", "zoe"),
    },
    "posts-create-refused": {
        **{name: post("/v1/posts", "ada", json=body) for name, body in _WRONG.items()},
        "title with a lone surrogate": post("/v1/posts", "ada", text=r'{"title":"\ud800","content":"c"}'),
        "no body": post("/v1/posts", "ada"),
        **{f"body: {name}": post("/v1/posts", "ada", text=text) for name, text in NO_OBJECTS.items()},
        "as text": post("/v1/posts", "ada", json=_BODY, kind="text/plain"),
        "of no type": post("/v1/posts", "ada", json=_BODY, kind=""),
        "nothing was written": get("/v1/posts?skip=13", "ada"),
    },
    "posts-replace": {
        "title and content": put("/v1/posts/1", "ada", json=_BODY),
        "to a draft": put("/v1/posts/1", "ada", json={**_BODY, "published": False}),
        "what is left out takes its default": put("/v1/posts/1", "ada", json=_BODY),
        "a draft is published": put("/v1/posts/2", "ada", json={"title": "out", "content": "now"}, at=MICROSECONDS),
        "empty texts": put("/v1/posts/1", "ada", json={"title": "", "content": ""}),
        "unicode": put("/v1/posts/1", "ada", json={"title": _UNICODE, "content": _UNICODE}),
        "ignored members": put("/v1/posts/1", "ada", json={**_BODY, **_IGNORED}),
        "trailing slash": put("/v1/posts/1/", "ada", json=_BODY),
        "votes stay": get("/v1/posts/1", "ada"),
        "another's": put("/v1/posts/3", "ada", json=_BODY),
        "another's draft": put("/v1/posts/8", "ada", json=_BODY),
        "no such post": put("/v1/posts/999", "ada", json=_BODY),
        "the last id there can be": put(f"/v1/posts/{LAST_ID}", "ada", json=_BODY),
        "422 before 404": put("/v1/posts/999", "ada", json={}),
        "422 before 403": put("/v1/posts/3", "ada", json={}),
        "path and body wrong": put("/v1/posts/abc", "ada", json={}),
        **{name: put("/v1/posts/1", "ada", json=body) for name, body in _WRONG.items()},
        "no body": put("/v1/posts/1", "ada"),
        "no JSON": put("/v1/posts/1", "ada", text="nope"),
        "as text": put("/v1/posts/1", "ada", json=_BODY, kind="text/plain"),
        **{f"id: {name}": put(f"/v1/posts/{value}", "ada", json=_BODY) for name, value in NO_IDS.items()},
        "as it was before the refusals": get("/v1/posts/1", "ada"),
    },
    "posts-update": {
        "title": patch("/v1/posts/1", "ada", json={"title": "changed"}),
        "content": patch("/v1/posts/1", "ada", json={"content": "changed"}),
        "published": patch("/v1/posts/1", "ada", json={"published": False}),
        "all three": patch("/v1/posts/1", "ada", json={"title": "a", "content": "b", "published": True}),
        "nothing": patch("/v1/posts/1", "ada", json={}),
        "ignored members": patch("/v1/posts/1", "ada", json=_IGNORED),
        "empty title": patch("/v1/posts/1", "ada", json={"title": ""}),
        "with microseconds": patch("/v1/posts/5", "eve", json={"title": "later"}, at=MICROSECONDS),
        "one's own draft": patch("/v1/posts/2", "ada", json={"content": "Soon."}),
        "trailing slash": patch("/v1/posts/1/", "ada", json={"title": "slash"}),
        "as merge patch": patch("/v1/posts/1", "ada", json={"title": "merged"}, kind="application/merge-patch+json"),
        "another's": patch("/v1/posts/3", "ada", json={"title": "mine"}),
        "another's, nothing": patch("/v1/posts/3", "ada", json={}),
        "another's draft": patch("/v1/posts/8", "ada", json={"title": "mine"}),
        "no such post": patch("/v1/posts/999", "ada", json={"title": "x"}),
        **{f"title: {name}": patch("/v1/posts/1", "ada", json={"title": value}) for name, value in _NO_TEXTS.items()},
        **{
            f"published: {name}": patch("/v1/posts/1", "ada", json={"published": value})
            for name, value in _NO_FLAGS.items()
        },
        "no body": patch("/v1/posts/1", "ada"),
        **{f"body: {name}": patch("/v1/posts/1", "ada", text=text) for name, text in NO_OBJECTS.items()},
        "as text": patch("/v1/posts/1", "ada", json={"title": "x"}, kind="text/plain"),
        **{f"id: {name}": patch(f"/v1/posts/{value}", "ada", json={}) for name, value in NO_IDS.items()},
        "as it was before the refusals": get("/v1/posts/1", "ada"),
    },
    "posts-conditional": {
        "read": get("/v1/posts/1", "ada"),
        "not modified": get("/v1/posts/1", "ada", headers={"If-None-Match": '"3.2"'}),
        "not modified, by a weak tag in a list": get("/v1/posts/1/", "bob", headers={"If-None-Match": '"x", W/"3.2"'}),
        "whatever it is": get("/v1/posts/1", "ada", headers={"If-None-Match": "*"}),
        "another tag": get("/v1/posts/1", "ada", headers={"If-None-Match": '"2.2"'}),
        "401 before 304": get("/v1/posts/1", headers={"If-None-Match": '"3.2"'}),
        "404 before 304": get("/v1/posts/8", "ada", headers={"If-None-Match": "*"}),
        "replaced by another tag": put("/v1/posts/1", "ada", json=_BODY, headers={"If-Match": '"2.2"'}),
        "updated by another tag": patch("/v1/posts/1", "ada", json={}, headers={"If-Match": '"2.2"'}),
        "deleted by another tag": delete("/v1/posts/1", "ada", headers={"If-Match": '"2.2"'}),
        "no tag": put("/v1/posts/1", "ada", json=_BODY, headers={"If-Match": "3"}),
        "a weak tag": put("/v1/posts/1", "ada", json=_BODY, headers={"If-Match": 'W/"3.2"'}),
        "403 before 412": put("/v1/posts/3", "ada", json=_BODY, headers={"If-Match": '"77.1"'}),
        "404 before 412": put("/v1/posts/8", "ada", json=_BODY, headers={"If-Match": '"77.1"'}),
        "422 before 412": put("/v1/posts/1", "ada", json={}, headers={"If-Match": '"77.1"'}),
        "as it was": get("/v1/posts/1", "ada"),
        "replaced": put("/v1/posts/1", "ada", json=_BODY, headers={"If-Match": '"3.2"'}),
        "replaced again": put("/v1/posts/1", "ada", json=_BODY, headers={"If-Match": '"3.2"'}),
        "updated by a tag of version 2": patch("/v1/posts/1", "ada", json=_BODY, headers={"If-Match": '"4.2.0"'}),
        "whatever is there is deleted": delete("/v1/posts/1", "ada", headers={"If-Match": "*"}),
        "nothing is there": delete("/v1/posts/1", "ada", headers={"If-Match": "*"}),
    },
    "posts-delete": {
        "another's": delete("/v1/posts/3", "ada"),
        "another's draft": delete("/v1/posts/8", "ada"),
        "one's own": delete("/v1/posts/1", "ada"),
        "again": delete("/v1/posts/1", "ada"),
        "it is gone": get("/v1/posts/1", "ada"),
        "one's own draft": delete("/v1/posts/2", "ada"),
        "trailing slash": delete("/v1/posts/10/", "ada"),
        "with a body": delete("/v1/posts/11", "ada", json={"sure": True}),
        "no such post": delete("/v1/posts/999", "ada"),
        **{f"id: {name}": delete(f"/v1/posts/{value}", "ada") for name, value in NO_IDS.items()},
        "those that are left": get("/v1/posts?limit=3", "ada"),
        "an id is not given out twice": post("/v1/posts", "ada", json=_BODY),
    },
}
