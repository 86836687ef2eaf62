"""The rules for one kind of object, arranged so that what they share is asked once for each object.

Fifty tests one by one cost five times what they cost combined. Combined are the tests of rules with the same scope:
those that are about the same names, labels and reasons, and that read the same raw objects. So nothing is evaluated for
an object that its rule is not about. Whatever cannot be told combined is asked alone: the answer is the same.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from daemon.rules import scope
from daemon.rules.expression import COMBINED, FALSE, HELD, TRUE, Activation, Combined, Evaluation, Expression

OwnerT = TypeVar("OwnerT")


class Group(Generic[OwnerT]):
    """Tests with one scope, each with the rule that asks it."""

    def __init__(self, members: Sequence[tuple[OwnerT, Expression]]) -> None:
        """Combine these tests, at most COMBINED of them; one alone stays as it is."""
        self.members = tuple(members)
        self.tests = tuple(test for _, test in members)
        self._combined = Combined(self.tests) if len(members) > 1 else None
        self.first = members[0][0]
        self.uses = frozenset(name for _, test in members for name in test.uses)

    def answers(self, given: Activation) -> list[tuple[OwnerT, Evaluation]]:
        """Return the rules whose tests hold, and those whose tests cannot be evaluated."""
        held = self._combined.held(given) if self._combined is not None else None
        if held is None:
            found = ((owner, test.evaluate(given)) for owner, test in self.members)
            return [(owner, answer) for owner, answer in found if answer.value is not False]
        return [(self.members[at][0], TRUE) for at, digit in enumerate(held) if digit == HELD] if HELD in held else []

    def answer(self, test: Expression, given: Activation) -> Evaluation:
        """Answer one of the tests."""
        held = self._combined.held(given) if self._combined is not None else None
        if held is None:
            return test.evaluate(given)
        return TRUE if held[self.tests.index(test)] == HELD else FALSE


def groups_of(asked: Iterable[tuple[Hashable, OwnerT, Expression]]) -> Iterator[Group[OwnerT]]:
    """Yield the groups of tests that come as (scope, rule, test)."""
    found: dict[Hashable, list[tuple[OwnerT, Expression]]] = {}
    for about, owner, test in asked:
        found.setdefault((about, test.uses.intersection(scope.LAZY)), []).append((owner, test))
    for members in found.values():
        for start in range(0, len(members), COMBINED):
            yield Group(members[start : start + COMBINED])
