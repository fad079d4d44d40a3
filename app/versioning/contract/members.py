"""The members of objects: which there must be, which there may be, and what a contract says beyond the schema."""

from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

from app.versioning.contract.gaps import Gap, Side
from app.versioning.contract.nodes import MOST_KEPT, Cell, Node, gather
from app.versioning.contract.values import equal, written

MISSING = object()


class Prover(Protocol):
    @property
    def side(self) -> Side | None: ...
    def compare(self, a: Node, b: Node) -> list[Gap]: ...
    def note(self, pointer: str, text: str) -> None: ...


def compare_members(prover: Prover, a: Cell, b: Cell) -> list[Gap]:
    """What objects of `a` have or lack that `b` refuses."""
    side = prover.side
    mine, theirs = _visible(a, side), _visible(b, side)
    found = [
        Gap((), a.where("required"), b.where("required"), f"an object without `{name}`")
        for name in sorted(
            (b.required & theirs.union(b.required - b.declared.keys())) - (a.required - _hidden(a, side))
        )
    ]
    for name in sorted(mine):
        nested = prover.compare(a.member(name), b.member(name) if name in theirs else b.other_members)
        found += _named(nested, name, a, b)
        if side and name in theirs:
            found += _meaning(prover, a, b, name)
    for name in sorted(theirs - mine):
        source = a.other_members if name in a.declared else a.member(name)
        if source or side is None or name in a.required:
            found += _named(prover.compare(source, b.member(name)), name, a, b)
        # Otherwise nothing was said about the member, and nobody sent it on the strength of that.
    return found + _patterned(prover, a, b) + _others(prover, a, b)


def gone(a: Cell, b: Cell, side: Side | None) -> list[Gap]:
    """Members that the older side declares and the newer one no longer does; those required are found elsewhere."""
    mine, theirs = _visible(a, side), _visible(b, side)
    if side == "request":
        return [
            Gap((name,), a.declared[name].pointer, b.where("properties"), "any value", kind="gone")
            for name in sorted(mine - theirs)
            if name in b.declared or not b.member(name)
        ]
    return [
        Gap((name,), a.where("properties"), b.declared[name].pointer, "no such member", kind="gone")
        for name in sorted(theirs - mine - b.required)
        if not a.member(name) or name in a.declared or gather(a.member(name)).impossible
    ]


def discriminator_change(old: Cell, new: Cell) -> str | None:
    """How the member that tells alternatives apart has changed; None when it has not, or there was none."""
    before: dict[str, Any] = next(iter(old.values_of("discriminator")), {})
    after: dict[str, Any] = next(iter(new.values_of("discriminator")), {})
    was, now = before.get("propertyName"), after.get("propertyName")
    if was != now and was is not None:
        return f"from `{was}` to {f'`{now}`' if now else 'none'}"
    lost = sorted(k for k, v in (before.get("mapping") or {}).items() if (after.get("mapping") or {}).get(k) != v)
    return f"what {', '.join(map(written, lost))} stands for" if lost else None


def _named(gaps: list[Gap], name: str, a: Cell, b: Cell) -> list[Gap]:
    """The gaps of a member; where a side says nothing about it, its object is the place."""
    return [gap.within(name).placed(a.pointer, b.pointer) for gap in gaps]


@lru_cache(maxsize=MOST_KEPT)
def _hidden(cell: Cell, side: Side | None) -> set[str]:
    """Members that are not there on this side: `readOnly` in requests, `writeOnly` in replies."""
    word = {"request": "readOnly", "reply": "writeOnly", None: ""}[side]
    return {name for name in cell.declared if word and _says(cell, name, word)}


def _visible(cell: Cell, side: Side | None) -> set[str]:
    return set(cell.declared) - _hidden(cell, side)


def _says(cell: Cell, name: str, word: str) -> bool:
    return any(part.get(word) is True for part in gather(cell.member(name)).parts)


def _meaning(prover: Prover, a: Cell, b: Cell, name: str) -> list[Gap]:
    """The default of a member that may be left out; and a note when it is deprecated now."""
    old, new = (a, b) if prover.side == "request" else (b, a)
    if _says(new, name, "deprecated") and not _says(old, name, "deprecated"):
        prover.note(new.declared[name].pointer, f"`{name}` is deprecated now")
    if name in a.required:
        return []
    change = default_change(old.member(name), new.member(name))
    if change is None:
        return []
    return [Gap((name,), a.declared[name].pointer, b.declared[name].pointer, change, kind="default")]


def default_change(old: Node, new: Node) -> str | None:
    """How what is meant by leaving a value out has changed; None when it has not, or was never said."""
    before, after = _default(old), _default(new)
    if before is MISSING or (after is not MISSING and equal(before, after)):
        return None
    return f"from {written(before)} to {'none' if after is MISSING else written(after)}"


def _default(node: Node) -> Any:
    return next(iter(gather(node).values_of("default")), MISSING)


def _patterned(prover: Prover, a: Cell, b: Cell) -> list[Gap]:
    """Members by pattern. Whether two different patterns overlap is not decided: a gap between them is unproven."""
    found: list[Gap] = []
    for pattern in a.patterned:
        gaps = prover.compare(a.by_pattern(pattern), b.by_pattern(pattern))
        found += _named(gaps, f"/{pattern}/", a, b)
    for pattern in b.patterned.keys() - a.patterned.keys():
        sources: list[Node] = [(part,) for part in a.patterned.values()]
        if prover.side is None or not a.open_by_omission:
            sources.append(a.other_members)
        for source in sources:
            gaps = _named(prover.compare(source, b.by_pattern(pattern)), f"/{pattern}/", a, b)
            found += [replace(gap, proven=False) for gap in gaps]
    return found


def _others(prover: Prover, a: Cell, b: Cell) -> list[Gap]:
    """Members that neither names."""
    target = b.other_members
    if not target or gather(a.other_members).impossible:
        return []
    if a.open_by_omission or gather(target).impossible:
        nested = prover.compare(a.other_members, target)
        place = (a.where("additionalProperties"), b.where("additionalProperties"))
        return [Gap((), *place, "members beyond those declared")] if nested else []
    return [gap.within("*") for gap in prover.compare(a.other_members, target)]
