"""Keyword by keyword: what a cell of one type allows that another cell refuses."""

from typing import Protocol

from app.versioning.contract.conditions import compare_conditions
from app.versioning.contract.disjoint import bounds
from app.versioning.contract.gaps import Gap, Side
from app.versioning.contract.members import compare_members
from app.versioning.contract.nodes import Cell, Node
from app.versioning.contract.texts import Texts
from app.versioning.contract.values import divides, finite, written

ANYTHING = frozenset({"", ".*", "^.*$", "^.*", ".*$"})  # patterns that match every text without line breaks, or all
HINTS = frozenset({"password"})  # formats that say how to show a value, not which values there are
# A format on the left is also each on its right.
WIDER_FORMATS = {
    "int32": {"int64"},
    "float": {"double"},
    "email": {"idn-email"},
    "hostname": {"idn-hostname"},
    "uri": {"iri", "uri-reference", "iri-reference"},
    "uri-reference": {"iri-reference"},
    "iri": {"iri-reference"},
}


class Prover(Protocol):
    @property
    def side(self) -> Side | None: ...
    @property
    def texts(self) -> Texts: ...
    def compare(self, a: Node, b: Node) -> list[Gap]: ...
    def surely(self, a: Node, b: Node) -> bool: ...
    def note(self, pointer: str, text: str) -> None: ...


def article(kind: str) -> str:
    """A type with its article."""
    return {"null": "null"}.get(kind, f"an {kind}" if kind[:1] in "aio" else f"a {kind}")


def compare(prover: Prover, a: Cell, b: Cell) -> list[Gap]:
    """What a typed cell holds that breaks a keyword of `b`; alternatives and `not` are the caller's."""
    found = compare_conditions(prover, a, b)
    if finite(a) is None and (b.values_of("enum") or b.values_of("const")):
        word = "enum" if b.values_of("enum") else "const"
        what = f"{article(a.only or '')} other than {written(b.values_of(word)[0])}"
        return [*found, Gap((), a.pointer, b.where(word), what)]
    if a.only in ("integer", "number"):
        return found + _numbers(a, b) + _formats(a, b)
    if a.only == "string":
        return found + _sizes(a, b, "Length", "a string", "characters") + _patterns(a, b) + _formats(a, b)
    if a.only == "array":
        return found + _sizes(a, b, "Items", "an array", "elements") + _elements(prover, a, b)
    if a.only == "object":
        return found + _sizes(a, b, "Properties", "an object", "members") + compare_members(prover, a, b)
    return found


def _gap(a: Cell, b: Cell, keyword: str, what: str, *, proven: bool = True) -> Gap:
    return Gap((), a.where(keyword), b.where(keyword), what, proven)


def _numbers(a: Cell, b: Cell) -> list[Gap]:
    found = []
    (low_a, high_a), (low_b, high_b) = bounds(a), bounds(b)
    if low_a < low_b and b.minimum:
        keyword = "exclusiveMinimum" if b.minimum[1] else "minimum"
        what = f"a number {'not above' if b.minimum[1] else 'below'} {written(b.minimum[0])}"
        found.append(_gap(a, b, keyword, what))
    if high_a > high_b and b.maximum:
        keyword = "exclusiveMaximum" if b.maximum[1] else "maximum"
        what = f"a number {'not below' if b.maximum[1] else 'above'} {written(b.maximum[0])}"
        found.append(_gap(a, b, keyword, what))
    steps = [*a.values_of("multipleOf"), *([1] if a.only == "integer" else [])]
    for step in b.values_of("multipleOf"):
        if not any(divides(step, mine) for mine in steps):
            # 2 and 3 together are steps of 6: with several the single ones do not tell.
            what = f"a number that is no multiple of {written(step)}"
            found.append(_gap(a, b, "multipleOf", what, proven=len(steps) < 2 or a.only == "integer"))
    return found


def _formats(a: Cell, b: Cell) -> list[Gap]:
    mine = set(a.values_of("format"))
    known = mine.union(*(WIDER_FORMATS.get(name, set()) for name in mine))
    words = "a number" if a.only != "string" else "text"
    return [
        _gap(a, b, "format", f"{words} that is not of the format {name}")
        for name in b.values_of("format")
        if name not in known | HINTS
    ]


def _patterns(a: Cell, b: Cell) -> list[Gap]:
    mine = set(a.values_of("pattern"))
    return [
        _gap(a, b, "pattern", f"text that the pattern {pattern} does not match", proven=False)
        for pattern in b.values_of("pattern")
        if pattern not in mine | ANYTHING
    ]


def _sizes(a: Cell, b: Cell, unit: str, subject: str, parts: str) -> list[Gap]:
    found = []
    least_a, least_b = a.largest(f"min{unit}") or 0, b.largest(f"min{unit}") or 0
    most_a, most_b = a.smallest(f"max{unit}"), b.smallest(f"max{unit}")
    if unit == "Properties":
        least_a = max(least_a, len(a.required))
        if not a.patterned and any(part.get("additionalProperties") is False for part in a.parts):
            most_a = min(len(a.declared), len(a.declared) if most_a is None else most_a)
    if unit == "Items" and any(part.get("items") is False for part in a.parts):
        most_a = min(a.prefix_length, a.prefix_length if most_a is None else most_a)
    if least_b > least_a:
        found.append(_gap(a, b, f"min{unit}", f"{subject} of fewer than {least_b} {parts}"))
    if most_b is not None and (most_a is None or most_a > most_b):
        found.append(_gap(a, b, f"max{unit}", f"{subject} of more than {most_b} {parts}"))
    return found


def _elements(prover: Prover, a: Cell, b: Cell) -> list[Gap]:
    found = []
    most = a.smallest("maxItems")
    if True in b.values_of("uniqueItems") and True not in a.values_of("uniqueItems") and (most is None or most > 1):
        found.append(_gap(a, b, "uniqueItems", "an array with equal elements"))
    length = max(a.prefix_length, b.prefix_length)
    for index in range(length + 1):
        if most is not None and index >= most:
            break
        step = "[]" if index == length else f"[{index}]"
        mine, theirs = a.element(index), b.element(index)
        if any(part.raw is False for part in theirs) and not any(part.raw is False for part in mine):
            found.append(_gap(a, b, "items", f"an array of more than {index} elements"))
            break
        found += [gap.within(step) for gap in prover.compare(mine, theirs)]
    return found
