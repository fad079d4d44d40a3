"""How the clients of a version get to its successor: the same resource there, and what is different about it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import Request

from app.versioning.operations import operations

Kind = Literal["kept", "moved", "renamed", "split", "retyped", "removed", "added", "changed"]
# What it takes a client: nothing but another URL, a change that a search-and-replace makes, or thought.
Effort = Literal["trivial", "mechanical", "semantic"]
Place = Literal[
    # Of the request; `media` is the type of its body.
    "path",
    "query",
    "body",
    "media",
    "security",
    # Of either.
    "header",
    # Of the reply; `errors` is the body of a refusal.
    "reply",
    "status",
    "errors",
    # The operation itself, and what no document shows.
    "operation",
    "rule",
]
Hits = Literal["callers", "senders", "omitters", "refused", "nobody"]

EFFORTS: Sequence[Effort] = ("trivial", "mechanical", "semantic")


@dataclass(frozen=True)
class Difference:
    """One thing about an operation, and what becomes of it.

    `pointer` says where it is: a JSON pointer (RFC 6901) into the old body, in which `*` stands for any item of an
    array, or the name of a parameter, a header or a media type, or a status; None for what is new. `to` says where it
    is in the successor; None for what is gone. `convert` makes the successor's value where it is not the same.
    `hits` says whom: `callers` of the operation, `senders` of the parameter or field, `omitters`, who leave it out,
    `refused`, who were answered 4xx, or `nobody`.
    """

    place: Place
    kind: Kind
    pointer: str | None
    to: str | None
    effort: Effort = "trivial"
    note: str = ""
    hits: Hits = "callers"
    convert: Callable[[Any], Any] | None = None

    @property
    def summary(self) -> str:
        """The entry in a line: "reply /email removed: …"."""
        where = " → ".join(dict.fromkeys(at or "(the whole)" for at in (self.pointer, self.to) if at is not None))
        subject = " ".join(part for part in (self.place, where, self.kind) if part)
        return f"{subject}: {self.note}" if self.note else subject

    def as_json(self) -> dict[str, Any]:
        """The difference as `/versions/<name>/migration.json` has it."""
        values = {name: getattr(self, name) for name in ("place", "kind", "pointer", "to", "effort", "hits", "note")}
        return {("from" if name == "pointer" else name): value for name, value in values.items()}


@dataclass(frozen=True)
class OperationMap:
    """One operation ("GET /posts/{id}", without the version) and what becomes of it.

    `successors` are what does its work now, the one that examples show first; none when nothing does. `example` has
    values for the examples, by name of a parameter or field, where the document has none or another would mislead.
    """

    operation: str
    successors: Sequence[str]
    differences: Sequence[Difference] = ()
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def effort(self) -> Effort:
        """What it takes who is hit by everything that is different."""
        found = [EFFORTS.index(each.effort) for each in self.differences if each.hits != "nobody"]
        return EFFORTS[max(found, default=0)]

    @property
    def anchor(self) -> str:
        """The operation as a fragment of a URL: "get-posts-id"."""
        words = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in self.operation.lower())
        return "-".join(words.split())


@dataclass(frozen=True)
class Migration:
    """From one version to its successor.

    `resource` gives the URL path and query, in the successor, of what a request is for. `operations` is the migration
    map; `everywhere` holds for each of them.
    """

    resource: Callable[[Request], str]
    operations: Sequence[OperationMap] = ()
    everywhere: Sequence[Difference] = ()

    def of(self, operation: str) -> Sequence[Difference]:
        """What is different for callers of an operation; nothing for one that the map does not know."""
        found = next((each for each in self.operations if each.operation == operation), None)
        return () if found is None else (*found.differences, *self.everywhere)


def translate(differences: Sequence[Difference], body: Any, place: Place = "reply") -> dict[str, Any]:
    """What the map says of the successor's body, given the old one: values of leaves, by their JSON pointers.

    A leaf is a scalar, or an object or array that is empty.
    """
    found = {}
    old = dict(leaves(body))
    for each in differences:
        if each.place != place or each.pointer is None or each.to is None:
            continue
        for pointer, value in old.items():
            items = _match(each.pointer, pointer)
            if items is not None:
                to = _filled(each.to, items)
                found[to] = value if each.convert is None else each.convert(value)
    return found


def unmapped(differences: Sequence[Difference], old: Any, new: Any, place: Place = "reply") -> list[str]:
    """The leaves of both bodies that no entry speaks of: "- /pointer" of the old one, "+ /pointer" of the new one."""
    entries = [each for each in differences if each.place == place]
    sources = [each.pointer for each in entries if each.pointer is not None]
    targets = [each.to for each in entries if each.to is not None]
    whole = [each.pointer for each in entries if each.pointer is not None and each.to is None]  # removed with all in it
    added = [each.to for each in entries if each.to is not None and each.pointer is None]
    return [
        *(f"- {at}" for at, _ in leaves(old) if not _covered(at, sources, whole)),
        *(f"+ {at}" for at, _ in leaves(new) if not _covered(at, targets, added)),
    ]


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """The JSON pointers and values of everything in a JSON value that holds nothing itself."""
    if isinstance(value, dict | list) and value:
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}")
    else:
        yield at, value


def _covered(pointer: str, exactly: Sequence[str], with_all_in_it: Sequence[str]) -> bool:
    depth = pointer.count("/")
    parents = {"/".join(pointer.split("/")[: length + 1]) for length in range(depth + 1)}
    return any(_match(each, pointer) is not None for each in exactly) or any(
        _match(each, parent) is not None for each in with_all_in_it for parent in parents
    )


def _match(pattern: str, pointer: str) -> list[str] | None:
    """The steps that the `*` of the pattern stand for; None when it is another place."""
    wanted, steps = pattern.split("/"), pointer.split("/")
    if len(wanted) != len(steps) or any(w not in ("*", step) for w, step in zip(wanted, steps, strict=True)):
        return None
    return [step for w, step in zip(wanted, steps, strict=True) if w == "*"]


def _filled(pattern: str, items: Sequence[str]) -> str:
    remaining = iter(items)
    return "/".join(next(remaining, "*") if step == "*" else step for step in pattern.split("/"))


def as_json(version: str, successor: str, migration: Migration, new: Mapping[str, Any]) -> dict[str, Any]:
    """The whole map as `/versions/<name>/migration.json` has it; `new` is the successor's OpenAPI document.

    `from` and `to` are names of versions; `operations` has what becomes of each operation of the one, `everywhere`
    what holds for all of them, and `added` the operations of the other that none of them leads to. A difference has
    `place`, `kind`, `from`, `to`, `effort`, `hits` and `note`, as `Difference` explains them. Members may be added.
    """
    return {
        "from": version,
        "to": successor,
        "everywhere": [each.as_json() for each in migration.everywhere],
        "operations": [
            {
                "operation": each.operation,
                "successors": list(each.successors),
                "effort": each.effort,
                "differences": [difference.as_json() for difference in each.differences],
            }
            for each in migration.operations
        ],
        "added": added_operations(successor, migration, new),
    }


def added_operations(successor: str, migration: Migration, new: Mapping[str, Any]) -> list[str]:
    """The operations of the successor's document that no operation of the map leads to."""
    led_to = {name for each in migration.operations for name in each.successors}
    served = [f"{method} {path.removeprefix(f'/{successor}')}" for method, path, _ in operations(new)]
    return [operation for operation in served if operation not in led_to]
