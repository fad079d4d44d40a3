"""What a comparison finds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from app.versioning.contract.gaps import Gap, Side
from app.versioning.contract.nodes import Located, Node
from app.versioning.contract.schema import Budget, Inclusion
from app.versioning.contract.texts import Texts


class Verdict(StrEnum):
    BREAKING = "breaking"
    UNPROVABLE = "unprovable"  # cannot be proven compatible, and so counts as breaking
    COMPATIBLE = "compatible"
    NOTE = "note"


Whom = Literal["who sends", "who reads", "who sends and who reads", "who generates clients", "nobody"]


@dataclass(frozen=True)
class Change:
    """One difference: of which operation, where in which document, what, how bad for whom, and what to do instead."""

    method: str  # empty for what concerns the whole document
    path: str
    pointer: str
    document: Literal["old", "new"]  # where the pointer leads: what is gone can only be seen in the old one
    what: str
    verdict: Verdict
    breaks: Whom = "nobody"
    instead: str = ""

    @property
    def fails(self) -> bool:
        return self.verdict in (Verdict.BREAKING, Verdict.UNPROVABLE)


def compatible(changes: Sequence[Change]) -> bool:
    """Whether a client of the old document can rely on the new one."""
    return not any(change.fails for change in changes)


INSTEAD = {
    ("request", "value"): "keep accepting it, or ask for less in a new operation or version",
    ("request", "gone"): "keep reading it, or mark it deprecated and remove it in a new version",
    ("request", "default"): "keep the default; who wants the other one can send it",
    ("request", "discriminator"): "keep the member, and the names, by which alternatives are told apart",
    ("reply", "value"): "keep replies as narrow as they were; put what is new into a new member, operation or version",
    ("reply", "gone"): "keep sending it, or mark it deprecated and remove it in a new version",
    ("reply", "discriminator"): "keep the member, and the names, by which alternatives are told apart",
    ("reply", "default"): "keep the default, or always send the member",
}


@dataclass
class Findings:
    """Collects changes of the operation at hand; owns the four proofs, so that what one operation shows serves all."""

    texts: Texts
    changes: list[Change] = field(default_factory=list)
    method: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        sides: tuple[Side, Side] = ("request", "reply")
        budget = Budget()
        self._forward = {side: Inclusion(side, self.texts, budget) for side in sides}
        self._backward = {side: Inclusion(side, self.texts, budget) for side in sides}

    def add(self, at: str | Located, what: str, verdict: Verdict, **more: Any) -> None:
        pointer = at if isinstance(at, str) else at.pointer
        self.changes.append(Change(self.method, self.path, pointer, more.pop("document", "new"), what, verdict, **more))

    def breaking(self, at: str | Located, what: str, breaks: Whom, instead: str, **more: Any) -> None:
        self.add(at, what, Verdict.BREAKING, breaks=breaks, instead=instead, **more)

    def schemas(self, subject: str, old: Node, new: Node, side: Side) -> None:
        """Compare what is sent (old within new) or what is replied (new within old)."""
        forward, backward = self._forward[side], self._backward[side]
        a, b = (old, new) if side == "request" else (new, old)
        gaps = forward.gaps(a, b)
        for gap in gaps:
            self._gap(subject, gap, side)
        told = {(gap.pointer_a, gap.pointer_b) for gap in gaps} | {gap.path for gap in gaps}
        for gap in backward.gaps(b, a):
            if gap.proven and gap.kind in ("value", "gone") and not {gap.path, (gap.pointer_b, gap.pointer_a)} & told:
                pointer = gap.pointer_a if side == "request" else gap.pointer_b
                self.add(pointer, f"{_place(subject, gap)} {_widened(gap, side)}", Verdict.COMPATIBLE)
        for pointer, text in forward.notes.items():
            self.add(pointer, f"{subject}: {text}", Verdict.NOTE)
        forward.notes.clear()

    def _gap(self, subject: str, gap: Gap, side: Side) -> None:
        place = _place(subject, gap)
        pointer = gap.pointer_b if side == "request" else gap.pointer_a
        sentence = {
            "gone": "is no longer read" if side == "request" else "is no longer promised",
            "default": f"means something else when it is left out: its default changed {gap.what}",
            "discriminator": f"tells alternatives apart in another way: its discriminator changed {gap.what}",
            "value": f"refuses {gap.what}, which it accepted"
            if side == "request"
            else f"can be {gap.what}, which it could not",
        }[gap.kind]
        if not gap.proven:
            sentence = f"cannot be proven compatible: it might {'refuse' if side == 'request' else 'be'} {gap.what}"
        self.add(
            pointer,
            f"{place} {sentence}",
            Verdict.BREAKING if gap.proven else Verdict.UNPROVABLE,
            breaks="who sends" if side == "request" else "who reads",
            instead=INSTEAD[side, gap.kind],
        )


def _place(subject: str, gap: Gap) -> str:
    return f"{subject}: `{gap.place}`" if gap.path else f"{subject}"


def _widened(gap: Gap, side: Side) -> str:
    if gap.kind == "gone":
        return "is new"
    return f"now also accepts {gap.what}" if side == "request" else f"is no longer {gap.what}"
