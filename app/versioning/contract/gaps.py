"""What an inclusion lacks."""

from dataclasses import dataclass, replace
from typing import Literal

Side = Literal["request", "reply"]
# value: A holds what B does not. gone: a member that one side declares and the other no longer does.
# discriminator: alternatives are told apart in another way. default: leaving a member out means something else.
Kind = Literal["value", "gone", "default", "discriminator"]
Pair = tuple[frozenset[int], frozenset[int]]  # two schemas, by identity


@dataclass(frozen=True)
class Gap:
    """Something that is valid under A and not under B, at a place within an instance.

    `what` names it ("null", "a string longer than 10"); `proven` is false when it can merely not be excluded. Within a
    proof, `below` stands for all gaps of another pair of schemas.
    """

    path: tuple[str, ...]
    pointer_a: str
    pointer_b: str
    what: str
    proven: bool = True
    kind: Kind = "value"
    below: Pair | None = None

    def within(self, step: str) -> "Gap":
        return replace(self, path=(step, *self.path))

    def placed(self, pointer_a: str, pointer_b: str) -> "Gap":
        """With these pointers where it has none: nothing is said there on that side."""
        return replace(
            self,
            pointer_a=pointer_a if self.pointer_a == "#" else self.pointer_a,
            pointer_b=pointer_b if self.pointer_b == "#" else self.pointer_b,
        )

    @property
    def place(self) -> str:
        """The path as people write it: .tags[].name"""
        return "".join(step if step.startswith("[") else f".{step}" for step in self.path)
