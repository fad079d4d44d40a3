"""Version 1: paths that are not served, bodies that are too large, and the service's own failures."""

from contract_tests.golden.ask import FORM, ask, get, patch, post, put
from contract_tests.golden.v1.common import operations

_TOO_LARGE = '{"title":"t","content":"{repeat:x:1048576}"}'
_OTHER_METHODS = {
    "/v1/users": "GET",
    "/v1/users/1": "DELETE",
    "/v1/login": "GET",
    "/v1/posts": "PUT",
    "/v1/posts/1": "POST",
    "/v1/vote": "DELETE",
    "/v1/vote/": "OPTIONS",
}
_OF_NOBODY = {"email": "new@example.com", "password": "x"}
_LOGIN = {"username": "ada@example.com", "password": "x"}

SCENARIOS = {
    "unknown-paths": {
        **{
            path: get(path)
            for path in ("/v1", "/v1/", "/v1/nothing", "/v1/nothing/", "/v1/posts//", "/v1/posts/1/2", "/v1/tags")
        },
        "with a token": get("/v1/users/me/password", "ada"),
        "another method": post("/v1/nothing", json={}),
        "HEAD": ask("HEAD", "/v1/nothing"),
        "case counts": get("/v1/Posts", "ada"),
        "NUL": get("/v1/%00"),
    },
    "other-methods": {
        **{f"{method} {path}": ask(method, path, "ada") for path, method in _OTHER_METHODS.items()},
        "without a token": put("/v1/posts"),
        "unheard of": ask("BREW", "/v1/posts", "ada"),
    },
    "too-large": {
        "sign up": post("/v1/users", text=_TOO_LARGE),
        "log in": post("/v1/login", text="username=a&password={repeat:x:1048576}", kind=FORM),
        "create": post("/v1/posts", "ada", text=_TOO_LARGE),
        "replace": put("/v1/posts/1", "ada", text=_TOO_LARGE),
        "update": patch("/v1/posts/1", "ada", text=_TOO_LARGE),
        "vote": post("/v1/vote", "ada", text=_TOO_LARGE),
        "before 401": post("/v1/posts", text=_TOO_LARGE),
        "before 404": post("/v1/nothing", text=_TOO_LARGE),
        "one byte less is read": patch("/v1/posts/1", "ada", text='{"x":"{repeat:x:1048568}"}'),
        "one byte more is not": patch("/v1/posts/1", "ada", text='{"x":"{repeat:x:1048569}"}'),
    },
    **{
        name: {
            "sign up": post("/v1/users", json=_OF_NOBODY, given=given),
            "look up": get("/v1/users/1", given=given),
            "log in": post("/v1/login", form=_LOGIN, given=given),
            **operations("ada", "1", given),
            "refusals that need no database are as ever": post("/v1/posts", given=given),
            "and so are unknown paths": get("/v1/nothing", given=given),
        }
        for name, given in (("own-failures", "tables missing"), ("database-away", "database away"))
    },
    "rate-limited": {
        "sign up": post("/v1/users", json=_OF_NOBODY, given="quota used up"),
        "look up": get("/v1/users/1", given="quota used up"),
        "log in": post("/v1/login", form=_LOGIN, given="quota used up"),
        **operations("ada", "1", "quota used up"),
        "an unknown path": get("/v1/nothing", given="quota used up"),
        "trailing slash": get("/v1/posts/", "ada", given="quota used up"),
        "HEAD": ask("HEAD", "/v1/users/1", given="quota used up"),
        "asking for permission is free": ask("OPTIONS", "/v1/posts", given="quota used up"),
    },
    "guessed-too-often": {
        **{f"a wrong password, {time}": post("/v1/login", form=_LOGIN) for time in range(1, 12)},
        "when it has ended": post("/v1/login", form=_LOGIN, at="2026-03-01T12:01:00Z"),
    },
}
