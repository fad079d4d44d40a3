"""The two halves of an operation: what is sent (parameters, body) and what is replied (statuses, headers, bodies)."""

from collections.abc import Set as AbstractSet
from typing import Any

from app.versioning.contract.change import Findings, Verdict, Whom
from app.versioning.contract.gaps import Side
from app.versioning.contract.members import default_change
from app.versioning.contract.nodes import TYPES, Located, Node, gather
from app.versioning.contract.values import written

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
STYLES = {"path": "simple", "header": "simple", "query": "form", "cookie": "form"}
IGNORED_HEADERS = {"accept", "content-type", "authorization"}  # OpenAPI says that parameters of these names are ignored
# What these request headers, which ask for it, may be answered with and were not before: no old request has them
# (RFC 9110, sections 13.1, 15.4.5, 15.5.13; draft-ietf-httpapi-idempotency-key-header-07, section 2.7).
CONDITIONAL = {
    "304": {"if-none-match", "if-modified-since"},
    "409": {"idempotency-key"},
    "412": {"if-match", "if-none-match", "if-unmodified-since"},
}
SCALARS = frozenset({"null", "boolean", "integer", "number", "string"})
OPTIONAL = "make it optional, with a default that means what was meant before"

Parameters = dict[tuple[str, str], Located]


def parameters(item: Located, operation: Located, places: list[str]) -> Parameters:
    """The parameters in force, by where they are sent and their name; those of the path by their position."""
    found: Parameters = {}
    for holder in (item, operation):
        for index in range(len(holder.get("parameters") or ())):
            here = holder.at("parameters", index).followed()
            place, name = str(here.get("in")), str(here.get("name"))
            if place == "path" and name in places:
                name = f"{{{places.index(name)}}}"
            elif place == "header":
                name = name.lower()
                if name in IGNORED_HEADERS:
                    continue
            found[place, name] = here
    return found


def compare_parameters(findings: Findings, old: Parameters, new: Parameters) -> None:
    for key, before in old.items():
        label = f"{key[0]} parameter `{before.get('name')}`"
        if key not in new:
            if key[0] != "path":
                instead = "keep reading it, or mark it deprecated and remove it in a new version"
                findings.breaking(before, f"{label} is no longer read", "who sends", instead, document="old")
            continue
        _compare_parameter(findings, label, before, new[key])
    for key, after in new.items():
        if key not in old and key[0] != "path":
            label = f"{key[0]} parameter `{after.get('name')}`"
            if after.get("required") is True:
                findings.breaking(after, f"{label} is new and required", "who sends", OPTIONAL)
            else:
                findings.add(after, f"{label} is new and optional", Verdict.COMPATIBLE)


def _compare_parameter(findings: Findings, label: str, old: Located, new: Located) -> None:
    was, now = old.get("required") is True, new.get("required") is True
    if now and not was:
        findings.breaking(new, f"{label} is required now", "who sends", OPTIONAL)
    elif was and not now:
        findings.add(new, f"{label} is no longer required", Verdict.COMPATIBLE)
    if new.get("deprecated") is True and old.get("deprecated") is not True:
        findings.add(new, f"{label} is deprecated now", Verdict.NOTE)
    for word in ("allowReserved", "allowEmptyValue"):
        if old.get(word) is True and new.get(word) is not True:
            findings.breaking(new, f"{label}: `{word}` is gone", "who sends", "keep accepting what was accepted")
    compare_value(findings, label, old, new, "request", may_be_left_out=not was)


