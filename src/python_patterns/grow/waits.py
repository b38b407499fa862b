"""Calls that need an ``await`` now, or none any more, in what the user wrote.

Between a synchronous and an asynchronous project the same lines mean something else:
git would merge them, and they would not work.
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from python_patterns.grow.modules import parse


@dataclass
class Calls:
    """Names of what is called, with ``await`` or without, and the line.

    Attributes:
        awaited: What is called with ``await``.
        plain: What is called without.
    """

    awaited: dict[str, set[int]] = field(default_factory=dict)
    plain: dict[str, set[int]] = field(default_factory=dict)


def calls(texts: Iterable[str]) -> Calls:
    """Find what some modules call."""
    found = Calls()
    for text in texts:
        module = parse(text)
        nodes = list(ast.walk(module)) if module else []
        awaited = {id(node.value) for node in nodes if isinstance(node, ast.Await)}
        for node in nodes:
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            name = getattr(called, "attr", None) or getattr(called, "id", None)
            if name:
                kind = found.awaited if id(node) in awaited else found.plain
                kind.setdefault(name, set()).add(node.lineno)
    return found


@dataclass(frozen=True)
class Turned:
    """What the template awaits in one render only.

    Attributes:
        waiting: What it awaits now, and called without before.
        plain: What it calls without now, and awaited before.
    """

    waiting: frozenset[str]
    plain: frozenset[str]

    @classmethod
    def between(cls, old: Iterable[str], new: Iterable[str]) -> "Turned":
        """Compare the modules of two renders."""
        before, after = calls(old), calls(new)
        return cls(
            frozenset(
                after.awaited.keys()
                & before.plain.keys() - before.awaited.keys() - after.plain.keys()
            ),
            frozenset(
                before.awaited.keys()
                & after.plain.keys() - after.awaited.keys() - before.plain.keys()
            ),
        )

    def reason(self, base: str, ours: str) -> str:
        """Return what is wrong with the user's lines; empty if nothing is.

        Args:
            base: The file without the user's changes.
            ours: The file with them.
        """
        if not any(name in ours for name in self.waiting | self.plain):
            return ""
        known = set(base.splitlines())
        own = {
            number
            for number, line in enumerate(ours.splitlines(), start=1)
            if line not in known
        }
        found = calls([ours])
        missing = sorted(
            name for name in self.waiting if found.plain.get(name, set()) & own
        )
        needless = sorted(
            name for name in self.plain if found.awaited.get(name, set()) & own
        )
        return "; ".join(
            [f"{name} has to be awaited now" for name in missing]
            + [f"{name} is not awaited any more" for name in needless]
        )
