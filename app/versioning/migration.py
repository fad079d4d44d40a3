"""How the clients of a version get to its successor: the same resource there, and what is different about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request

Kind = Literal["kept", "moved", "renamed", "split", "retyped", "removed", "added", "changed"]
# What it takes a client: nothing but another URL, a change that a search-and-replace makes, or thought.
Effort = Literal["trivial", "mechanical", "semantic"]


@dataclass(frozen=True)
class Difference:
    """One thing that is different for clients of an operation.

    `place` says in what: a parameter or body field that is sent, the reply's body or a header, a status, or the rules.
    `pointer` is a JSON pointer (RFC 6901) into the old body, or the parameter's name; `to` the place in the successor.
    `convert` makes the successor's value of the old one where it is not the same.
    """

    place: Literal["query", "path", "body", "reply", "header", "status", "errors", "security", "rule"]
    kind: Kind
    pointer: str
    to: str | None
    effort: Effort
    note: str
    convert: Callable[[Any], Any] | None = None
    when_refused: bool = False  # only whoever was answered 4xx has seen it


@dataclass(frozen=True)
class OperationMap:
    """One operation ("GET /posts/{id}", without the version) and what becomes of it."""

    operation: str
    successor: str | None  # None: there is none any more
    differences: Sequence[Difference] = ()


@dataclass(frozen=True)
class Migration:
    """From one version to its successor.

    `resource` gives the URL path and query, in the successor, of what a request is for. `operations` is the migration
    map; `everywhere` holds for each of them.
    """

    resource: Callable[[Request], str]
    operations: Sequence[OperationMap] = ()
    everywhere: Sequence[Difference] = ()
