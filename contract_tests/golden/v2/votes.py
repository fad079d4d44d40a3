"""Version 2: votes."""

from contract_tests.golden.ask import delete, get, put

_NO_VALUES = {"null": None, "zero": 0, "two": 2, "a text": "1", "a flag": True, "a double": 1.0, "a list": [1]}

SCENARIOS = {
    "votes": {
        "up": put("/v2/posts/1/vote", "zoe", json={"value": 1}),
        "up again": put("/v2/posts/1/vote", "zoe", json={"value": 1}),
        "turned down": put("/v2/posts/1/vote", "zoe", json={"value": -1}),
        "it counts": get("/v2/posts/1", "zoe"),
        "taken back": delete("/v2/posts/1/vote", "zoe"),
        "taken back again": delete("/v2/posts/1/vote", "zoe"),
        "it no longer counts": get("/v2/posts/1", "zoe"),
        "on one's own draft": put("/v2/posts/2/vote", "ada", json={"value": -1}),
        "on another's draft": put("/v2/posts/8/vote", "ada", json={"value": 1}),
        "taken back from another's draft": delete("/v2/posts/8/vote", "ada"),
        "no such post": put("/v2/posts/999/vote", "ada", json={"value": 1}),
        "taken back from no such post": delete("/v2/posts/999/vote", "ada"),
        "without a token": put("/v2/posts/1/vote", json={"value": 1}),
        "taken back without a token": delete("/v2/posts/1/vote"),
        **{
            f"value {name}": put("/v2/posts/1/vote", "ada", json={"value": value}) for name, value in _NO_VALUES.items()
        },
        "nothing given": put("/v2/posts/1/vote", "ada", json={}),
        "unknown member": put("/v2/posts/1/vote", "ada", json={"value": 1, "dir": 1}),
        "no body": put("/v2/posts/1/vote", "ada"),
        "as text": put("/v2/posts/1/vote", "ada", json={"value": 1}, kind="text/plain"),
        "id a word": put("/v2/posts/abc/vote", "ada", json={"value": 1}),
        "id a word, taken back": delete("/v2/posts/abc/vote", "ada"),
    },
}
