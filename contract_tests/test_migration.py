"""The migration map of every version that has one, held against both documents and against what both versions answer.

Three questions: does the map explain every difference of the documents, is there nothing in it that is not so, and is
what it makes of a reply what the successor says of the same thing?
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import pytest

from app.api import VERSIONS, v1
from app.api.v1.migration import MIGRATION
from app.main import create_app
from app.versioning import ApiVersion, Difference
from app.versioning.contract import diff, golden
from app.versioning.contract.change import Change
from app.versioning.contract.golden import Exchange, Reply, Request
from app.versioning.migration import Place, leaves, translate, unmapped
from contract_tests.golden import SCENARIOS
from contract_tests.golden.ask import FORM, JSON
from contract_tests.golden.replay import Stage
from tests.conftest import make_settings

SAME = "the same"
# Entries that speak of a whole, whose members have entries of their own.
_CONTAINERS = {("/*/Post", "/data/*"), ("/Post", "")}
MAPPED = [version for version in VERSIONS if version.migration is not None]
mapped = pytest.mark.parametrize("version", MAPPED, ids=lambda version: version.name)
Documents = Mapping[str, dict[str, Any]]


# Complete: what the documents differ in


class Subject(NamedTuple):
    """What a change of the documents is about: an operation of the old version, a place, and where in it."""

    operation: str
    place: str
    at: str


# The sentences of `contract diff`, most particular first. A sentence that fits none of them is explained by nothing.
_SENTENCES: list[tuple[str, str, str]] = [
    (r"query parameter `(.+?)`", "query", r"\1"),
    (r"header parameter `(.+?)`", "header", r"\1"),
    (r"request body is described as (\S+),", "media", r"\1"),
    (r"request body \(\S+\).*? object without `(.+?)`", "body", r"/\1"),
    (r"request body \(\S+\): `\.(.+?)`", "body", r"/\1"),
    (r"request body \(\S+\) refuses members", "body", ""),
    (r"reply \d+: header `(.+?)`", "header", r"\1"),
    (r"reply [45]\d\d ", "errors", ""),
    (r"reply \d+ \(\S+\).*? object without `(.+?)`", "reply", r"/\1"),
    (r"reply \d+ \(\S+\): `\.(.+?)`", "reply", r"/\1"),
    (r"reply \d+ \(\S+\) can be an object", "reply", ""),
    (r"(?:replies (?:can|no longer) have )?status (\d+)", "status", r"\1"),
    (r"who calls with", "security", ""),
    (r"operationId changed from (\S+) to", "operation", r"\1"),
    (r"the operation is new", "operation", ""),
]


def subject_of(operation: str, change: Change) -> Subject:
    for pattern, place, at in _SENTENCES:
        if found := re.match(pattern, change.what):
            return Subject(operation, place, found.expand(at))
    return Subject(operation, "unheard of", change.what)


def explains(entry: Difference, subject: Subject) -> bool:
    """Whether an entry is about the subject, or about a part of it: documents differ in a whole, entries in members."""
    if entry.place != subject.place or (entry.kind == "kept" and entry.place != "errors"):
        return False
    if entry.place in ("errors", "security"):  # the one form of all refusals; the one scheme
        return True
    places = [place for place in (entry.pointer, entry.to) if place is not None]
    if not places:
        return subject.at == ""
    return any(place == subject.at or (subject.at and place.startswith(f"{subject.at}/")) for place in places)


def at_its_successor(version: ApiVersion, document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The old document with each operation at the path and method of its successor, and where each came from.

    So the comparison looks into operations that have moved as well, instead of saying that they are gone.
    """
    assert version.migration is not None
    paths: dict[str, Any] = {}
    origin = {}
    for entry in version.migration.operations:
        method, path = entry.operation.split(" ")
        new_method, new_path = entry.successors[0].split(" ")
        described = document["paths"][f"{version.prefix}{path}"][method.lower()]
        paths.setdefault(f"{version.prefix}{new_path}", {})[new_method.lower()] = described
        origin[entry.successors[0]] = entry.operation
    return {**document, "paths": paths}, origin


def differences_of_the_documents(version: ApiVersion, documents: Documents) -> dict[Subject, list[Change]]:
    new = documents[str(version.successor)]
    old, origin = at_its_successor(version, documents[version.name])
    found: dict[Subject, list[Change]] = {}
    for change in diff(old, new, prefixes=(version.prefix, f"/{version.successor}")):
        path = re.sub(f"^/({version.name}|{version.successor})(?=/)", "", change.path)
        operation = origin.get(f"{change.method} {path}", f"new: {change.method} {path}")
        found.setdefault(subject_of(operation, change), []).append(change)
    return found


