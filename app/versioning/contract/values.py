"""Single values: whether a schema admits one."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from app.versioning.contract.nodes import MOST_KEPT, Cell, Group, Located, Node, gather, is_number, matches

DEEPEST = 12  # schemas within schemas that a single value is followed through
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


@lru_cache(maxsize=MOST_KEPT)
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


def admits(node: Node, value: Any, depth: int = 0, within: frozenset[Node] = frozenset()) -> bool | None:
    """Whether a value is valid under a node; None when this cannot be told.

    `within` are the schemas that are being asked about the very same value: one that contains itself says nothing new.
    """
    if depth > DEEPEST or node in within:
        return None
    return _cell_admits(gather(node), value, depth, within | {node})


def _all(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _cell_admits(cell: Cell, value: Any, depth: int, within: frozenset[Node] = frozenset()) -> bool | None:
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
    answers += [_group_admits(group, value, depth, within) for group in cell.groups]
    for other in cell.excluded:
        answer = admits((other,), value, depth + 1, within)
        answers.append(None if answer is None else not answer)
    return _all(answers)


def is_opaque(part: Located, words: tuple[str, ...]) -> bool:
    """Whether a part has a constraint that cannot be looked into; a reference that leads somewhere can."""
    return words[0] in part.raw and not (words[0] == "$ref" and part.followed() is not part)


def _group_admits(group: Group, value: Any, depth: int, within: frozenset[Node]) -> bool | None:
    answers = [admits((branch,), value, depth + 1, within) for branch in group.branches]
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
