"""Version 1: votes."""

from typing import Any

from contract_tests.golden.ask import get, post
from contract_tests.golden.values import LAST_ID, NO_OBJECTS

_NO_IDS: dict[str, Any] = {
    "null": None,
    "zero": 0,
    "negative": -1,
    "beyond int64": 2**63,
    "far beyond": 10**30,
    "a fraction": 1.5,
    "a text": "1",
    "a flag": True,
    "a list": [1],
    "a double beyond 2^53": 2.0**53,
}
_NO_DIRECTIONS: dict[str, Any] = {
    "null": None,
    "two": 2,
    "down": -1,
    "a text": "1",
    "a flag": True,
    "a double": 1.0,
    "a list": [1],
}


def _vote(post_id: Any, direction: Any = 1) -> dict[str, Any]:
    return {"post_id": post_id, "dir": direction}


SCENARIOS = {
    "votes": {
        "add": post("/v1/vote", "zoe", json=_vote(1)),
        "add again": post("/v1/vote", "zoe", json=_vote(1)),
        "it counts": get("/v1/posts/1", "zoe"),
        "take back": post("/v1/vote", "zoe", json=_vote(1, 0)),
        "take back again": post("/v1/vote", "zoe", json=_vote(1, 0)),
        "it no longer counts": get("/v1/posts/1", "zoe"),
        "add once more": post("/v1/vote", "zoe", json=_vote(1)),
        "trailing slash": post("/v1/vote/", "zoe", json=_vote(1, 0)),
        "take back a down-vote": post("/v1/vote", "ada", json=_vote(5, 0)),
        "add over a down-vote": post("/v1/vote", "ada", json=_vote(5)),
        "it counts as one more": get("/v1/posts/5", "ada"),
        "on one's own": post("/v1/vote", "ada", json=_vote(1)),
        "on one's own draft": post("/v1/vote", "ada", json=_vote(2)),
        "on another's draft": post("/v1/vote", "ada", json=_vote(8)),
        "take back from another's draft": post("/v1/vote", "ada", json=_vote(8, 0)),
        "no such post": post("/v1/vote", "ada", json=_vote(999)),
        "take back from no such post": post("/v1/vote", "ada", json=_vote(999, 0)),
        "the last id there can be": post("/v1/vote", "ada", json=_vote(LAST_ID)),
        "an id with a fraction of zero": post("/v1/vote", "ada", text='{"post_id":10.0,"dir":1}'),
        "an id in exponent form": post("/v1/vote", "ada", text='{"post_id":1.1e1,"dir":1}'),
        "ignored members": post("/v1/vote", "ada", json={**_vote(12), "user_id": 2, "value": -1}),
    },
    "votes-refused": {
        "nothing given": post("/v1/vote", "ada", json={}),
        "no post_id": post("/v1/vote", "ada", json={"dir": 1}),
        "no dir": post("/v1/vote", "ada", json={"post_id": 1}),
        **{f"post_id: {name}": post("/v1/vote", "ada", json=_vote(value)) for name, value in _NO_IDS.items()},
        **{f"dir: {name}": post("/v1/vote", "ada", json=_vote(4, value)) for name, value in _NO_DIRECTIONS.items()},
        "both": post("/v1/vote", "ada", json=_vote("x", "y")),
        "no body": post("/v1/vote", "ada"),
        **{f"body: {name}": post("/v1/vote", "ada", text=text) for name, text in NO_OBJECTS.items()},
        "as text": post("/v1/vote", "ada", json=_vote(4), kind="text/plain"),
        "nothing was counted": get("/v1/posts/4", "ada"),
    },
}
