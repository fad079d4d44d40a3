"""Version 2: posts."""

from typing import Any

from contract_tests.golden.ask import ask, delete, get, patch, post, put
from contract_tests.golden.values import LAST_ID, LATER, MICROSECONDS, MILLISECONDS, NO_IDS, NO_OBJECTS

_BODY = {"title": "t", "content": "c"}
_FULL = {**_BODY, "published": False, "tags": ["b", "a"]}
_MERGE = "application/merge-patch+json"
_UNICODE = "é e\u0301 ß 🦊 العربية \u2028 \ufeff \U0010ffff"
_WRONG: dict[str, Any] = {
    "nothing given": {},
    "all null": {"title": None, "content": None, "published": None, "tags": None},
    "of other types": {"title": 1, "content": [], "published": "true", "tags": "x"},
    "empty texts": {"title": "", "content": ""},
    "title of 301": {**_BODY, "title": "{repeat:x:301}"},
    "content of 50,001": {**_BODY, "content": "{repeat:x:50001}"},
    "NUL": {"title": "a\x00", "content": "b\x00"},
    "eleven tags": {**_BODY, "tags": [f"t{n}" for n in range(11)]},
    "tags that are none": {**_BODY, "tags": ["", "Capital", "-", "a b", "ü", 1, None, "ok"]},
    "tag of 33": {**_BODY, "tags": ["{repeat:x:33}"]},
    "unknown member": {**_BODY, "votes": 1},
    "unknown members, not plain": {**_BODY, "a/b": 1, "": 2, "ü": 3},
}

