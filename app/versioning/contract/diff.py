"""Compares two OpenAPI documents by two laws.

Every request that was valid stays valid, and every reply that is valid now was valid before.
"""

import re
from collections.abc import Sequence
from typing import Any

from app.versioning.contract.calls import compare_callbacks, compare_webhooks
from app.versioning.contract.change import Change, Findings, Verdict
from app.versioning.contract.exchange import METHODS, compare_body, compare_parameters, compare_replies, parameters
from app.versioning.contract.nodes import Located
from app.versioning.contract.security import compare_security
from app.versioning.contract.texts import Texts
from app.versioning.contract.values import written

TEMPLATE = re.compile(r"\{([^}]*)\}")
KEEP = "keep it, or mark it deprecated and remove it in a new version"


def diff(
    old: dict[str, Any],
    new: dict[str, Any],
    *,
    prefixes: tuple[str, str] = ("", ""),
    generated_clients: bool = False,
) -> list[Change]:
    """The changes from one normalised document to another, operation by operation; none when both say the same.

    `prefixes` are taken from the paths and servers of either side before they are compared. `generated_clients` makes
    a changed operationId breaking: it names a function in clients that were generated.
    """
    findings = Findings(Texts(old, new))
    before, after = _items(old, prefixes[0]), _items(new, prefixes[1])
    _compare_servers(findings, _servers(old, None), _servers(new, None), "#/servers", prefixes)
    for template, (path, item) in before.items():
        now = after.get(template)
        for method in METHODS:
            if method not in item.raw:
                continue
            findings.method, findings.path = method.upper(), path
            if now is None or method not in now[1].raw:
                what = "the operation is gone" if now else "the path is gone"
                findings.breaking(item.at(method), what, "who sends and who reads", KEEP, document="old")
            else:
                _compare_operation(findings, (path, item), now, method, prefixes, generated=generated_clients)
    for template, (path, item) in after.items():
        for method in METHODS:
            if method in item.raw and (template not in before or method not in before[template][1].raw):
                findings.method, findings.path = method.upper(), path
                findings.add(item.at(method), "the operation is new", Verdict.COMPATIBLE)
    findings.method = findings.path = ""
    compare_webhooks(findings, Located(old, "#", old), Located(new, "#", new))
    return list(dict.fromkeys(findings.changes))


def _items(root: dict[str, Any], prefix: str) -> dict[str, tuple[str, Located]]:
    """Path items by their template: /users/{id} and /users/{name} are one path."""
    found = {}
    place = Located(root.get("paths") or {}, "#/paths", root)
    for path in place.raw:
        if not path.startswith("/"):
            continue
        item = place.at(path).followed()
        plain = path.removeprefix(prefix) if path == prefix or path.startswith(prefix.rstrip("/") + "/") else path
        if isinstance(item.raw, dict):
            found[TEMPLATE.sub("{}", plain or "/")] = (path, item)
    return found


def _compare_operation(
    findings: Findings,
    old: tuple[str, Located],
    new: tuple[str, Located],
    method: str,
    prefixes: tuple[str, str],
    *,
    generated: bool,
) -> None:
    before, after = old[1].at(method), new[1].at(method)
    were = parameters(old[1], before, TEMPLATE.findall(old[0]))
    are = parameters(new[1], after, TEMPLATE.findall(new[0]))
    compare_parameters(findings, were, are)
    bodies = [op.at("requestBody").followed() if "requestBody" in op.raw else None for op in (before, after)]
    compare_body(findings, bodies[0], bodies[1])
    compare_replies(findings, before, after, {name for place, name in are.keys() - were.keys() if place == "header"})
    compare_security(findings, before.root, before, after)
    if any("servers" in place.raw for place in (before, after, old[1], new[1])):
        was, now = _servers(before.root, (old[1], before)), _servers(after.root, (new[1], after))
        _compare_servers(findings, was, now, f"{after.pointer}/servers", prefixes)
    if after.get("deprecated") is True and before.get("deprecated") is not True:
        findings.add(f"{after.pointer}/deprecated", "the operation is deprecated now", Verdict.NOTE)
    _compare_names(findings, before, after, generated=generated)
    compare_callbacks(findings, before, after)


def _compare_names(findings: Findings, old: Located, new: Located, *, generated: bool) -> None:
    was, now = old.get("operationId"), new.get("operationId")
    if was is None or was == now:
        return
    what = f"operationId changed from {was} to {now}: generated clients name a function after it"
    at = f"{new.pointer}/operationId" if now else new.pointer
    if generated:
        findings.breaking(at, what, "who generates clients", "keep the operationId")
    else:
        findings.add(at, what, Verdict.NOTE, breaks="who generates clients", instead="keep the operationId")


Servers = Sequence[dict[str, Any]]


def _servers(root: dict[str, Any], places: tuple[Located, Located] | None) -> Servers:
    """The servers in force: of the operation, else of the path, else of the document, else the document's own."""
    if places:
        for place in reversed(places):
            if place.get("servers"):
                return list(place.get("servers"))
    return root.get("servers") or [{"url": "/"}]


def _compare_servers(findings: Findings, old: Servers, new: Servers, at: str, prefixes: tuple[str, str]) -> None:
    now = {_address(server, prefixes[1]): server for server in new}
    instead = "keep answering at the old address"
    for server in old:
        address = _address(server, prefixes[0])
        if address not in now:
            findings.breaking(at, f"the server {server.get('url')} is gone", "who sends", instead)
            continue
        variables = now[address].get("variables") or {}
        for name, variable in (server.get("variables") or {}).items():
            _compare_variable(findings, at, name, variable, variables.get(name) or {})
    known = {_address(server, prefixes[0]) for server in old}
    for address, server in now.items():
        if address not in known:
            findings.add(at, f"the server {server.get('url')} is new", Verdict.COMPATIBLE)


def _compare_variable(findings: Findings, at: str, name: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    instead = "keep answering at the old address"
    if old.get("default") != new.get("default"):
        change = f"{written(old.get('default'))} to {written(new.get('default'))}"
        findings.breaking(at, f"the default of the server's variable `{name}` changed: {change}", "who sends", instead)
    if "enum" in new:
        gone = [value for value in old.get("enum") or [] if value not in new["enum"]]
        if gone or "enum" not in old:
            lost = ", ".join(map(str, gone)) or "what is not listed"
            findings.breaking(at, f"the server's variable `{name}` can no longer be {lost}", "who sends", instead)


def _address(server: dict[str, Any], prefix: str) -> str:
    url = str(server.get("url", "/")).rstrip("/")
    return url.removesuffix(prefix.rstrip("/")) or "/"
