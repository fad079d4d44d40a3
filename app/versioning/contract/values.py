"""Single values: whether a schema admits one, and whether two pieces of a document say the same."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from app.versioning.contract.nodes import Cell, Group, Located, Node, find, gather, is_number, matches

DEEPEST = 12  # schemas within schemas that a single value is followed through
# Words that constrain nothing. `default` and `deprecated` are no prose: clients act on them.
PROSE = frozenset({"title", "description", "summary", "example", "examples", "externalDocs", "xml", "$comment", "$id"})
# Constraints that are only compared as they stand. Together, because some mean nothing without the others.
# With the one type that they matter for.
OPAQUE = (
    (None, ("$ref",)),
    (None, ("$dynamicRef",)),
    (None, ("if", "then", "else")),
    ("array", ("contains", "minContains", "maxContains")),
    ("array", ("unevaluatedItems",)),
    ("object", ("propertyNames",)),
    ("object", ("dependentRequired",)),
    ("object", ("dependentSchemas",)),
    ("object", ("unevaluatedProperties",)),
    ("string", ("contentEncoding",)),
    ("string", ("contentMediaType", "contentSchema")),
)


def written(value: Any) -> str:
    """A value as it stands in a document, short enough for a sentence."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def equal(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, true does not equal 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if is_number(value):
        return "integer" if isinstance(value, int) or value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def changed_references(left: dict[str, Any], right: dict[str, Any]) -> frozenset[str]:
    """The references of a document that lead to something else in the other one, be it at the end of a long way.

    Worked out once, so that a document whose schemas all reach each other is not walked again from each of them.
    """
    used_by: dict[str, set[str]] = {}
    changed: set[str] = set()
    waiting = list(_references(left))
    known = set(waiting)
    while waiting:
        reference = waiting.pop()
        a, b = find(left, reference), find(right, reference)
        if a is None or b is None or not same(a, b, frozenset()):
            changed.add(reference)
        for inner in _references(a.raw) if a else ():
            used_by.setdefault(inner, set()).add(reference)
            if inner not in known:
                known.add(inner)
                waiting.append(inner)
    spreading = list(changed)
    while spreading:
        reached = used_by.get(spreading.pop(), set()) - changed
        changed |= reached
        spreading += reached
    return frozenset(changed)


def _references(value: Any) -> set[str]:
    found = set()
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            if isinstance(here.get("$ref"), str):
                found.add(here["$ref"])
            waiting += here.values()
        elif isinstance(here, list):
            waiting += here
    return found


