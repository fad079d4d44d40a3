"""Calls that the service makes, callbacks and webhooks: it sends the request and reads the reply, so the laws turn.

What is sent now must have been announced before, and every reply that was accepted stays accepted.
"""

from app.versioning.contract.change import Findings, Verdict
from app.versioning.contract.exchange import METHODS, compare_content, compare_value, parameters, replies
from app.versioning.contract.nodes import Located

KEEP = "keep it, or mark it deprecated and remove it in a new version"
SECOND = "keep it, and add a second one"


def compare_callbacks(findings: Findings, old: Located, new: Located) -> None:
    """The callbacks of an operation: by name, then by the expression that tells where each goes."""
    before, after = _entries(old, "callbacks"), _entries(new, "callbacks")
    for name, was in before.items():
        label = f"callback `{name}`"
        if name not in after:
            findings.breaking(was, f"{label} is gone", "who reads", KEEP, document="old")
            continue
        targets = _entries(after[name])
        for expression, item in _entries(was).items():
            if expression not in targets:
                what = f"{label} is no longer sent to {expression}"
                findings.breaking(item, what, "who reads", KEEP, document="old")
            else:
                _compare_item(findings, label, item, targets[expression])
    _tell_new(findings, "callback", before, after)


def compare_webhooks(findings: Findings, old: Located, new: Located) -> None:
    """The webhooks of a document, by name."""
    before, after = _entries(old, "webhooks"), _entries(new, "webhooks")
    for name, was in before.items():
        label = f"webhook `{name}`"
        if name not in after:
            findings.breaking(was, f"{label} is gone", "who reads", KEEP, document="old")
        else:
            _compare_item(findings, label, was, after[name])
    _tell_new(findings, "webhook", before, after)


def _entries(holder: Located, *steps: str) -> dict[str, Located]:
    """What stands under each name; references followed, extensions left out."""
    for step in steps:
        if not holder.get(step):
            return {}
        holder = holder.at(step)
    names = [name for name in holder.raw or {} if not name.startswith("x-")]
    found = {name: holder.at(name).followed() for name in names}
    return {name: place for name, place in found.items() if isinstance(place.raw, dict)}


def _tell_new(findings: Findings, word: str, old: dict[str, Located], new: dict[str, Located]) -> None:
    for name in new.keys() - old.keys():
        findings.add(new[name], f"{word} `{name}` is new", Verdict.COMPATIBLE)


def _compare_item(findings: Findings, label: str, old: Located, new: Located) -> None:
    for method in METHODS:
        if method in old.raw and method not in new.raw:
            what = f"{label} is no longer sent with {method.upper()}"
            findings.breaking(old.at(method), what, "who reads", KEEP, document="old")
        elif method in old.raw:
            _compare_call(findings, label, (old, old.at(method)), (new, new.at(method)))


def _compare_call(findings: Findings, label: str, old: tuple[Located, Located], new: tuple[Located, Located]) -> None:
    was, now = old[1], new[1]
    _compare_sent(findings, label, parameters(*old, []), parameters(*new, []))
    _compare_body(findings, f"{label}: request body", was, now)
    _compare_answers(findings, label, was, now)
    for word in ("security", "servers", "callbacks"):
        if was.get(word) != now.get(word):
            what = f"{label}: `{word}` changed, which cannot be proven compatible"
            findings.add(now, what, Verdict.UNPROVABLE, breaks="who reads", instead=SECOND)


def _compare_sent(
    findings: Findings, label: str, old: dict[tuple[str, str], Located], new: dict[tuple[str, str], Located]
) -> None:
    for key, was in old.items():
        title = f"{label}: {key[0]} parameter `{was.get('name')}`"
        if key not in new:
            findings.breaking(was, f"{title} is no longer sent", "who reads", "keep sending it", document="old")
            continue
        if was.get("required") is True and new[key].get("required") is not True:
            findings.breaking(new[key], f"{title} can be missing now", "who reads", "always send it")
        compare_value(findings, title, was, new[key], "reply", may_be_left_out=False)
    for key in new.keys() - old.keys():
        findings.add(new[key], f"{label}: {key[0]} parameter `{key[1]}` is new", Verdict.COMPATIBLE)


def _compare_body(findings: Findings, label: str, old: Located, new: Located) -> None:
    was, now = (side.at("requestBody").followed() if "requestBody" in side.raw else None for side in (old, new))
    if was is not None and now is None:
        findings.breaking(was, f"{label} is no longer sent", "who reads", "keep sending it", document="old")
    elif was is None and now is not None:
        findings.add(now, f"{label} is described, which is new", Verdict.COMPATIBLE)
    elif was is not None and now is not None:
        if was.get("required") is True and now.get("required") is not True:
            findings.breaking(now, f"{label} can be missing now", "who reads", "always send it")
        compare_content(findings, label, was, now, "reply")


def _compare_answers(findings: Findings, label: str, old: Located, new: Located) -> None:
    before, after = replies(old), replies(new)
    for status, was in before.items():
        title = f"{label}: reply {status.lower()}"
        now = after.get(status) or after.get(f"{status[0]}XX") or after.get("DEFAULT")
        if now is None:
            findings.breaking(was, f"{title} is no longer accepted", "who sends", "keep accepting it", document="old")
            continue
        _compare_headers(findings, title, _entries(was, "headers"), _entries(now, "headers"))
        compare_content(findings, title, was, now, "request")
    for status in after.keys() - before.keys():
        findings.add(after[status], f"{label}: reply {status.lower()} is accepted as well", Verdict.COMPATIBLE)


def _compare_headers(findings: Findings, label: str, old: dict[str, Located], new: dict[str, Located]) -> None:
    before, after = ({name.lower(): place for name, place in side.items()} for side in (old, new))
    for name in before.keys() | after.keys():
        title, was, now = f"{label}: header `{name}`", before.get(name), after.get(name)
        if was is not None and now is None:
            findings.breaking(was, f"{title} is no longer read", "who sends", "keep reading it", document="old")
        if now is not None and now.get("required") is True and (was is None or was.get("required") is not True):
            findings.breaking(now, f"{title} is required now", "who sends", "make it optional")
        if was is not None and now is not None:
            compare_value(findings, title, was, now, "request", may_be_left_out=was.get("required") is not True)