def compare_value(
    findings: Findings, label: str, old: Located, new: Located, side: Side, *, may_be_left_out: bool
) -> None:
    """A parameter's or a header's value: how it is written, and its schema or its single media type."""
    breaks: Whom = "who sends" if side == "request" else "who reads"
    instead = "keep the way it is written; another one needs another name"
    if ("content" in old.raw) != ("content" in new.raw):
        findings.breaking(new, f"{label} is written in another way: `content` against `schema`", breaks, instead)
        return
    if "content" in old.raw:
        compare_content(findings, label, old, new, side)
        return
    before, after = _schema(old), _schema(new)
    lists = not _kinds(before) <= SCALARS or not _kinds(after) <= SCALARS
    for word, was, now in zip(("style", "explode"), _writing(old), _writing(new), strict=True):
        # How members are joined only matters where there can be several.
        if was != now and (
            lists or (word == "style" and not {was, now} <= {"form", "spaceDelimited", "pipeDelimited"})
        ):
            what = f"{label} is written in another way: `{word}` changed from {written(was)} to {written(now)}"
            findings.breaking(new, what, breaks, instead)
    change = default_change(before, after) if may_be_left_out and side == "request" else None
    if change is not None:
        what = f"{label} means something else when it is left out: its default changed {change}"
        findings.breaking(new, what, breaks, "keep the default; who wants the other one can send it")
    if not (side == "request" and _kinds(before) <= SCALARS and _is_any_text(after)):
        findings.schemas(label, before, after, side)
    elif not findings.texts.same(before, after):
        findings.add(new, f"{label} now also accepts any text", Verdict.COMPATIBLE)


def _schema(holder: Located) -> Node:
    return (holder.at("schema"),) if "schema" in holder.raw else ()


def _kinds(node: Node) -> frozenset[str]:
    """The types of a schema, alternatives included."""
    cells = gather(node).spread
    return TYPES if cells is None else frozenset().union(*(cell.types for cell in cells))


def _is_any_text(node: Node) -> bool:
    """Whether every text is accepted: what is sent in a path, a query or a header is text first."""
    cell = gather(node)
    words = {"enum", "const", "pattern", "format", "minLength", "maxLength", "not", "if", "contentEncoding"}
    return "string" in cell.types and not cell.groups and not any(words & part.raw.keys() for part in cell.parts)


def _writing(parameter: Located) -> tuple[str, bool]:
    style = str(parameter.get("style") or STYLES.get(str(parameter.get("in")), "simple"))
    explode = parameter.get("explode")
    return style, (style == "form") if explode is None else explode is True


def compare_body(findings: Findings, old: Located | None, new: Located | None) -> None:
    if new is None:
        if old is not None:
            instead = "keep reading it"
            findings.breaking(old, "request body is no longer read", "who sends", instead, document="old")
        return
    required = new.get("required") is True
    if old is None:
        if required:
            findings.breaking(new, "request body is new and required", "who sends", "make it optional")
        else:
            findings.add(new, "request body is new and optional", Verdict.COMPATIBLE)
        return
    if required and old.get("required") is not True:
        findings.breaking(new, "request body is required now", "who sends", "make it optional")
    elif not required and old.get("required") is True:
        findings.add(new, "request body is no longer required", Verdict.COMPATIBLE)
    compare_content(findings, "request body", old, new, "request")


def compare_content(findings: Findings, label: str, old: Located, new: Located, side: Side) -> None:
    """Media types and their schemas. A media range (`application/*`) covers the types in it."""
    before, after = _media(old), _media(new)
    for name, was in before.items():
        now = _covering(name, after)
        if now is not None:
            _compare_media(findings, f"{label} ({name})", was, now, side)
        elif side == "request":
            instead = "keep accepting it"
            findings.breaking(new, f"{label} is no longer accepted as {name}", "who sends", instead)
        else:
            instead = "keep sending it to those who ask for it"
            findings.breaking(new, f"{label} is no longer sent as {name}", "who reads", instead)
    for name, now in after.items():
        if name in before or (before and any(_covering(other, {name: now}) for other in before)):
            continue
        wider = _covering(name, before)
        if side == "request" or not before:
            findings.add(now, f"{label} is described as {name}, which is new", Verdict.COMPATIBLE)
        elif wider is None:
            instead = "send it from a new operation, or only to those who ask for it, in a new version"
            findings.breaking(now, f"{label} can be {name}, which it could not", "who reads", instead)


def _media(holder: Located) -> dict[str, Located]:
    content = holder.get("content") or {}
    return {"".join(name.lower().split()): holder.at("content", name) for name in content}


def _covering(name: str, media: dict[str, Located]) -> Located | None:
    plain = name.partition(";")[0]
    for candidate in (name, plain, f"{plain.partition('/')[0]}/*", "*/*"):
        if candidate in media:
            return media[candidate]
    return next((found for other, found in media.items() if other.partition(";")[0] == name), None)