SCENARIOS = {
    "posts-read": {
        **{f"post {number}": get(f"/v2/posts/{number}") for number in (1, 3, 4, 5, 6, 7, 9)},
        "one's vote up": get("/v2/posts/5", "bob"),
        "one's vote down": get("/v2/posts/5", "ada"),
        "no vote of one's own": get("/v2/posts/5", "eve"),
        "one's own draft": get("/v2/posts/2", "ada"),
        "another's draft": get("/v2/posts/2", "bob"),
        "a draft, to nobody": get("/v2/posts/2"),
        "HEAD": ask("HEAD", "/v2/posts/1"),
        "with an expired token": get("/v2/posts/1", "expired"),
        "no such post": get("/v2/posts/999"),
        "the last id there can be": get(f"/v2/posts/{LAST_ID}"),
        "trailing slash": get("/v2/posts/1/"),
        **{f"id: {name}": get(f"/v2/posts/{value}") for name, value in NO_IDS.items()},
    },
    "posts-create": {
        "the plainest": post("/v2/posts", "ada", json=_BODY),
        "all members": post("/v2/posts", "ada", json=_FULL, at=MICROSECONDS),
        "with milliseconds": post("/v2/posts", "bob", json=_BODY, at=MILLISECONDS),
        "unicode": post("/v2/posts", "zoe", json={"title": _UNICODE, "content": _UNICODE}),
        "a tag twice": post("/v2/posts", "ada", json={**_BODY, "tags": ["z", "a", "z"]}),
        "the most tags": post("/v2/posts", "ada", json={**_BODY, "tags": [f"t{n}" for n in range(10)]}),
        "no tags": post("/v2/posts", "ada", json={**_BODY, "tags": []}),
        "the longest title": post("/v2/posts", "ada", json={**_BODY, "title": "{repeat:ü:300}"}),
        "where Location leads": get("/v2/posts/16", "ada", at=LATER),
        **{f"refused: {name}": post("/v2/posts", "ada", json=body) for name, body in _WRONG.items()},
        "refused: a lone surrogate": post("/v2/posts", "ada", text=r'{"title":"\ud800","content":"c"}'),
        "refused: no body": post("/v2/posts", "ada"),
        **{f"refused: body {name}": post("/v2/posts", "ada", text=text) for name, text in NO_OBJECTS.items()},
        "refused: as text": post("/v2/posts", "ada", json=_BODY, kind="text/plain"),
        "refused: as merge patch": post("/v2/posts", "ada", json=_BODY, kind=_MERGE),
        "refused: without a token": post("/v2/posts", json=_BODY),
    },
    "posts-replace": {
        "all members": put("/v2/posts/1", "ada", json=_FULL, at=MICROSECONDS),
        "what is left out takes its default": put("/v2/posts/1", "ada", json=_BODY, at=LATER),
        "another's": put("/v2/posts/3", "ada", json=_BODY),
        "another's draft": put("/v2/posts/8", "ada", json=_BODY),
        "no such post": put("/v2/posts/999", "ada", json=_BODY),
        "without a token": put("/v2/posts/1", json=_BODY),
        **{name: put("/v2/posts/1", "ada", json=body) for name, body in _WRONG.items()},
        "no body": put("/v2/posts/1", "ada"),
        "as merge patch": put("/v2/posts/1", "ada", json=_BODY, kind=_MERGE),
        "id a word": put("/v2/posts/abc", "ada", json=_BODY),
        "path and body wrong": put("/v2/posts/abc", "ada", json={}),
        "votes stay": get("/v2/posts/1", "ada"),
    },
    "posts-patch": {
        "title": patch("/v2/posts/1", "ada", json={"title": "changed"}, kind=_MERGE, at=MICROSECONDS),
        "plain JSON": patch("/v2/posts/1", "ada", json={"content": "changed"}, at=LATER),
        "published": patch("/v2/posts/1", "ada", json={"published": False}, kind=_MERGE),
        "tags": patch("/v2/posts/1", "ada", json={"tags": ["one", "two"]}, kind=_MERGE),
        "tags of null": patch("/v2/posts/1", "ada", json={"tags": None}, kind=_MERGE),
        "nothing": patch("/v2/posts/1", "ada", json={}, kind=_MERGE, at=LATER),
        "title of null": patch("/v2/posts/1", "ada", json={"title": None}, kind=_MERGE),
        "published of null": patch("/v2/posts/1", "ada", json={"published": None}, kind=_MERGE),
        "a number for a flag": patch("/v2/posts/1", "ada", json={"published": 1}, kind=_MERGE),
        "unknown member": patch("/v2/posts/1", "ada", json={"id": 7}, kind=_MERGE),
        "a list": patch("/v2/posts/1", "ada", json=[], kind=_MERGE),
        "null": patch("/v2/posts/1", "ada", json=None, kind=_MERGE),
        "no body": patch("/v2/posts/1", "ada"),
        "as text": patch("/v2/posts/1", "ada", json={}, kind="text/plain"),
        "another's": patch("/v2/posts/3", "ada", json={}, kind=_MERGE),
        "another's draft": patch("/v2/posts/8", "ada", json={}, kind=_MERGE),
        "without a token": patch("/v2/posts/1", json={}, kind=_MERGE),
        "id a word": patch("/v2/posts/abc", "ada", json={}, kind=_MERGE),
    },
    "posts-of-nobody-and-nowhere": {
        "read": get("/v2/posts/999", "ended"),
        "replace": put("/v2/posts/999", "ended", json=_BODY),
        "change": patch("/v2/posts/999", "ended", json={}),
        "delete": delete("/v2/posts/999", "ended"),
        "vote": put("/v2/posts/999/vote", "ended", json={"value": 1}),
        "take the vote back": delete("/v2/posts/999/vote", "ended"),
    },
    "posts-delete": {
        "another's": delete("/v2/posts/3", "ada"),
        "another's draft": delete("/v2/posts/8", "ada"),
        "without a token": delete("/v2/posts/1"),
        "one's own": delete("/v2/posts/1", "ada"),
        "again": delete("/v2/posts/1", "ada"),
        "id a word": delete("/v2/posts/abc", "ada"),
        "its tags lose a post": get("/v2/tags?prefix=engines"),
    },
}
