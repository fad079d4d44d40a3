"""Who satisfied the old security requirements must satisfy the new ones."""

from typing import Any

from app.versioning.contract.change import Findings, Verdict
from app.versioning.contract.nodes import Located

Alternative = dict[str, list[str]]
INSTEAD = "keep accepting the old credentials beside the new ones"


def requirements(root: dict[str, Any], operation: dict[str, Any]) -> list[Alternative]:
    """The ways to be let in: the operation's own, else the document's; one empty way when none is asked for."""
    declared = operation.get("security", root.get("security"))
    return declared or [{}]


def compare_security(findings: Findings, old_root: dict[str, Any], old: Located, new: Located) -> None:
    ways_before, ways_now = requirements(old_root, old.raw), requirements(new.root, new.raw)
    at = f"{new.pointer}/security" if "security" in new.raw or "security" not in new.root else "#/security"
    for way in ways_before:
        reasons = [_refusal(way, other, old_root, new.root) for other in ways_now]
        if None not in reasons:
            best = min((reason for reason in reasons if reason), key=len)
            what = f"who calls {_named(way)} is no longer let in: {best}"
            findings.breaking(at, what, "who sends", INSTEAD)
    for way in ways_now:
        if all(_refusal(way, other, new.root, old_root) is not None for other in ways_before):
            findings.add(at, f"who calls {_named(way)} is let in as well", Verdict.COMPATIBLE)


def _named(way: Alternative) -> str:
    names = [f"{name} ({', '.join(scopes)})" if scopes else name for name, scopes in way.items()]
    return "with " + " and ".join(names) if names else "without credentials"


def _refusal(way: Alternative, asked: Alternative, old_root: dict[str, Any], new_root: dict[str, Any]) -> str | None:
    """Why credentials that satisfied `way` do not satisfy what is asked now; None when they do."""
    for name, scopes in asked.items():
        definition = _scheme(new_root, name)
        reasons = []
        for mine, granted in way.items():
            reason = _difference(_scheme(old_root, mine), definition)
            missing = [scope for scope in scopes if scope not in granted]
            if reason is None and missing:
                reason = f"the scope{'s' if len(missing) > 1 else ''} {', '.join(missing)} of {name} is asked for"
            if reason is None:
                break
            reasons.append((mine != name, reason))
        else:
            return min(reasons)[1] if reasons and not min(reasons)[0] else f"{name} is asked for"
    return None


def _scheme(root: dict[str, Any], name: str) -> dict[str, Any]:
    place = Located(root, "#", root)
    for step in ("components", "securitySchemes", name):
        if not isinstance(place.raw, dict) or step not in place.raw:
            return {"type": f"undeclared {name}"}
        place = place.at(step)
    raw = place.followed().raw
    return raw if isinstance(raw, dict) else {}


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    """What about a scheme changed so that old credentials, or the way to get them, no longer work."""
    for word in ("type", "in", "name", "scheme", "openIdConnectUrl"):
        before, after = old.get(word), new.get(word)
        if word == "scheme" or (word == "name" and old.get("in") == "header"):
            before, after = str(before).lower(), str(after).lower()
        if before != after:
            return f"`{word}` changed from {before} to {after}"
    now = new.get("flows") or {}
    for name, flow in (old.get("flows") or {}).items():
        if name not in now:
            return f"the flow {name} is gone"
        for word in ("authorizationUrl", "tokenUrl", "refreshUrl"):
            if flow.get(word) != now[name].get(word) and flow.get(word) is not None:
                return f"`{word}` of the flow {name} changed"
        gone = sorted((flow.get("scopes") or {}).keys() - (now[name].get("scopes") or {}).keys())
        if gone:
            return f"the flow {name} no longer grants {', '.join(gone)}"
    return None