def unexplained(version: ApiVersion, documents: Documents) -> list[str]:
    """What the documents differ in and no entry speaks of."""
    assert version.migration is not None
    return [
        f"{subject.operation}, {subject.place} {subject.at}: {changes[0].what}"
        for subject, changes in differences_of_the_documents(version, documents).items()
        if not any(
            explains(entry, subject)
            for entry in version.migration.of(subject.operation) or version.migration.everywhere
        )
    ]


# Nothing stale: every entry is about something that is there

_SHOWN_BY_DOCUMENTS = ("query", "body", "media", "header", "status", "security", "operation")


def stale(version: ApiVersion, documents: Documents) -> list[str]:
    """The entries about what the documents do not have, or do not differ in."""
    migration = version.migration
    assert migration is not None
    old, new = documents[version.name], documents[str(version.successor)]
    subjects = differences_of_the_documents(version, documents)
    found = []
    for each in migration.operations:
        before = described(old, version.prefix, each.operation)
        after = described(new, f"/{version.successor}", each.successors[0])
        own = [subject for subject in subjects if subject.operation == each.operation]
        for entry in each.differences:
            about = f"{each.operation}: {entry.place} {entry.kind} {entry.pointer} → {entry.to}"
            sides = ((old, before, entry.pointer), (new, after, entry.to))
            if any(at is not None and not promised(document, part, entry.place, at) for document, part, at in sides):
                found.append(f"{about}: not in the documents")
            elif not is_so(entry, own):
                found.append(f"{about}: not what the documents say")
    return found + [
        f"everywhere: {entry.place} {entry.kind} {entry.pointer}: not what the documents say"
        for entry in migration.everywhere
        if not is_so(entry, list(subjects))
    ]


def is_so(entry: Difference, subjects: Sequence[Subject]) -> bool:
    """Whether the documents differ in what the entry speaks of; or, for what is kept, do not."""
    if entry.place not in _SHOWN_BY_DOCUMENTS or (entry.place == "operation" and entry.kind in ("moved", "split")):
        return True
    if entry.kind == "kept":
        return not any(subject.place == entry.place and subject.at == entry.pointer for subject in subjects)
    return any(explains(entry, subject) for subject in subjects)


def described(document: dict[str, Any], prefix: str, operation: str) -> dict[str, Any]:
    method, path = operation.split(" ")
    return dict(document["paths"][prefix + path][method.lower()])


def promised(document: dict[str, Any], operation: dict[str, Any], place: str, at: str) -> bool:
    """Whether an operation has a parameter of this name, or a body or a reply with this pointer."""
    if place in ("query", "path"):
        return any(at == parameter["name"] for parameter in operation.get("parameters", ()))
    if place == "status":
        return at in operation["responses"]
    if place not in ("body", "reply"):
        return True
    replies = (reply for status, reply in operation["responses"].items() if status.startswith("2"))
    holder = operation["requestBody"] if place == "body" else next(replies)
    return any(has(document, media["schema"], at.split("/")[1:]) for media in holder["content"].values())


def has(document: dict[str, Any], schema: dict[str, Any], steps: list[str]) -> bool:
    if "$ref" in schema:
        return has(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], steps)
    if alternatives := schema.get("oneOf", schema.get("anyOf")):
        return any(has(document, alternative, steps) for alternative in alternatives)
    if not steps:
        return True
    inner = schema.get("items") if steps[0] == "*" else schema.get("properties", {}).get(steps[0])
    return inner is not None and has(document, inner, steps[1:])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """Every version's OpenAPI document. Nothing is asked of the database."""
    url = f"sqlite:///{tmp_path_factory.mktemp('described')}/none.db"
    return dict(create_app(make_settings(url)).state.installed.documents)


@mapped
def test_every_operation_is_in_the_map(version: ApiVersion, served: Documents):
    """Each operation of the old version is there once, and what it leads to exists."""
    assert version.migration is not None
    names = {
        name: [
            f"{method.upper()} {path.removeprefix(f'/{name}')}"
            for path, item in document["paths"].items()
            for method in item
        ]
        for name, document in served.items()
    }
    assert sorted(each.operation for each in version.migration.operations) == sorted(names[version.name])
    assert not {to for each in version.migration.operations for to in each.successors} - set(
        names[str(version.successor)]
    )


@mapped
def test_every_difference_of_the_documents_is_explained(version: ApiVersion, served: Documents):
    """Whatever `contract diff` finds between the two documents is spoken of by an entry of the map."""
    assert len(differences_of_the_documents(version, served)) > 50
    assert unexplained(version, served) == []


@mapped
def test_no_entry_is_stale(version: ApiVersion, served: Documents):
    """Every entry leads from something that is there to something that is there, and the documents say so, too."""
    assert stale(version, served) == []


