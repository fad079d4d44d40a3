"""Version 1 after its sunset: gone, and where each thing is now."""

from dataclasses import replace

from contract_tests.golden.ask import ask, get, post
from contract_tests.golden.v1.common import operations

_SUNSET = "2028-11-20T00:00:00Z"
_LOGIN = {"username": "ada@example.com", "password": "x"}

_ASKED = {
    "sign up": post("/v1/users", json={"email": "new@example.com", "password": "x"}),
    "look up": get("/v1/users/1"),
    "log in": post("/v1/login", form=_LOGIN),
    **operations("ada", "1"),
    "without a token": get("/v1/posts/1"),
    "trailing slash": get("/v1/posts/1/"),
    "a page of a list": get("/v1/posts?skip=20&limit=5"),
    "a search": get("/v1/posts?search=on+engines&limit=1000"),
    "what would be refused": get("/v1/posts/x"),
    "a query that is no text": get("/v1/posts?search=%FF"),
    "too large": post("/v1/posts", "ada", text="{repeat:x:1048577}"),
    "unknown path": get("/v1/nothing"),
    "the version itself": get("/v1"),
    "HEAD": ask("HEAD", "/v1/posts/1"),
    "OPTIONS": ask("OPTIONS", "/v1/posts/1"),
    "another method": ask("BREW", "/v1/posts/1"),
    "a line break": get("/v1/%0D%0Aa:%20b"),
}

SCENARIOS = {
    "after-the-sunset": {name: replace(request, at=_SUNSET) for name, request in _ASKED.items()},
    "a-second-before-the-sunset": {
        "a user is still read": get("/v1/users/1", at="2028-11-19T23:59:59Z"),
        "the next second": get("/v1/users/1", at=_SUNSET),
    },
}
