"""What version 1 writes, as version 2 shows it: a pinned client must not erase what it cannot express."""

from contract_tests.golden.ask import get, patch, post, put
from contract_tests.golden.values import LATER

_BODY = {"title": "From version 1", "content": "c"}

SCENARIOS = {
    "after-version-1": {
        "replaced": put("/v1/posts/5", "eve", json=_BODY, at=LATER),
        "tags and down-votes stay": get("/v2/posts/5", "ada"),
        "updated": patch("/v1/posts/5", "eve", json={"published": False}),
        "tags stay in the draft": get("/v2/posts/5", "eve"),
        "voted over a down-vote": post("/v1/vote", "zoe", json={"post_id": 3, "dir": 1}),
        "the down-vote has turned": get("/v2/posts/3", "zoe"),
        "taken back where there is a down-vote": post("/v1/vote", "ada", json={"post_id": 5, "dir": 0}),
        "written": post("/v1/posts", "bob", json=_BODY),
        "written without tags": get("/v2/posts/15"),
        "signed up": post("/v1/users", json={"email": "new@example.com", "password": "x"}),
        "with the default name": get("/v2/users/6"),
        "a name is given": patch("/v2/users/me", "bob", json={"display_name": "Robert"}),
        "version 1 shows none": get("/v1/users/2"),
    },
}