@mapped
def test_without_an_entry_a_difference_is_not_explained(version: ApiVersion, served: Documents):
    """Each entry that the documents call for is missed when it is not there, unless another says the same."""
    assert version.migration is not None
    missed = 0
    for each in version.migration.operations:
        for entry in each.differences:
            missed += bool(unexplained(without(version, each.operation, entry), served))
    assert missed > 50


def changed(version: ApiVersion, operation: str, differences: Sequence[Difference]) -> ApiVersion:
    """The version with other entries for an operation."""
    assert version.migration is not None
    operations = [
        replace(each, differences=differences) if each.operation == operation else each
        for each in version.migration.operations
    ]
    return replace(version, migration=replace(version.migration, operations=operations))


def without(version: ApiVersion, operation: str, gone: Difference) -> ApiVersion:
    assert version.migration is not None
    (found,) = [each for each in version.migration.operations if each.operation == operation]
    return changed(version, operation, [entry for entry in found.differences if entry is not gone])


# True: what the map makes of a reply is what the successor says


class Pair(NamedTuple):
    """What was asked of version 1 and of its successor about the same thing, and what both said."""

    name: str
    operation: str
    old: Reply
    new: Reply


def successor_of(exchange: Exchange) -> str:
    links = re.findall(r'<([^>]*)>; rel="successor-version"', exchange.reply.headers["link"])
    assert len(links) == 1, exchange.reply.headers["link"]
    return str(links[0])


def asked_of_version_2(operation: str, exchange: Exchange) -> dict[str, Request]:
    """The requests of version 2 after which the last one's reply speaks of what the exchange was about."""
    request, reply = exchange.request, exchange.reply
    token = {name: value for name, value in request.headers.items() if name == "Authorization"}

    def ask(method: str, path: str, body: str = "", kind: str = "", by: str = "", **captures: str) -> Request:
        headers = {"Authorization": f"Bearer {{token:{by}}}"} if by else dict(token)
        return Request(method, path, headers | ({"Content-Type": kind} if kind else {}), body, request.at, "", captures)

    if reply.status >= 400:
        path = request.path.replace("/v1/", "/v2/", 1)
        return {SAME: replace(request, path=path.rstrip("/"))} if request.method == "GET" else {}
    if operation == "GET /posts":
        return {SAME: ask("GET", successor_of(exchange))}
    if operation in ("POST /users", "POST /login"):
        fields = json.loads(request.body) if operation == "POST /users" else dict(parse_qsl(request.body))
        email = fields["email"] if operation == "POST /users" else fields["username"]
        form = {"grant_type": "password", "username": email, "password": fields["password"]}
        log_in = ask("POST", "/v2/auth/token", urlencode(form, safe="{}:@"), FORM, **{"token:probe": "/access_token"})
        account = ask("GET", "/v2/users/me", by="probe")
        if operation == "POST /users":
            return {"log in": log_in, SAME: account}
        return {SAME: log_in, "who: by the old token": ask("GET", "/v2/users/me", by="new"), "who: by the new": account}
    if operation == "POST /vote":
        vote = json.loads(request.body)
        path = f"/v2/posts/{int(vote['post_id'])}/vote"
        return {SAME: ask("PUT", path, '{"value":1}', JSON) if vote["dir"] else ask("DELETE", path)}
    path = request.path.partition("?")[0].rstrip("/").replace("/v1/", "/v2/", 1)
    return {SAME: ask("GET", f"{path}/{json.loads(reply.body)['id']}" if operation == "POST /posts" else path)}


def collect(stage: Stage, version: ApiVersion, documents: Documents) -> list[Pair]:
    """Every recorded exchange of version 1 that says something, with what version 2 says at that point."""
    found = []
    for scenario in SCENARIOS[version.name].values():
        if any(request.given for request in scenario.values()):
            continue  # both versions' own failures
        # Some scenarios set the clock back, and then posts are not in the order of their ids.
        asked = {name: replace(request, at="") for name, request in scenario.items()}
        old = stage.record(asked)  # for the links, and the ids that are given out
        both: dict[str, Request] = {}
        compared = []
        for exchange in old:
            both[exchange.name] = exchange.request
            operation = golden.operation_of(documents[version.name], exchange.request, ignores_trailing_slash=True)
            if operation is None or exchange.reply.status in (410, 413, 422, 500, 503):
                continue
            operation = operation.replace(f" {version.prefix}", " ")
            for name, request in asked_of_version_2(operation, exchange).items():
                both[f"{exchange.name} → {name}"] = request
            compared.append((operation, exchange.name))
        replies = {exchange.name: exchange.reply for exchange in stage.record(both)}
        for operation, name in compared:
            assert len({r.body for n, r in replies.items() if n.startswith(f"{name} → who: ")}) <= 1, name
            if f"{name} → {SAME}" in replies:
                found.append(Pair(name, operation, replies[name], replies[f"{name} → {SAME}"]))
    return found


