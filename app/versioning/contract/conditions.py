"""Words that ask for something only where something else holds. What is not plain to see here is never proven."""

from collections.abc import Iterator
from typing import Protocol

from app.versioning.contract.disjoint import apart
from app.versioning.contract.gaps import Gap
from app.versioning.contract.nodes import Cell, Located, Node, gather
from app.versioning.contract.texts import Texts
from app.versioning.contract.values import admits, is_opaque

# Compared as they stand, with the one type that they matter for; some mean nothing without the others.
UNJUDGED = (
    (None, ("$ref",)),
    (None, ("$dynamicRef",)),
    ("array", ("unevaluatedItems",)),
    ("object", ("unevaluatedProperties",)),
    ("string", ("contentEncoding",)),
    ("string", ("contentMediaType", "contentSchema")),
)


class Prover(Protocol):
    @property
    def texts(self) -> Texts: ...
    def surely(self, a: Node, b: Node) -> bool: ...


def compare_conditions(prover: Prover, a: Cell, b: Cell) -> list[Gap]:
    """What a typed cell may hold that breaks such a word of `b`."""
    found = []
    for part in b.parts:
        for word, is_kept in _judged(prover, a, part):
            if not is_kept:
                found.append(Gap((), a.where(word), f"{part.pointer}/{word}", f"what `{word}` asks for", proven=False))
    return found


def _judged(prover: Prover, a: Cell, part: Located) -> Iterator[tuple[str, bool]]:
    """Each such word of a part, and whether every instance of the cell keeps it."""
    for type_, words in UNJUDGED:
        if type_ in (None, a.only) and is_opaque(part, words) and part.raw[words[0]] is not True:
            yield words[0], _written_alike(prover, a, part, words)
    if "if" in part.raw:
        yield "then" if "then" in part.raw else "if", _keeps_consequence(prover, a, part)
        yield "else" if "else" in part.raw else "if", _keeps_alternative(prover, a, part)
    if a.only == "array" and "contains" in part.raw:
        yield "minContains" if "minContains" in part.raw else "contains", _holds_enough(prover, a, part)
        yield "maxContains" if "maxContains" in part.raw else "contains", _holds_few(prover, a, part)
    if a.only == "object":
        if "propertyNames" in part.raw:
            yield "propertyNames", _names_fit(prover, a, part.at("propertyNames"))
        for name, asked in (part.raw.get("dependentRequired") or {}).items():
            yield "dependentRequired", _cannot_have(a, name) or set(asked) <= _together(a, name)
        for name in part.raw.get("dependentSchemas") or {}:
            yield (
                "dependentSchemas",
                _cannot_have(a, name)
                or prover.surely((*a.parts, *_each(a, "dependentSchemas", name)), (part.at("dependentSchemas", name),)),
            )


def _written_alike(prover: Prover, a: Cell, part: Located, words: tuple[str, ...]) -> bool:
    alike = any(
        words[0] in mine.raw
        and all((word in mine.raw) == (word in part.raw) for word in words)
        and all(prover.texts.same((mine.at(word),), (part.at(word),)) for word in words if word in part.raw)
        for mine in a.parts
    )
    return alike and (not words[0].startswith("unevaluated") or _all_declared(a, part, words[0]))


def _all_declared(a: Cell, part: Located, word: str) -> bool:
    """Whether a part names every member that a closed `a` can have, so that none is unevaluated there."""
    plain = not any(
        keyword in mine.raw
        for mine in a.parts
        for keyword in ("anyOf", "oneOf", "patternProperties", "if", "dependentSchemas")
    )
    return word == "unevaluatedProperties" and plain and a.declared.keys() <= (gather((part,)).declared.keys())


def _keeps_consequence(prover: Prover, a: Cell, part: Located) -> bool:
    """What of A meets the condition is under `then`; A may have the same condition."""
    condition = part.at("if")
    if "then" not in part.raw or apart(a, gather((condition,))):
        return True
    return prover.surely((*a.parts, condition, *_own(prover, a, condition, "then")), (part.at("then"),))


def _keeps_alternative(prover: Prover, a: Cell, part: Located) -> bool:
    """What of A does not meet the condition is under `else`; where all of it does, there is nothing to keep."""
    condition = part.at("if")
    if "else" not in part.raw or prover.surely(a.parts, (condition,)):
        return True
    return prover.surely((*a.parts, *_own(prover, a, condition, "else")), (part.at("else"),))


def _own(prover: Prover, a: Cell, condition: Located, word: str) -> list[Located]:
    return [
        own.at(word)
        for own in a.parts
        if "if" in own.raw and word in own.raw and prover.texts.same((own.at("if"),), (condition,))
    ]


def _holds_enough(prover: Prover, a: Cell, part: Located) -> bool:
    least = part.raw.get("minContains", 1)
    wanted = part.at("contains")
    if a.prefix_length == 0 and (a.largest("minItems") or 0) >= least and prover.surely(a.element(0), (wanted,)):
        return True
    return least == 0 or any(
        own.raw.get("minContains", 1) >= least and prover.surely((own.at("contains"),), (wanted,))
        for own in a.parts
        if "contains" in own.raw
    )


def _holds_few(prover: Prover, a: Cell, part: Located) -> bool:
    most = part.raw.get("maxContains")
    longest = a.smallest("maxItems")
    return (
        most is None
        or (longest is not None and longest <= most)
        or any(
            own.raw.get("maxContains", most + 1) <= most
            and prover.surely((part.at("contains"),), (own.at("contains"),))
            for own in a.parts
            if "contains" in own.raw
        )
    )


def _names_fit(prover: Prover, a: Cell, wanted: Located) -> bool:
    names = tuple(own.at("propertyNames") for own in a.parts if "propertyNames" in own.raw)
    is_closed = any(own.get("additionalProperties") is False for own in a.parts) and not a.patterned
    if is_closed and all(admits((wanted,), name) is True for name in a.declared if not _cannot_have(a, name)):
        return True
    return bool(names) and prover.surely(names, (wanted,))


def _cannot_have(a: Cell, name: str) -> bool:
    return gather(a.member(name)).impossible


def _together(a: Cell, name: str) -> set[str]:
    """The members that there are whenever this one is there."""
    return {name, *a.required}.union(*_values(a, "dependentRequired", name))


def _values(a: Cell, word: str, name: str) -> list[list[str]]:
    return [own.raw[word][name] for own in a.parts if name in (own.raw.get(word) or {})]


def _each(a: Cell, word: str, name: str) -> list[Located]:
    return [own.at(word, name) for own in a.parts if name in (own.raw.get(word) or {})]
