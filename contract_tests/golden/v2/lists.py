"""Version 2: lists of posts and tags, and their cursors both ways."""

from contract_tests.golden.ask import ask, get
from contract_tests.golden.values import LAST_ID

_ON = {"cursor:next": "/page/next_cursor"}
_BACK = {"cursor:prev": "/page/prev_cursor"}
_BOTH = {**_BACK, **_ON}
_SORTS = ("created_at", "-score", "score", "title", "-title")
_REFUSED = {
    "limit zero": "limit=0",
    "limit above": "limit=101",
    "limit a word": "limit=ten",
    "limit empty": "limit=",
    "limit with a sign": "limit=%2B1",
    "limit of 5,000 digits": "limit={repeat:9:5000}",
    "unknown sort": "sort=votes",
    "author zero": "author_id=0",
    "author beyond int64": f"author_id={2**63}",
    "tag in capitals": "tag=Notes",
    "eleven tags": "&".join(f"tag=t{n}" for n in range(11)),
    "published a number": "published=1",
    "time without a zone": "created_after=2026-01-01T00:00:00",
    "time a date": "created_before=2026-01-01",
    "q with NUL": "q=%00",
    "all at once": "limit=x&sort=x&author_id=x&published=x&created_after=x",
    "cursor with NUL": "cursor=%00",
}
_FOREIGN = {
    "made up": "cursor=x",
    "empty": "cursor=",
    "not ASCII": "cursor=%C3%A9",
    "of another order": "limit=2&sort=title&cursor={cursor:next}",
    "of other filters": "limit=2&tag=notes&cursor={cursor:next}",
    "cut": "limit=2&cursor={cursor:next}A",
}

SCENARIOS = {
    "posts-list": {
        "to nobody": get("/v2/posts"),
        "to somebody": get("/v2/posts?limit=5", "ada", captures=_ON),
        "to somebody without votes": get("/v2/posts?limit=1", "zoe", captures=_ON),
        "with an expired token": get("/v2/posts", "expired"),
        "with the scheme alone": get("/v2/posts", headers={"Authorization": "Bearer"}),
        **{f"by {sort}": get(f"/v2/posts?limit=4&sort={sort}", captures=_ON) for sort in _SORTS},
        "of one author": get("/v2/posts?author_id=3"),
        "of nobody": get(f"/v2/posts?author_id={LAST_ID}"),
        "with a tag": get("/v2/posts?tag=engines"),
        "with two tags": get("/v2/posts?tag=engines&tag=notes"),
        "with a tag of a draft": get("/v2/posts?tag=secret"),
        "one's own drafts": get("/v2/posts?published=false", "ada"),
        "drafts without a token": get("/v2/posts?published=false"),
        "published ones": get("/v2/posts?published=true&author_id=1&limit=2", "ada", captures=_ON),
        "after a moment": get("/v2/posts?created_after=2026-02-12T08:00:00Z"),
        "before a moment": get("/v2/posts?created_before=2026-02-01T09:00:00%2B01:00"),
        "between microseconds": get(
            "/v2/posts?created_after=2026-02-04T00:00:00Z&created_before=2026-02-04T00:00:00.000002Z"
        ),
        "found by a part of the title": get("/v2/posts?q=GR%C3%96SSE"),
        "percent is literal": get("/v2/posts?q=%25"),
        "nothing found": get("/v2/posts?q=nowhere"),
        "unknown parameter": get("/v2/posts?limit=1&skip=3", captures=_ON),
        "HEAD": ask("HEAD", "/v2/posts?q=nowhere"),
        "compressed": get("/v2/posts", headers={"Accept-Encoding": "gzip"}),
    },
    "posts-pages": {
        "first": get("/v2/posts?limit=5", captures=_ON),
        "second": get("/v2/posts?limit=5&cursor={cursor:next}", captures=_BOTH),
        "third and last": get("/v2/posts?limit=5&cursor={cursor:next}", captures=_BACK),
        "back to the second": get("/v2/posts?limit=5&cursor={cursor:prev}", captures=_BOTH),
        "back to the first": get("/v2/posts?limit=5&cursor={cursor:prev}", captures=_ON),
        "with another limit": get("/v2/posts?limit=1&cursor={cursor:next}", captures=_BOTH),
        "the cursor first": get("/v2/posts?cursor={cursor:next}&limit=2", captures=_BOTH),
    },
    "posts-pages-filtered": {
        "first": get("/v2/posts?sort=title&q=letter&tag=letters&limit=2", captures=_ON),
        "second": get("/v2/posts?sort=title&q=letter&tag=letters&limit=2&cursor={cursor:next}", captures=_BOTH),
        "last": get("/v2/posts?sort=title&q=letter&tag=letters&limit=2&cursor={cursor:next}", captures=_BACK),
        "back": get("/v2/posts?sort=title&q=letter&tag=letters&limit=2&cursor={cursor:prev}", captures=_BOTH),
        "exactly one page": get("/v2/posts?tag=letters&limit=5"),
        "with unicode in Link": get(
            "/v2/posts?q=e&limit=1&created_after=2026-01-01T00:00:00Z&sort=-score", captures=_ON
        ),
    },
    "posts-list-refused": {
        **{name: get(f"/v2/posts?{query}") for name, query in _REFUSED.items()},
        "trailing slash": get("/v2/posts/"),
        "a cursor to begin with": get("/v2/posts?limit=2", captures=_ON),
        **{f"cursor {name}": get(f"/v2/posts?{query}") for name, query in _FOREIGN.items()},
        "cursor of another list": get("/v2/tags?limit=2&cursor={cursor:next}"),
    },
    "lists-not-text": {
        **{name: get(f"/v2/posts?{name}=%FF") for name in ("q", "tag", "cursor", "unknown")},
        "prefix": get("/v2/tags?prefix=%ED%A0%80"),
    },
    "tags": {
        "all": get("/v2/tags"),
        "with a token": get("/v2/tags", "ada"),
        "by prefix": get("/v2/tags?prefix=z"),
        "prefix in capitals": get("/v2/tags?prefix=Z"),
        "none": get("/v2/tags?prefix=nothing"),
        "first": get("/v2/tags?limit=2", captures=_ON),
        "second": get("/v2/tags?limit=2&cursor={cursor:next}", captures=_BOTH),
        "last": get("/v2/tags?limit=2&cursor={cursor:next}", captures=_BACK),
        "back": get("/v2/tags?limit=2&cursor={cursor:prev}", captures=_BOTH),
        "HEAD": ask("HEAD", "/v2/tags"),
        "limit zero": get("/v2/tags?limit=0"),
        "limit above": get("/v2/tags?limit=101"),
        "prefix with NUL": get("/v2/tags?prefix=%00"),
        "cursor made up": get("/v2/tags?cursor=x"),
        "cursor of another prefix": get("/v2/tags?limit=2&prefix=a&cursor={cursor:next}"),
    },
}