@pytest.fixture(scope="module")
def pairs(database_url: str, served: Documents) -> list[Pair]:
    with Stage(database_url) as stage:
        return collect(stage, v1.VERSION, served)


def untrue(version: ApiVersion, pairs: Sequence[Pair]) -> list[str]:
    """Where the map and the successor say different things, or the map says nothing."""
    assert version.migration is not None
    found = []
    for pair in pairs:
        place: Place = "reply" if pair.old.status < 400 else "errors"
        differences = version.migration.of(pair.operation)
        before, after = (_without_tokens(reply.body) for reply in (pair.old, pair.new))
        if not pair.old.body or (place == "errors" and pair.new.status != pair.old.status):
            continue  # nothing is said, or only one of them refuses
        if pair.operation == "GET /posts" and place == "reply":
            after["data"] = after["data"][: len(before)]  # `limit` is 1 to 100 there
        said = dict(leaves(after))
        for at, value in translate(differences, before, place).items():
            if after is not None and (at not in said or said[at] != value):
                found.append(f"{pair.name} ({pair.operation}): {at} should be {value!r}, is {said.get(at)!r}")
        if after is not None:
            found += [f"{pair.name} ({pair.operation}): {at}" for at in unmapped(differences, before, after, place)]
    return found


def _without_tokens(body: str) -> Any:
    return json.loads(re.sub(r"\{(token|refresh):\w+\}", r"{\1}", body)) if body else None


def test_the_map_is_true(pairs: list[Pair]):
    """In every recorded exchange, whatever is mapped is what version 2 says, and whatever it says is mapped."""
    found = untrue(v1.VERSION, pairs)
    assert not found, "\n".join(found[:20])
    met = Counter((pair.operation, pair.old.status, pair.new.status) for pair in pairs)
    assert len(pairs) > 150
    assert {operation for operation, status, _ in met if status < 400} == {
        each.operation for each in MIGRATION.operations
    }


def test_what_is_deleted_is_gone_in_the_successor(pairs: list[Pair]):
    """204 leaves nothing in either version, and a vote that was taken back is not there to be taken back."""
    deleted = [pair for pair in pairs if pair.operation == "DELETE /posts/{post_id}" and pair.old.status == 204]
    assert deleted
    assert all(pair.new.status == 404 for pair in deleted)
    taken_back = [pair for pair in pairs if pair.operation == "POST /vote" and "deleted" in pair.old.body]
    assert taken_back
    assert all(pair.new.status == 204 for pair in taken_back)


def test_every_entry_was_met(pairs: list[Pair]):
    """No entry about replies is beside the point: each led, in some exchange, from somewhere to somewhere."""
    for each in MIGRATION.operations:
        replies = [
            pair for pair in pairs if pair.operation == each.operation and pair.old.status < 300 and pair.new.body
        ]
        for entry in each.differences:
            if entry.place != "reply" or (entry.pointer, entry.to) in _CONTAINERS:
                continue
            lonely = [replace(entry, kind="changed")]
            assert any(
                translate(lonely, json.loads(pair.old.body))
                or set(unmapped([], json.loads(pair.old.body), json.loads(pair.new.body)))
                > set(unmapped(lonely, json.loads(pair.old.body), json.loads(pair.new.body)))
                for pair in replies
            ), f"{each.operation}: {entry.pointer} → {entry.to}"


BROKEN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a wrong target": ("GET /posts/{post_id}", "/votes", {"to": "/votes/down"}),
    "a target that is nowhere": ("GET /posts/{post_id}", "/Post/title", {"to": "/name"}),
    "a wrong source": ("POST /posts", "/owner_id", {"pointer": "/id"}),
    "a wrong conversion": ("POST /login", "/token_type", {"convert": str.upper}),
    "no conversion": ("POST /vote", "/message", {"convert": None}),
    "removed, but kept": ("GET /users/{user_id}", "/created_at", {"to": None}),
    "kept, but removed": ("GET /users/{user_id}", "/email", {"to": "/email"}),
    "another item": ("GET /posts", "/*/Post/id", {"pointer": "/0/Post/id"}),
    "added, but not there": ("POST /users", "/bio", {"to": "/biography"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_entry_is_found(pairs: list[Pair], name: str):
    """An entry that says something else than what is so is told, with the exchange that shows it."""
    operation, at, values = BROKEN[name]
    (entry,) = [
        each
        for each in MIGRATION.of(operation)
        if each.place == "reply" and at in (each.pointer, each.pointer or each.to)
    ]
    others = [each for each in MIGRATION.of(operation) if each is not entry]
    broken = changed(v1.VERSION, operation, [*others, replace(entry, **values)])
    assert untrue(broken, pairs)
