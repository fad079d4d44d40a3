"""Can no instance be valid under both of two schemas? Only what is certain counts: a no means "perhaps"."""

import math
from functools import lru_cache

from app.versioning.contract.nodes import MOST_KEPT, Cell, Node, gather
from app.versioning.contract.values import admits, finite

DEEPEST = 4  # members within members that are looked at


@lru_cache(maxsize=MOST_KEPT)
def apart(a: Cell, b: Cell, level: int = 0) -> bool:
    """Whether a typed cell without alternatives shares no instance with another cell of any form."""
    cells = b.spread
    if cells is None:
        return False
    return all(
        _typed_apart(a, typed, level)
        for cell in cells
        for typed in cell.typed
        if typed.only == a.only or {typed.only, a.only} == {"integer", "number"}
    )


@lru_cache(maxsize=MOST_KEPT)
def empty(cell: Cell) -> bool:
    """Whether a typed cell holds nothing at all."""
    if cell.impossible:
        return True
    if cell.only in ("integer", "number"):
        low, high = bounds(cell)
        return low > high
    if cell.only in ("string", "array", "object"):
        unit = {"string": "Length", "array": "Items", "object": "Properties"}[cell.only]
        least, most = cell.largest(f"min{unit}") or 0, cell.smallest(f"max{unit}")
        if most is not None and least > most:
            return True
    return cell.only == "object" and any(gather(cell.member(name)).impossible for name in cell.required)


def _typed_apart(a: Cell, b: Cell, level: int) -> bool:
    if empty(a) or empty(b):
        return True
    for one, other in ((a, b), (b, a)):
        values = finite(one)
        if values is not None and all(admits(other.parts, value) is False for value in values):
            return True
    if a.only in ("integer", "number"):
        (low_a, high_a), (low_b, high_b) = bounds(a), bounds(b)
        return low_a > high_b or low_b > high_a
    if a.only == "string":
        return _sizes_apart(a, b, "Length")
    if a.only == "array":
        return _sizes_apart(a, b, "Items")
    return a.only == "object" and _objects_apart(a, b, level)


def _objects_apart(a: Cell, b: Cell, level: int) -> bool:
    for one, other in ((a, b), (b, a)):
        if any(gather(other.member(name)).impossible for name in one.required):
            return True
    if level >= DEEPEST:
        return False
    return any(_members_apart(a.member(name), b.member(name), level + 1) for name in a.required & b.required)


def _members_apart(a: Node, b: Node, level: int) -> bool:
    cells = gather(a).spread if a and b else None
    return cells is not None and all(apart(typed, gather(b), level) for cell in cells for typed in cell.typed)


def bounds(cell: Cell) -> tuple[float, float]:
    """The range of a number, both ends included: a bound left out is moved to the next number there is."""
    low, high = cell.minimum or (-math.inf, False), cell.maximum or (math.inf, False)
    if cell.only == "integer":
        lowest = low[0] if math.isinf(low[0]) else math.floor(low[0]) + 1 if low[1] else math.ceil(low[0])
        highest = high[0] if math.isinf(high[0]) else math.ceil(high[0]) - 1 if high[1] else math.floor(high[0])
        return lowest, highest
    return (
        math.nextafter(low[0], math.inf) if low[1] else low[0],
        math.nextafter(high[0], -math.inf) if high[1] else high[0],
    )


def _sizes_apart(a: Cell, b: Cell, unit: str) -> bool:
    for one, other in ((a, b), (b, a)):
        least, most = one.largest(f"min{unit}"), other.smallest(f"max{unit}")
        if least is not None and most is not None and least > most:
            return True
    return False
