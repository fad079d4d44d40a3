"""The operations of version 1, to ask all of them the same."""

from app.versioning.contract.golden import Request
from contract_tests.golden.ask import delete, get, patch, post, put

WITH_TOKEN = "ada"
_BODY = {"title": "changed", "content": "changed"}


def operations(by: str, post_id: str, given: str = "") -> dict[str, Request]:
    """Every operation that needs a token."""
    path = f"/v1/posts/{post_id}"
    return {
        "list": get("/v1/posts", by, given=given),
        "create": post("/v1/posts", by, json=_BODY, given=given),
        "read": get(path, by, given=given),
        "replace": put(path, by, json=_BODY, given=given),
        "update": patch(path, by, json={"title": "changed"}, given=given),
        "delete": delete(path, by, given=given),
        "vote": post("/v1/vote", by, json={"post_id": int(post_id), "dir": 1}, given=given),
    }
