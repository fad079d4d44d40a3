"""Version 2: the register of API clients. Zoë is an administrator, `mobile` is Bob's."""

from typing import Any

from contract_tests.golden.ask import ask, delete, get, patch, post
from contract_tests.golden.values import LAST_ID, MICROSECONDS, NO_OBJECTS

_NEW = {"id": "new", "name": "New", "contact": "new@example.com"}
_MERGE = "application/merge-patch+json"
_LARGE = '{"name":"{repeat:x:1048576}"}'
_NEXT, _PREVIOUS = {"cursor:next": "/page/next_cursor"}, {"cursor:prev": "/page/prev_cursor"}
_NO_CLIENT_IDS = {"empty": "%20", "upper case": "Billing", "a space": "a%20b", "NUL": "a%00", "65 characters": "a" * 65}


def _new(**fields: Any) -> dict[str, Any]:
    return {**_NEW, **fields}


SCENARIOS = {
    "clients-list": {
        "all": get("/v2/clients", "zoe"),
        "the first": get("/v2/clients?limit=1", "zoe", captures=_NEXT),
        "the next": get("/v2/clients?limit=1&cursor={cursor:next}", "zoe", captures=_PREVIOUS),
        "and back": get("/v2/clients?limit=1&cursor={cursor:prev}", "zoe"),
        "HEAD": ask("HEAD", "/v2/clients", "zoe"),
        "another list's cursor": get("/v2/clients?limit=2&cursor=nonsense", "zoe"),
        "limit 0": get("/v2/clients?limit=0", "zoe"),
        "limit 101": get("/v2/clients?limit=101", "zoe"),
        "without a token": get("/v2/clients"),
        "with an expired token": get("/v2/clients", "expired"),
        "by an owner": get("/v2/clients", "bob"),
        "another method": ask("PUT", "/v2/clients", "zoe"),
    },
    "clients-register": {
        "the plainest": post("/v2/clients", "zoe", json=_NEW),
        "all given": post("/v2/clients", "zoe", json=_new(id="all", pinned_version="v1", owner_id=1), at=MICROSECONDS),
        "null where it may be": post("/v2/clients", "zoe", json=_new(id="null", pinned_version=None, owner_id=None)),
        "the longest": post(
            "/v2/clients", "zoe", json={"id": "a" * 64, "name": "{repeat:ü:100}", "contact": "{repeat:x:200}"}
        ),
        "where Location leads": get("/v2/clients/all", "zoe"),
        "taken": post("/v2/clients", "zoe", json=_NEW),
        "an owner nobody knows": post("/v2/clients", "zoe", json=_new(id="owned", owner_id=LAST_ID)),
        "a version that is not served": post("/v2/clients", "zoe", json=_new(id="pinned", pinned_version="v99")),
        "nothing given": post("/v2/clients", "zoe", json={}),
        "of other types": post("/v2/clients", "zoe", json={"id": 1, "name": [], "contact": True, "owner_id": "1"}),
        "too short": post("/v2/clients", "zoe", json={"id": "", "name": "", "contact": ""}),
        "too long": post(
            "/v2/clients", "zoe", json={"id": "a" * 65, "name": "{repeat:x:101}", "contact": "{repeat:x:201}"}
        ),
        "unknown members": post("/v2/clients", "zoe", json=_new(brownout_exempt=True, created_at=None)),
        **{f"body: {name}": post("/v2/clients", "zoe", text=text) for name, text in NO_OBJECTS.items()},
        "no body": post("/v2/clients", "zoe"),
        "as text": post("/v2/clients", "zoe", json=_NEW, kind="text/plain"),
        "too large": post("/v2/clients", "zoe", text=_LARGE),
        "without a token": post("/v2/clients", json=_NEW),
        "by somebody else": post("/v2/clients", "ada", json=_NEW),
    },
    "clients-look-up": {
        "by an administrator": get("/v2/clients/mobile", "zoe"),
        "another": get("/v2/clients/billing", "zoe"),
        "by its owner": get("/v2/clients/mobile", "bob"),
        "HEAD": ask("HEAD", "/v2/clients/mobile", "bob"),
        "another's": get("/v2/clients/billing", "bob"),
        "one that is not": get("/v2/clients/absent", "bob"),
        "one that is not, by an administrator": get("/v2/clients/absent", "zoe"),
        "without a token": get("/v2/clients/mobile"),
        **{f"id: {name}": get(f"/v2/clients/{value}", "zoe") for name, value in _NO_CLIENT_IDS.items()},
    },
    "clients-change": {
        "the name": patch("/v2/clients/mobile", "zoe", json={"name": "Größe 🦊"}),
        "as merge patch": patch("/v2/clients/mobile", "zoe", json={"brownout_exempt": True}, kind=_MERGE),
        "nothing": patch("/v2/clients/mobile", "zoe", json={}),
        "pin and owner": patch("/v2/clients/mobile", "zoe", json={"pinned_version": "v2", "owner_id": 3}),
        "null takes both away": patch("/v2/clients/mobile", "zoe", json={"pinned_version": None, "owner_id": None}),
        "its owner no more": get("/v2/clients/mobile", "bob"),
        "null for what every client has": patch("/v2/clients/mobile", "zoe", json={"name": None, "contact": None}),
        "of other types": patch("/v2/clients/mobile", "zoe", json={"name": 1, "brownout_exempt": 0}),
        "another id": patch("/v2/clients/mobile", "zoe", json={"id": "other"}),
        "a version that is not served": patch("/v2/clients/mobile", "zoe", json={"pinned_version": "v99"}),
        "an owner nobody knows": patch("/v2/clients/mobile", "zoe", json={"owner_id": LAST_ID}),
        "one that is not": patch("/v2/clients/absent", "zoe", json={"name": "x"}),
        "as text": patch("/v2/clients/mobile", "zoe", json={}, kind="text/plain"),
        "too large": patch("/v2/clients/mobile", "zoe", text=_LARGE),
        "without a token": patch("/v2/clients/mobile", json={}),
        "by its owner": patch("/v2/clients/billing", "ada", json={}),
    },
    "clients-remove": {
        "without a token": delete("/v2/clients/mobile"),
        "by its owner": delete("/v2/clients/mobile", "bob"),
        "an id that cannot be": delete("/v2/clients/No", "zoe"),
        "removed": delete("/v2/clients/mobile", "zoe"),
        "again": delete("/v2/clients/mobile", "zoe"),
        "gone": get("/v2/clients/mobile", "bob"),
    },
}
