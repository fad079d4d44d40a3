"""Is every instance valid under schema A valid under schema B? Yes; no, with the place and the reason; or unprovable.

`Inclusion` answers with a list of gaps, empty for yes. It proves coinductively: a question met again while it is being
answered is taken for a yes; when such a yes turns out wrong, the round is repeated with what is known by then. What
is known never changes back, so that rounds end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from app.versioning.contract import keywords
from app.versioning.contract.disjoint import Disjointness
from app.versioning.contract.gaps import Gap, Side
from app.versioning.contract.members import discriminator_change, gone
from app.versioning.contract.nodes import Cell, Group, Located, Node, gather, key_of, spread
from app.versioning.contract.values import admits, changed_references, finite, same, written

DEEPEST = 25  # schemas within schemas, before the rest is put off: Python's stack is finite
MOST_ROUNDS = 60
MOST_GAPS = 40  # of one pair of schemas; who has more will not read them
MOST_STEPS = 400_000

Pair = tuple[frozenset[int], frozenset[int]]


@dataclass
class Inclusion:
    """Answers questions about two documents; what it learns it keeps. `side` says how a reader or sender sees members.

    None asks the bare question about schemas. "request" and "reply" add what a contract says beyond them: a member
    that is no longer declared, a changed default, a new optional member that nobody could have sent before.
    """

    side: Side | None = None
    _proven: set[Pair] = field(default_factory=set)
    _failed: dict[Pair, list[Gap]] = field(default_factory=dict)
    _visited: set[Pair] = field(default_factory=set)
    _assumed: set[Pair] = field(default_factory=set)
    _deferred: dict[Pair, tuple[Node, Node]] = field(default_factory=dict)
    _open: set[tuple[frozenset[int], str | None, int]] = field(default_factory=set)
    _steps: int = 0
    _same: dict[tuple[int, int], bool] = field(default_factory=dict)
    _changed: dict[tuple[int, int], frozenset[str]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)  # pointer into the newer document -> what is worth knowing

    def gaps(self, a: Node, b: Node) -> list[Gap]:
        """What is valid under `a` and not under `b`; nothing when every instance of `a` is one of `b`."""
        self._steps = 0
        for _ in range(MOST_ROUNDS):
            self._visited, self._assumed, self._deferred = set(), set(), {}
            found = self.compare(a, b, 0)
            while self._deferred:
                waiting, self._deferred = self._deferred, {}
                for pair, (left, right) in waiting.items():
                    self._visited.discard(pair)
                    self.compare(left, right, 0)
            if self._steps > MOST_STEPS:
                break
            if not self._assumed & self._failed.keys():
                self._proven |= self._visited - self._failed.keys()
                return found
        pointers = (gather(a).pointer, gather(b).pointer)
        return [Gap((), *pointers, "what these schemas say, which is too involved to be compared", proven=False)]

    def note(self, pointer: str, text: str) -> None:
        self.notes.setdefault(pointer, text)

    def compare(self, a: Node, b: Node, depth: int) -> list[Gap]:
        """As `gaps`, within a proof."""
        pair = (key_of(a), key_of(b))
        if pair in self._failed:
            return self._failed[pair]
        if not b or pair in self._proven:
            return []
        if pair in self._visited:
            self._assumed.add(pair)
            return []
        if depth > DEEPEST:
            self._visited.add(pair)
            self._assumed.add(pair)
            self._deferred[pair] = (a, b)
            return []
        self._visited.add(pair)
        self._steps += 1
        if self._steps > MOST_STEPS or self._same_text(a, b):
            return []
        left, right = gather(a), gather(b)
        found = self._distinct([*self._between(left, right, depth), *self._beyond(left, right, depth)])
        if found:
            self._failed[pair] = found
        return found

    def _same_text(self, a: Node, b: Node) -> bool:
        if len(a) != len(b):
            return False
        for left, right in zip(a, b, strict=True):
            key = (left.key, right.key)
            if key not in self._same:
                self._same[key] = same(left, right, self._changed_between(left, right))
            if not self._same[key]:
                return False
        return True

    def _changed_between(self, left: Located, right: Located) -> frozenset[str]:
        key = (id(left.root), id(right.root))
        if key not in self._changed:
            self._changed[key] = changed_references(left.root, right.root)
        return self._changed[key]

    @staticmethod
    def _distinct(gaps: Iterable[Gap]) -> list[Gap]:
        """One gap of each kind at each place, the one that is nearest."""
        found: dict[tuple[str, str, str], Gap] = {}
        for gap in gaps:
            key = (gap.pointer_a, gap.pointer_b, gap.what)
            if key not in found or len(gap.path) < len(found[key].path):
                found[key] = gap
        return list(found.values())[:MOST_GAPS]

    def _between(self, a: Cell, b: Cell, depth: int) -> list[Gap]:
        cells = spread(a)
        if cells is None:
            return [Gap((), a.pointer, b.pointer, "combinations of alternatives too many to be compared", proven=False)]
        found: list[Gap] = []
        for cell in cells:
            for typed in cell.typed():
                values = finite(typed)
                if values is not None:
                    found += self._listed(typed, values, b)
                else:
                    found += self._typed(typed, b, depth)
        return found

    def _beyond(self, a: Cell, b: Cell, depth: int) -> list[Gap]:
        """What a contract says beyond its schemas, judged on the whole of B and not alternative by alternative."""
        if self.side is None:
            return []
        change = discriminator_change(a, b) if self.side == "request" else discriminator_change(b, a)
        place = (a.where("discriminator"), b.where("discriminator"))
        found = [Gap((), *place, change, kind="discriminator")] if change else []
        theirs = [typed for cell in spread(b) or [] for typed in cell.typed() if typed.only == "object"]
        apart = self.disjointness(depth)
        for mine in spread(a) or []:
            if "object" in mine.types and any(cell.declared for cell in (mine, *theirs)):
                typed = replace(mine, only="object")
                options = [gone(typed, other, self.side) for other in theirs if not apart.nodes(typed, other)]
                shortest = sorted(options, key=len)[:1]
                found += shortest[0] if shortest else []
        return found

    def _listed(self, a: Cell, values: list[object], b: Cell) -> list[Gap]:
        """A cell of a few values: each is tried."""
        if a.only == "null" and "null" not in b.types:
            return [Gap((), a.where("type"), b.where("type"), "null")] if values else []
        node = b.parts
        answers = [(value, admits(node, value)) for value in values]
        refused = [value for value, answer in answers if answer is False]
        unclear = [value for value, answer in answers if answer is None]
        word = "enum" if a.values_of("enum") or b.values_of("enum") else "const"
        place = (a.where(word), b.where(word if b.values_of(word) else "type"))
        if refused:
            if a.only not in ("null", "boolean") or len(refused) == 1:
                listed = ", ".join(map(written, refused[:5])) + (", ..." if len(refused) > 5 else "")
                return [Gap((), *place, f"the value{'s' if len(refused) > 1 else ''} {listed}")]
            return [Gap((), *place, keywords.article(a.only))]
        # What a value alone does not show, as of a pattern, the schemas may: both can have the same one.
        if unclear and self._typed(a, b, 1):
            return [Gap((), *place, f"the value {written(unclear[0])}", proven=False)]
        return []

    def _typed(self, a: Cell, b: Cell, depth: int) -> list[Gap]:
        """A cell of one type and without alternatives, against all that B asks for."""
        if self.disjointness(depth).empty(a):
            return []
        if b.impossible:
            return [Gap((), a.pointer, b.pointer, "any value")]
        kind = a.only or ""
        if kind not in b.types and not (kind == "integer" and "number" in b.types):
            if kind == "number" and "integer" in b.types:
                return [Gap((), a.where("type"), b.where("type"), "a number that is no integer")]
            return [Gap((), a.where("type"), b.where("type"), keywords.article(kind))]
        found = keywords.compare(self, a, b, depth)
        for group in b.groups:
            found += self._group(a, group, depth)
        for other in b.excluded:
            if not self._apart(a, other, depth):
                what = "what `not` excludes"
                found.append(Gap((), a.pointer, other.pointer, what, proven=False))
        return found

    def _group(self, a: Cell, group: Group, depth: int) -> list[Gap]:
        """Some alternative of B takes the whole cell; of `oneOf`, no second one may take a part of it."""
        question = (key_of(a.parts), a.only, group.source.key)
        if question in self._open:  # an alternative that contains itself takes nothing that the others do not
            return [Gap((), a.pointer, group.source.pointer, "what an alternative within itself takes", proven=False)]
        self._open.add(question)
        found = self._alternatives(a, group, depth)
        self._open.discard(question)
        return found

    def _alternatives(self, a: Cell, group: Group, depth: int) -> list[Gap]:
        apart = self.disjointness(depth)
        possible = [branch for branch in group.branches if not apart.nodes(a, gather((branch,)))]
        word = "oneOf" if group.exactly_one else "anyOf"
        pointer = f"{group.source.pointer}/{word}"
        if not possible:
            return [
                Gap((), a.pointer, pointer, f"{keywords.article(a.only or '')} of a kind that no alternative takes")
            ]
        tries: list[list[Gap]] = []
        for branch in self._likeliest_first(a, possible):
            gaps = self._between(a, gather((branch,)), depth + 1)
            if not gaps:
                others = [other for other in possible if other is not branch] if group.exactly_one else []
                if all(self._apart(a, other, depth) for other in others):
                    return []
                what = "what more than one alternative of `oneOf` may take"
                gaps = [Gap((), a.pointer, pointer, what, proven=False)]
            tries.append(gaps)
        best, *_ = sorted(tries, key=len)
        return best if len(possible) == 1 else [replace(gap, proven=False) for gap in best]

    @staticmethod
    def _likeliest_first(a: Cell, branches: list[Located]) -> list[Located]:
        """The alternative that is written in the same place first: it is mostly the one, and makes the best message."""
        places = {part.pointer for part in a.parts}
        return sorted(branches, key=lambda branch: branch.followed().pointer not in places)

    def _apart(self, a: Cell, other: Located, depth: int) -> bool:
        """Whether nothing in the cell is valid under the other schema: by their words, or because A excludes it too."""
        if self.disjointness(depth).nodes(a, gather((other,))):
            return True
        return any(not self.compare((other,), (mine,), depth + 1) for mine in a.excluded)

    def disjointness(self, depth: int) -> Disjointness:
        return Disjointness(self, depth)
