"""A schema as its parts: references followed, `allOf` flattened, alternatives spread out.

A `Node` is a conjunction of raw schemas: an instance is valid under it when it is valid under each. Nothing is merged;
every keyword is read from the parts when it is asked for, so that each finding can name the place it comes from.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import unquote

TYPES = frozenset({"null", "boolean", "number", "string", "array", "object"})
MOST_CELLS = 2_000
MOST_KEPT = 100_000  # schemas whose parts are remembered: the same ones are asked about over and over
MOST_REFERENCES = 100  # a chain of references longer than this is a loop


def escape(step: object) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, eq=False)
class Located:
    """A raw schema (an object, or true or false) and where it stands in which document. Equal when it is the same."""

    raw: Any
    pointer: str
    root: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Located)
            and self.raw is other.raw
            and self.root is other.root
            and self.pointer == other.pointer
        )

    def __hash__(self) -> int:
        return id(self.raw)

    @property
    def key(self) -> int:
        """Identity: the documents live as long as the comparison."""
        return id(self.raw)

    def at(self, *steps: object) -> "Located":
        raw = self.raw
        for step in steps:
            raw = raw[step]
        return Located(raw, self.pointer + "".join(f"/{escape(step)}" for step in steps), self.root)

    def get(self, keyword: str) -> Any:
        return self.raw.get(keyword) if isinstance(self.raw, dict) else None

    def followed(self) -> "Located":
        """The target of a local reference; itself when it is none, or leads nowhere."""
        return _followed(self) if isinstance(self.raw, dict) and "$ref" in self.raw else self


@lru_cache(maxsize=MOST_KEPT)
def _followed(here: Located) -> Located:
    for _ in range(MOST_REFERENCES):
        reference = here.get("$ref")
        target = find(here.root, reference) if isinstance(reference, str) else None
        if target is None:
            return here
        here = target
    return here


def find(root: dict[str, Any], reference: str) -> Located | None:
    """What a reference within the document names, or None."""
    if not reference.startswith("#") or reference[1:2] not in ("", "/"):
        return None
    value: Any = root
    for step in reference[1:].split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return Located(value, reference, root)


Node = tuple[Located, ...]


def key_of(node: Node) -> frozenset[int]:
    """Identity of what a node says: a bare reference is what it leads to."""
    return frozenset(
        (part.followed() if isinstance(part.raw, dict) and len(part.raw) == 1 else part).key for part in node
    )


@dataclass(frozen=True, eq=False)
class Group:
    """Alternatives: `anyOf`, or `oneOf`, of which exactly one may hold."""

    branches: tuple[Located, ...]
    exactly_one: bool
    source: Located

    @property
    def word(self) -> str:
        return "oneOf" if self.exactly_one else "anyOf"


@dataclass(frozen=True, eq=False)
class Cell:
    """A conjunction of parts. `groups` are alternatives not yet spread out, `excluded` what must not hold as well."""

    parts: Node
    groups: tuple[Group, ...] = ()
    excluded: tuple[Located, ...] = ()
    only: str | None = None

    def values_of(self, keyword: str) -> list[Any]:
        return [part.raw[keyword] for part in self.parts if keyword in part.raw]

    def largest(self, keyword: str) -> Any:
        return max((v for v in self.values_of(keyword) if is_number(v)), default=None)

    def smallest(self, keyword: str) -> Any:
        return min((v for v in self.values_of(keyword) if is_number(v)), default=None)

    def where(self, keyword: str) -> str:
        """The pointer to a keyword: of the part that has it, else of the first part."""
        for part in self.parts:
            if keyword in part.raw:
                return f"{part.pointer}/{escape(keyword)}"
        return self.pointer

    @property
    def pointer(self) -> str:
        return self.parts[0].pointer if self.parts else "#"

    @cached_property
    def impossible(self) -> bool:
        return any(part.get("") is False for part in self.parts)

    @cached_property
    def types(self) -> frozenset[str]:
        """The types that every part allows; `number` includes `integer`."""
        types = TYPES if self.only is None else frozenset({self.only})
        for declared in self.values_of("type"):
            types = _both(types, frozenset([declared] if isinstance(declared, str) else declared))
        return types

    @cached_property
    def minimum(self) -> tuple[float, bool] | None:
        """The lower bound, and whether it is itself left out."""
        bounds = [(v, False) for v in self.values_of("minimum") if is_number(v)]
        bounds += [(v, True) for v in self.values_of("exclusiveMinimum") if is_number(v)]
        return max(bounds, default=None)

    @cached_property
    def maximum(self) -> tuple[float, bool] | None:
        bounds = [(-v, False) for v in self.values_of("maximum") if is_number(v)]
        bounds += [(-v, True) for v in self.values_of("exclusiveMaximum") if is_number(v)]
        worst = max(bounds, default=None)
        return None if worst is None else (-worst[0], worst[1])

    @cached_property
    def required(self) -> frozenset[str]:
        return frozenset(name for names in self.values_of("required") if isinstance(names, list) for name in names)

    @cached_property
    def declared(self) -> dict[str, Located]:
        """The members that are named, each with the place that names it first."""
        return {
            name: part.at("properties", name)
            for part in reversed(self.parts)
            for name in (part.raw.get("properties") or {})
        }

    @cached_property
    def patterned(self) -> dict[str, Located]:
        return {
            pattern: part.at("patternProperties", pattern)
            for part in self.parts
            for pattern in (part.raw.get("patternProperties") or {})
        }

    @property
    def open_by_omission(self) -> bool:
        """Whether members beyond those named are allowed merely because nothing is said about them."""
        return not any("additionalProperties" in part.raw for part in self.parts)

    def member(self, name: str) -> Node:
        """What the member of this name must satisfy."""
        if name not in self._members:
            self._members[name] = self._member(name)
        return self._members[name]

    @cached_property
    def _members(self) -> dict[str, Node]:
        return {}

    def _member(self, name: str) -> Node:
        found: list[Located] = []
        for part in self.parts:
            here = [part.at("properties", name)] if name in (part.raw.get("properties") or {}) else []
            patterns = [pattern for pattern in part.raw.get("patternProperties") or {} if matches(pattern, name)]
            here += [part.at("patternProperties", pattern) for pattern in patterns]
            if not here and "additionalProperties" in part.raw:
                here.append(part.at("additionalProperties"))
            found += here
        return tuple(found)

    @cached_property
    def other_members(self) -> Node:
        return tuple(part.at("additionalProperties") for part in self.parts if "additionalProperties" in part.raw)

    def by_pattern(self, pattern: str) -> Node:
        """What a member must satisfy whose name no part declares and this pattern matches."""
        found = []
        for part in self.parts:
            if pattern in (part.raw.get("patternProperties") or {}):
                found.append(part.at("patternProperties", pattern))
            elif "additionalProperties" in part.raw:
                found.append(part.at("additionalProperties"))
        return tuple(found)

    @cached_property
    def prefix_length(self) -> int:
        return max((len(items) for items in self.values_of("prefixItems")), default=0)

    def element(self, index: int) -> Node:
        """What the element at this index must satisfy; beyond `prefix_length` it is the same for all."""
        found = []
        for part in self.parts:
            if index < len(part.raw.get("prefixItems") or ()):
                found.append(part.at("prefixItems", index))
            elif "items" in part.raw:
                found.append(part.at("items"))
        return tuple(found)

    @cached_property
    def typed(self) -> tuple["Cell", ...]:
        """One cell for each type; together they hold the same instances."""
        return () if self.impossible else tuple(replace(self, only=name) for name in sorted(self.types))

    @cached_property
    def spread(self) -> tuple["Cell", ...] | None:
        """Cells without `groups` that together hold every instance of this one; None when they are too many."""
        return _spread(self)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern finds something in the text; one that Python cannot read finds nothing."""
    compiled = _compiled(pattern)
    return compiled is not None and compiled.search(text) is not None


