"""Is every instance valid under schema A valid under schema B? Yes; no, with the place and the reason; or unprovable.

`Inclusion` answers with a list of gaps, empty for yes. It proves coinductively, without recursion: every pair of
schemas counts as included until its words show a gap, and then whoever relied on it is asked again. An answer changes
once at most, from yes to no, so that a whole document is judged in a few looks at each pair.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from app.versioning.contract import keywords
from app.versioning.contract.disjoint import apart, empty
from app.versioning.contract.gaps import Gap, Pair, Side
from app.versioning.contract.members import discriminator_change, gone
from app.versioning.contract.nodes import Cell, Group, Located, Node, gather, is_number, key_of
from app.versioning.contract.texts import Texts
from app.versioning.contract.values import admits, finite, written

DEEPEST = 25  # alternatives within alternatives
MOST_GAPS = 40  # of one pair of schemas; who has more will not read them
MOST_STEPS = 2_000_000  # of a whole comparison: cells looked at, a minute or so
NOBODY: Pair = (frozenset(), frozenset())


class SpentError(Exception):
    """The budget of the comparison is used up."""


@dataclass
class Budget:
    """The steps that are left for everything that is still to be compared."""

    left: int = MOST_STEPS

    def spend(self) -> None:
        if self.left <= 0:
            raise SpentError
        self.left -= 1


@dataclass(frozen=True, eq=False)
class Trail:
    """A gap, and the way to it: each step a gap that stands for those of another pair. Shared, as ways can be long."""

    step: Gap
    rest: "Trail | None"
    end: Gap  # what the way leads to, with the pointers and the certainty that it has from here

    @classmethod
    def of(cls, step: Gap, rest: "Trail | None" = None) -> "Trail":
        if rest is None:
            return cls(step, None, step)
        end = rest.end.placed(step.pointer_a, step.pointer_b)
        return cls(step, rest, replace(end, proven=end.proven and step.proven))

    @property
    def key(self) -> tuple[str, str, str, bool]:
        return self.end.pointer_a, self.end.pointer_b, self.end.what, self.end.proven

    def told(self) -> Gap:
        """The whole of it as one gap."""
        path: list[str] = []
        here: Trail | None = self
        while here is not None:
            path += here.step.path
            here = here.rest
        return replace(self.end, path=tuple(path))


@dataclass
class Inclusion:
    """Answers questions about two documents; what it learns it keeps. `side` says how a reader or sender sees members.

    None asks the bare question about schemas. "request" and "reply" add what a contract says beyond them: a member
    that is no longer declared, a changed default, a new optional member that nobody could have sent before.
    """

    side: Side | None = None
    texts: Texts = field(default_factory=lambda: Texts({}, {}))
    budget: Budget = field(default_factory=Budget)
    notes: dict[str, str] = field(default_factory=dict)  # pointer into the newer document -> what is worth knowing
    _asked: dict[Pair, tuple[Node, Node]] = field(default_factory=dict)
    _failed: dict[Pair, list[Gap]] = field(default_factory=dict)
    _users: dict[Pair, set[Pair]] = field(default_factory=dict)  # who relies on a yes
    _trails: dict[Pair, dict[tuple[str, str, str, bool], Trail]] = field(default_factory=dict)
    _waiting: list[Pair] = field(default_factory=list)
    _asking: Pair = NOBODY
    _bare: "Inclusion | None" = None
    _open: set[tuple[frozenset[int], str | None, int]] = field(default_factory=set)

    def gaps(self, a: Node, b: Node) -> list[Gap]:
        """What is valid under `a` and not under `b`; nothing when every instance of `a` is one of `b`."""
        known = len(self._asked)
        self._asking = NOBODY
        try:
            if not self.compare(a, b):
                self._trace(self._settle())
        except SpentError:
            self._forget(list(self._asked)[known:])
            return [_unprovable(a, b)]
        pair = (key_of(a), key_of(b))
        if pair not in self._failed:
            return []
        trails = self._trails.get(pair, {})
        told = [trail.told() for (*rest, proven), trail in trails.items() if proven or (*rest, True) not in trails]
        return told or [_unprovable(a, b)]

    def note(self, pointer: str, text: str) -> None:
        self.notes.setdefault(pointer, text)

    def compare(self, a: Node, b: Node) -> list[Gap]:
        """As `gaps`, within a proof: no gap until the contrary is known, then one that stands for all there are."""
        if not b:
            return []
        pair = (key_of(a), key_of(b))
        if pair in self._failed:
            return [Gap((), _pointer(a), _pointer(b), "", below=pair)]
        if pair not in self._asked:
            if self.texts.same(a, b):
                return []
            self._asked[pair] = (a, b)
            self._waiting.append(pair)
        self._users.setdefault(pair, set()).add(self._asking)
        return []

    def surely(self, a: Node, b: Node) -> bool:
        """Whether every instance of `a` is one of `b`, as bare schemas: for parts of a schema that no one sends."""
        if self.side is None:
            return not self.compare(a, b)
        if self._bare is None:
            self._bare = Inclusion(None, self.texts, self.budget)
        return not self._bare.gaps(a, b)

    def _settle(self) -> list[Pair]:
        """Looks at what waits until no answer changes any more; what failed."""
        fresh = []
        while self._waiting:
            pair = self._waiting.pop()
            if pair in self._failed or pair not in self._asked:
                continue
            found = self._look(pair)
            if found:
                self._failed[pair] = found
                fresh.append(pair)
                self._waiting += self._users.pop(pair, ())
        return fresh

    def _look(self, pair: Pair) -> list[Gap]:
        self._asking = pair
        a, b = self._asked[pair]
        left, right = gather(a), gather(b)
        return [*self._between(left, right), *self._beyond(left, right)]

    def _forget(self, pairs: Iterable[Pair]) -> None:
        for pair in pairs:
            del self._asked[pair]
            self._failed.pop(pair, None)
        self._waiting.clear()
        self._open.clear()

    def _trace(self, failed: list[Pair]) -> None:
        """The gaps of the pairs that failed, nearest first: each is handed on to the pairs that lead to it."""
        waiting: deque[tuple[Pair, Trail]] = deque()
        leading: dict[Pair, list[tuple[Pair, Gap]]] = {}
        for pair in failed:
            for gap in self._look(pair):  # once more: by now it is known what else failed
                if gap.below is None:
                    waiting.append((pair, Trail.of(gap)))
                elif gap.below in self._trails:
                    waiting += [(pair, Trail.of(gap, trail)) for trail in self._trails[gap.below].values()]
                else:
                    leading.setdefault(gap.below, []).append((pair, gap))
        while waiting:
            pair, trail = waiting.popleft()
            trails = self._trails.setdefault(pair, {})
            if trail.key not in trails and len(trails) < MOST_GAPS:
                trails[trail.key] = trail
                waiting += [(user, Trail.of(step, trail)) for user, step in leading.get(pair, ())]

    def _between(self, a: Cell, b: Cell) -> list[Gap]:
        cells = a.spread
        if cells is None:
            return [Gap((), a.pointer, b.pointer, "combinations of alternatives too many to be compared", proven=False)]
        found: list[Gap] = []
        for cell in cells:
            for typed in cell.typed:
                self.budget.spend()
                values = finite(typed)
                found += self._typed(typed, b) if values is None else self._listed(typed, values, b)
        return found

    def _beyond(self, a: Cell, b: Cell) -> list[Gap]:
        """What a contract says beyond its schemas, judged on the whole of B and not alternative by alternative."""
        if self.side is None:
            return []
        change = discriminator_change(a, b) if self.side == "request" else discriminator_change(b, a)
        place = (a.where("discriminator"), b.where("discriminator"))
        found = [Gap((), *place, change, kind="discriminator")] if change else []
        theirs = [typed for cell in b.spread or [] for typed in cell.typed if typed.only == "object"]
        for mine in a.spread or []:
            if "object" in mine.types and any(cell.declared for cell in (mine, *theirs)):
                typed = replace(mine, only="object")
                options = [gone(typed, other, self.side) for other in theirs if not apart(typed, other)]
                shortest = sorted(options, key=len)[:1]
                found += shortest[0] if shortest else []
        return found

    def _listed(self, a: Cell, values: list[Any], b: Cell) -> list[Gap]:
        """A cell of a few values: each is tried."""
        if a.only == "null" and "null" not in b.types:
            return [Gap((), a.where("type"), b.where("type"), "null")] if values else []
        node = b.parts
        answers = [(value, admits(node, value)) for value in values]
        refused = [value for value, answer in answers if answer is False]
        unclear = [value for value, answer in answers if answer is None]
        word = "enum" if a.values_of("enum") or b.values_of("enum") else "const"
        place = (a.where(word), b.where(word if b.values_of(word) else _bound(b, refused)))
        if refused:
            if a.only not in ("null", "boolean") or len(refused) == 1:
                listed = ", ".join(map(written, refused[:5])) + (", ..." if len(refused) > 5 else "")
                return [Gap((), *place, f"the value{'s' if len(refused) > 1 else ''} {listed}")]
            return [Gap((), *place, keywords.article(a.only))]
        # What a value alone does not show, as of a pattern, the schemas may: both can have the same one.
        if unclear and self._typed(a, b):
            return [Gap((), *place, f"the value {written(unclear[0])}", proven=False)]
        return []

    def _typed(self, a: Cell, b: Cell) -> list[Gap]:
        """A cell of one type and without alternatives, against all that B asks for."""
        if empty(a):
            return []
        if b.impossible:
            return [Gap((), a.pointer, b.pointer, "any value")]
        kind = a.only or ""
        if kind not in b.types and not (kind == "integer" and "number" in b.types):
            if kind == "number" and "integer" in b.types:
                return [Gap((), a.where("type"), b.where("type"), "a number that is no integer")]
            return [Gap((), a.where("type"), b.where("type"), keywords.article(kind))]
        found = keywords.compare(self, a, b)
        for group in b.groups:
            found += self._group(a, group)
        for other in b.excluded:
            if not self._apart(a, other):
                what = "what `not` excludes"
                found.append(Gap((), a.pointer, other.pointer, what, proven=False))
        return found

    def _group(self, a: Cell, group: Group) -> list[Gap]:
        """Some alternative of B takes the whole cell; of `oneOf`, no second one may take a part of it."""
        question = (key_of(a.parts), a.only, group.source.key)
        # An alternative that contains itself takes nothing that the others do not.
        if question in self._open or len(self._open) > DEEPEST:
            return [Gap((), a.pointer, group.source.pointer, "what an alternative within itself takes", proven=False)]
        self._open.add(question)
        found = self._alternatives(a, group)
        self._open.discard(question)
        return found

    def _alternatives(self, a: Cell, group: Group) -> list[Gap]:
        if any(
            self.texts.same((own.at(group.word),), (group.source.at(group.word),))
            for own in a.parts
            if group.word in own.raw
        ):
            return []  # the same alternatives stand in A, which every instance of the cell satisfies
        possible = [branch for branch in group.branches if not apart(a, gather((branch,)))]
        pointer = f"{group.source.pointer}/{group.word}"
        if not possible:
            return [
                Gap((), a.pointer, pointer, f"{keywords.article(a.only or '')} of a kind that no alternative takes")
            ]
        tries: list[list[Gap]] = []
        for branch in self._likeliest_first(a, possible):
            gaps = self._between(a, gather((branch,)))
            if not gaps:
                others = [other for other in possible if other is not branch] if group.exactly_one else []
                if all(self._apart(a, other) for other in others):
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

    def _apart(self, a: Cell, other: Located) -> bool:
        """Whether nothing in the cell is valid under the other schema: by their words, or because A excludes it too."""
        return apart(a, gather((other,))) or any(self.surely((other,), (mine,)) for mine in a.excluded)


def _bound(cell: Cell, refused: list[Any]) -> str:
    """The keyword that refuses values which are not listed: of numbers beyond a bound that bound, else the type."""
    bounds = (("maximum", cell.maximum, 1), ("minimum", cell.minimum, -1))
    for word, bound, sign in bounds:
        if bound and any(is_number(value) and value * sign >= bound[0] * sign for value in refused):
            return word if cell.values_of(word) else f"exclusive{word.capitalize()}"
    return "type"


def _pointer(node: Node) -> str:
    return node[0].pointer if node else "#"


def _unprovable(a: Node, b: Node) -> Gap:
    what = "what these schemas say, which is too involved to be compared"
    return Gap((), _pointer(a), _pointer(b), what, proven=False)
