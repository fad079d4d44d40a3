"""Version 2: how versions end, and whether their clients are ready."""

from contract_tests.golden.ask import get, put

_READINESS = "/v2/versions/{}/readiness"
_CONSENT = "/v2/clients/reports/consents/v1"
_SUNSET = {"sunset": "2028-11-20T00:00:00Z"}
_TOO_LARGE = '{"sunset":"{repeat:x:1048576}"}'

SCENARIOS = {
    "readiness": {
        "when nobody calls": get(_READINESS.format("v1"), "zoe"),
        "of other days": get(_READINESS.format("v1") + "?days=30", "zoe"),
        "no token": get(_READINESS.format("v1")),
        "not an administrator": get(_READINESS.format("v1"), "ada"),
        "no such version": get(_READINESS.format("v9"), "zoe"),
        "a version with a long name": get(_READINESS.format("{repeat:v:33}"), "zoe"),
        "a version that does not end": get(_READINESS.format("v2"), "zoe"),
        **{
            f"days: {days}": get(f"{_READINESS.format('v1')}?days={days}", "zoe")
            for days in ("0", "3651", "ten", "1.5", "")
        },
    },
    "consents": {
        "none yet": get(_CONSENT, "ada"),
        "by the owner": put(_CONSENT, "ada", json=_SUNSET),
        "by the owner again": put(_CONSENT, "ada", json=_SUNSET, at="2026-03-01T12:00:05Z"),
        "in another zone": put(_CONSENT, "ada", json={"sunset": "2028-11-20T01:00:00+01:00"}),
        "by an administrator": put(_CONSENT, "zoe", json=_SUNSET),
        "to the owner": get(_CONSENT, "ada"),
        "to an administrator": get(_CONSENT, "zoe"),
        "to somebody else": get(_CONSENT, "bob"),
        "to nobody": get(_CONSENT),
        "by somebody else": put(_CONSENT, "bob", json=_SUNSET),
        "by nobody": put(_CONSENT, json=_SUNSET),
        "to another date": put(_CONSENT, "ada", json={"sunset": "2028-11-21T00:00:00Z"}),
        "of a version that does not end": put(_CONSENT.replace("v1", "v2"), "ada", json=_SUNSET),
        "of no version": put(_CONSENT.replace("v1", "v9"), "ada", json=_SUNSET),
        "of no client": put(_CONSENT.replace("reports", "nobody"), "ada", json=_SUNSET),
        "of what is no id": put(_CONSENT.replace("reports", "No"), "ada", json=_SUNSET),
        "to no client": get(_CONSENT.replace("reports", "nobody"), "ada"),
        "to what is no id": get(_CONSENT.replace("reports", "No"), "ada"),
        "nothing given": put(_CONSENT, "ada", json={}),
        "no zone": put(_CONSENT, "ada", json={"sunset": "2028-11-20T00:00:00"}),
        "a number": put(_CONSENT, "ada", json={"sunset": 1}),
        "unknown members": put(_CONSENT, "ada", json={**_SUNSET, "x": 1}),
        "as text": put(_CONSENT, "ada", json=_SUNSET, kind="text/plain"),
        "too large": put(_CONSENT, "ada", text=_TOO_LARGE),
    },
}