@lru_cache(maxsize=1_000)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return None


def _both(left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    common = set(left & right)
    if ("number" in left and "integer" in right) or ("integer" in left and "number" in right):
        common.add("integer")
    if "number" in common:
        common.discard("integer")
    return frozenset(common)


NOTHING: dict[str, Any] = {"": False}  # stands for the schema `false`, so that every part is an object


@lru_cache(maxsize=MOST_KEPT)
def gather(node: Node) -> Cell:
    """The parts of a node: references followed, `allOf` and `not` taken apart, alternatives left in `groups`."""
    parts: dict[int, Located] = {}
    groups: list[Group] = []
    excluded: list[Located] = []
    waiting = list(reversed(node))
    while waiting:
        here = waiting.pop()
        if here.raw is False:
            here = Located(NOTHING, here.pointer, here.root)
        if here.key in parts or not isinstance(here.raw, dict):
            continue
        parts[here.key] = here
        target = here.followed()
        if target is not here:
            waiting.append(target)
        waiting += [here.at("allOf", index) for index in reversed(range(len(here.get("allOf") or ())))]
        for keyword in ("anyOf", "oneOf"):
            branches = tuple(here.at(keyword, index) for index in range(len(here.get(keyword) or ())))
            if branches:
                groups.append(Group(branches, keyword == "oneOf", here))
        if "not" in here.raw:
            excluded.append(here.at("not"))
    # A part that only points elsewhere says nothing itself, and would hide where the words stand.
    said = tuple(p for p in parts.values() if not ("$ref" in p.raw and len(p.raw) == 1 and p.followed() is not p))
    return Cell(said or tuple(parts.values()), tuple(groups), tuple(excluded))


def _spread(cell: Cell) -> tuple[Cell, ...] | None:
    done: list[Cell] = []
    waiting = [(cell, frozenset[int]())]
    while waiting:
        here, opened = waiting.pop()
        if not here.groups:
            done.append(here)
        elif len(done) + len(waiting) > MOST_CELLS:
            return None
        else:
            group, rest = here.groups[0], here.groups[1:]
            for branch in reversed(group.branches):
                inner = gather((branch,))
                others = tuple(other for other in group.branches if other is not branch) if group.exactly_one else ()
                fresh = tuple(new for new in inner.groups if new.source.key not in opened | {group.source.key})
                merged = replace(
                    here,
                    parts=_joined(here.parts, inner.parts),
                    groups=(*rest, *fresh),
                    excluded=(*here.excluded, *inner.excluded, *others),
                )
                if merged.types:
                    waiting.append((merged, opened | {group.source.key}))
    return tuple(done)


def _joined(left: Node, right: Node) -> Node:
    return tuple({part.key: part for part in (*left, *right)}.values())