def _compare_media(findings: Findings, label: str, old: Located, new: Located, side: Side) -> None:
    if "schema" in old.raw and "schema" not in new.raw and side == "reply":
        findings.breaking(new, f"{label} is no longer described", "who reads", "keep the schema")
        return
    findings.schemas(label, _schema(old), _schema(new), side)
    before: dict[str, Any] = old.get("encoding") or {}
    after: dict[str, Any] = new.get("encoding") or {}
    for name in sorted(before.keys() | after.keys()):
        holders = [Located({name: {}, **e}, f"{m.pointer}/encoding", m.root) for e, m in ((before, old), (after, new))]
        if not findings.texts.same((holders[0].at(name),), (holders[1].at(name),)):
            what = f"{label}: `{name}` is encoded in another way"
            breaks: Whom = "who sends" if side == "request" else "who reads"
            findings.breaking(new, what, breaks, "keep the encoding; another one needs another media type")


def compare_replies(findings: Findings, old: Located, new: Located, headers: AbstractSet[str]) -> None:
    """Statuses: each there is now must have been promised, by itself, as a range (4XX) or as `default`.

    `headers` are the names of new request headers, in lower case: what only they bring about, no old request meets.
    """
    before, after = replies(old), replies(new)
    for status, now in after.items():
        was = before.get(status) or before.get(f"{status[0]}XX") or before.get("DEFAULT")
        if was is None and CONDITIONAL.get(status, set()) & headers:
            what = f"replies can have status {status}, when a header that is new asks for it"
            findings.add(now, what, Verdict.COMPATIBLE)
        elif was is None:
            name = "any other status" if status == "DEFAULT" else f"status {status}"
            instead = "answer with a status that was promised, or in a new operation or version"
            findings.breaking(now, f"replies can have {name}, which they could not", "who reads", instead)
        else:
            _compare_reply(findings, f"reply {status.lower()}", was, now)
    for status, was in before.items():
        covered = after.get(f"{status[0]}XX") or after.get("DEFAULT")
        if status in after or any(other.startswith(status[0]) for other in after if status.endswith("XX")):
            continue
        if covered is not None:
            _compare_reply(findings, f"reply {status.lower()}", was, covered)
        elif status.startswith("2"):
            instead = "keep the status; clients wait for it"
            what = f"status {status} is no longer promised"
            findings.breaking(was, what, "who reads", instead, document="old")
        else:
            what = f"replies no longer have {'any other status' if status == 'DEFAULT' else f'status {status}'}"
            findings.add(was, what, Verdict.COMPATIBLE, document="old")


def replies(operation: Located) -> dict[str, Located]:
    statuses = operation.get("responses") or {}
    return {
        str(status).upper(): operation.at("responses", status).followed()
        for status in statuses
        if not str(status).startswith("x-")
    }


def _compare_reply(findings: Findings, label: str, old: Located, new: Located) -> None:
    before = {name.lower(): old.at("headers", name).followed() for name in old.get("headers") or {}}
    after = {name.lower(): new.at("headers", name).followed() for name in new.get("headers") or {}}
    for name, was in before.items():
        title = f"{label}: header `{name}`"
        now = after.get(name)
        if name == "content-type":  # ignored, says OpenAPI: the media types tell
            continue
        if now is None:
            instead = "keep sending it"
            findings.breaking(new, f"{title} is no longer promised", "who reads", instead)
            continue
        if was.get("required") is True and now.get("required") is not True:
            findings.breaking(now, f"{title} can be missing now", "who reads", "always send it")
        elif now.get("required") is True and was.get("required") is not True:
            findings.add(now, f"{title} is always sent now", Verdict.COMPATIBLE)
        if now.get("deprecated") is True and was.get("deprecated") is not True:
            findings.add(now, f"{title} is deprecated now", Verdict.NOTE)
        compare_value(findings, title, was, now, "reply", may_be_left_out=False)
    for name in after.keys() - before.keys() - {"content-type"}:
        findings.add(after[name], f"{label}: header `{name}` is new", Verdict.COMPATIBLE)
    compare_content(findings, label, old, new, "reply")
