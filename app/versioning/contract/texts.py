"""Whether two pieces of two documents say the same, prose aside, answered at once wherever it is asked."""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Any

from app.versioning.contract.nodes import Located, Node, find

# Words that constrain nothing. `default` and `deprecated` are no prose: clients act on them.
PROSE = frozenset({"title", "description", "summary", "example", "examples", "externalDocs", "xml", "$comment", "$id"})
# Below these words the keys are the author's names: a member may be called `title`, or `x-rate`.
NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "dependentRequired", "$defs", "mapping"})
DATA = frozenset({"default", "enum", "const"})  # below these stand values, of which every part tells


class Mode(Enum):
    WORDS = auto()
    NAMES = auto()
    VALUES = auto()


class Texts:
    """Numbers what two documents say: the same number, the same text.

    A reference is numbered by its name. Those that lead to something else in the other document, be it at the end of a
    long way, make every text `changed` that holds them; this is worked out once, in time linear in the documents.
    """

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._shapes: dict[object, int] = {}
        self._known: dict[int, tuple[Any, int]] = {}  # by identity; the object is kept, so that no other takes its id
        self._inner: list[tuple[int, ...]] = []  # what a text holds has smaller numbers than itself
        self._references: dict[str, int] = {}
        self._changed: set[int] = set()
        self._apart = old is not new
        for root in (old, new):
            self._number(root)
        if self._apart:
            self._spread(self._targets(old, new))

    def same(self, left: Node, right: Node) -> bool:
        """Whether two conjunctions of schemas say the same part by part; a no means "perhaps in other words"."""
        return len(left) == len(right) and all(self._same(a, b) for a, b in zip(left, right, strict=True))

    def _same(self, left: Located, right: Located) -> bool:
        number = self._number(left.raw)
        return number == self._number(right.raw) and (left.root is right.root or number not in self._changed)

    def _targets(self, old: dict[str, Any], new: dict[str, Any]) -> dict[int, tuple[int, ...]]:
        """What each reference leads to, by its number; those are marked whose targets differ at first sight."""
        found: dict[int, tuple[int, ...]] = {}
        while waiting := {name: number for name, number in self._references.items() if number not in found}:
            for name, number in waiting.items():
                targets = [find(root, name) for root in (old, new)]
                found[number] = tuple({self._number(target.raw) for target in targets if target})
                if len(found[number]) > 1 or targets.count(None) == 1:
                    self._changed.add(number)
        return found

    def _spread(self, targets: dict[int, tuple[int, ...]]) -> None:
        """Whatever holds something changed, or refers to it, has changed."""
        holders: dict[int, list[int]] = {}
        for number, inner in (*enumerate(self._inner), *targets.items()):
            for held in inner:
                holders.setdefault(held, []).append(number)
        waiting = list(self._changed)
        while waiting:
            fresh = set(holders.get(waiting.pop(), ())) - self._changed
            self._changed |= fresh
            waiting += fresh

    def _number(self, raw: Any) -> int:
        """The number of what stands here; what it holds is numbered first, without recursion."""
        if not isinstance(raw, dict | list):
            return self._shape((type(raw), raw), ())
        if id(raw) in self._known:
            return self._known[id(raw)][1]
        waiting: list[tuple[Any, Mode, bool]] = [(raw, Mode.WORDS, False)]
        while waiting:
            here, mode, is_ready = waiting.pop()
            if id(here) in self._known:
                continue
            members = _members(here, mode)
            if is_ready:
                inner = [(name, self._member(name, value, mode)) for name, value, _ in members]
                shape = (isinstance(here, list), tuple(inner) if isinstance(here, list) else frozenset(inner))
                self._known[id(here)] = here, self._shape(shape, (number for _, number in inner))
            else:
                waiting.append((here, mode, True))
                waiting += [(value, below, False) for _, value, below in members if isinstance(value, dict | list)]
        return self._known[id(raw)][1]

    def _member(self, name: object, value: Any, mode: Mode) -> int:
        if name == "$ref" and mode is Mode.WORDS and isinstance(value, str):
            return self._references.setdefault(value, self._shape(("$ref", value), ()))
        return self._number(value)

    def _shape(self, shape: object, inner: Iterable[int]) -> int:
        if shape not in self._shapes:
            self._shapes[shape] = len(self._shapes)
            self._inner.append(tuple(inner))
        return self._shapes[shape]


def _members(raw: dict[str, Any] | list[Any], mode: Mode) -> list[tuple[object, Any, Mode]]:
    """What tells in an object or a list, each with how to read what is below."""
    if isinstance(raw, list):
        return [(index, value, mode) for index, value in enumerate(raw)]
    if mode is Mode.WORDS:
        return [
            (key, value, Mode.NAMES if key in NAMED else Mode.VALUES if key in DATA else Mode.WORDS)
            for key, value in raw.items()
            if key not in PROSE and not key.startswith("x-")
        ]
    return [(key, value, Mode.WORDS if mode is Mode.NAMES else mode) for key, value in raw.items()]