def same(left: Located, right: Located, changed: frozenset[str] | None = None) -> bool:  # noqa: C901  one walk
    """Whether two pieces of two documents say the same, prose aside; references are compared by what they lead to.

    When it is known which references changed, equal ones are looked up there instead of being followed.
    """
    waiting = [(left, right)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        a, b = waiting.pop()
        if changed is not None and _bare(a) and _bare(b) and a.get("$ref") == b.get("$ref"):
            if a.get("$ref") in changed:
                return False
            continue
        a, b = (side.followed() if _bare(side) else side for side in (a, b))
        if isinstance(a.raw, dict) and isinstance(b.raw, dict):
            if (a.key, b.key) in seen:
                continue
            seen.add((a.key, b.key))
            names = _telling(a.raw)
            if names != _telling(b.raw):
                return False
            if a.get("$ref") is not None:
                waiting.append((a.followed(), b.followed()) if a.followed() is not a else (a.at("$ref"), b.at("$ref")))
            waiting += [(a.at(name), b.at(name)) for name in names if name != "$ref"]
        elif isinstance(a.raw, list) and isinstance(b.raw, list):
            if len(a.raw) != len(b.raw):
                return False
            waiting += [(a.at(index), b.at(index)) for index in range(len(a.raw))]
        elif type(a.raw) is not type(b.raw) or a.raw != b.raw:
            return False
    return True


def _bare(side: Located) -> bool:
    return isinstance(side.raw, dict) and set(side.raw) - PROSE == {"$ref"}


def _telling(raw: dict[str, Any]) -> set[str]:
    """The keys that say something. A member that is called `title` holds a schema, the prose of that name a string."""
    return {
        key
        for key, value in raw.items()
        if not key.startswith("x-") and not (key in PROSE and not _looks_like_schema(key, value))
    }


def _looks_like_schema(key: str, value: Any) -> bool:
    schema_words = {"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "properties", "items"}
    return (
        isinstance(value, dict) and key not in ("externalDocs", "xml", "examples") and bool(schema_words & set(value))
    )


def finite(cell: Cell) -> list[Any] | None:
    """All values of a typed cell when it holds few, else None."""
    listed = [*cell.values_of("enum"), *([value] for value in cell.values_of("const"))]
    if listed:
        candidates = [v for v in listed[0] if all(any(equal(v, other) for other in values) for values in listed[1:])]
        candidates = [v for v in candidates if type_of(v) in (cell.only, "integer" if cell.only == "number" else None)]
    elif cell.only in ("null", "boolean"):
        candidates = [None] if cell.only == "null" else [False, True]
    elif cell.only == "integer" and cell.minimum and cell.maximum and cell.maximum[0] - cell.minimum[0] <= 100:
        candidates = list(range(math.ceil(cell.minimum[0]), math.floor(cell.maximum[0]) + 1))
    else:
        return None
    plain = Cell(cell.parts, (), cell.excluded, cell.only)
    return [value for value in candidates if _cell_admits(plain, value, 0) is not False]


def admits(node: Node, value: Any, depth: int = 0) -> bool | None:
    """Whether a value is valid under a node; None when this cannot be told."""
    if depth > DEEPEST:
        return None
    return _cell_admits(gather(node), value, depth)


def _all(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _cell_admits(cell: Cell, value: Any, depth: int) -> bool | None:
    kind = type_of(value)
    if cell.impossible or not (kind in cell.types or (kind == "integer" and "number" in cell.types)):
        return False
    answers: list[bool | None] = [any(equal(value, v) for v in values) for values in cell.values_of("enum")]
    answers += [equal(value, constant) for constant in cell.values_of("const")]
    for type_, words in OPAQUE:
        if type_ in (None, kind) and any(is_opaque(part, words) for part in cell.parts):
            answers.append(None)
    if False in answers:
        return False
    answers += BY_TYPE[kind](cell, value, depth) if kind in BY_TYPE else []
    answers += [_group_admits(group, value, depth) for group in cell.groups]
    for other in cell.excluded:
        answer = admits((other,), value, depth + 1)
        answers.append(None if answer is None else not answer)
    return _all(answers)


def is_opaque(part: Located, words: tuple[str, ...]) -> bool:
    """Whether a part has a constraint that cannot be looked into; a reference that leads somewhere can."""
    return words[0] in part.raw and not (words[0] == "$ref" and part.followed() is not part)


def _group_admits(group: Group, value: Any, depth: int) -> bool | None:
    answers = [admits((branch,), value, depth + 1) for branch in group.branches]
    certain = answers.count(True)
    if group.exactly_one:
        return None if None in answers and certain < 2 else certain == 1
    return True if certain else None if None in answers else False


def _number(cell: Cell, value: float, _depth: int) -> list[bool | None]:
    low, high = cell.minimum, cell.maximum
    return [
        low is None or value > low[0] or (value == low[0] and not low[1]),
        high is None or value < high[0] or (value == high[0] and not high[1]),
        *(divides(step, value) for step in cell.values_of("multipleOf")),
        *(None for _ in cell.values_of("format")),
    ]


def divides(step: float, value: float) -> bool:
    """Whether a value is a multiple of a step, in decimal: 0.3 is a multiple of 0.1."""
    return step != 0 and Fraction(str(value)) % Fraction(str(step)) == 0


def _string(cell: Cell, value: str, _depth: int) -> list[bool | None]:
    shortest, longest = cell.largest("minLength"), cell.smallest("maxLength")
    return [
        shortest is None or len(value) >= shortest,
        longest is None or len(value) <= longest,
        # Python's patterns are nearly, but not quite, those of JSON Schema: what does not match is not proof.
        *(True if matches(pattern, value) else None for pattern in cell.values_of("pattern")),
        *(None for _ in cell.values_of("format")),
    ]


def _array(cell: Cell, value: list[Any], depth: int) -> list[bool | None]:
    fewest, most = cell.largest("minItems"), cell.smallest("maxItems")
    repeated = any(equal(a, b) for index, a in enumerate(value) for b in value[:index])
    return [
        fewest is None or len(value) >= fewest,
        most is None or len(value) <= most,
        not (repeated and True in cell.values_of("uniqueItems")),
        *(admits(cell.element(index), item, depth + 1) for index, item in enumerate(value)),
    ]


def _object(cell: Cell, value: dict[str, Any], depth: int) -> list[bool | None]:
    fewest, most = cell.largest("minProperties"), cell.smallest("maxProperties")
    return [
        fewest is None or len(value) >= fewest,
        most is None or len(value) <= most,
        cell.required <= value.keys(),
        *(admits(cell.member(name), item, depth + 1) for name, item in value.items()),
    ]


BY_TYPE: dict[str, Callable[..., list[bool | None]]] = {
    "integer": _number,
    "number": _number,
    "string": _string,
    "array": _array,
    "object": _object,
}
