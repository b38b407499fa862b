"""Merging lines that stand side by side, which git calls a conflict.

The template replaces a field of a class, and the user adds one below it; both add a
route to a list. Git cannot know that these are apart. Here two changes are in conflict
only if they touch the same lines. What is merged has to be what both wrote: it
compiles, the user's lines are in the blocks that they were in, and nothing is there
twice or is never reached.
"""

import ast
import difflib
import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from python_patterns.grow.modules import lines_of, parse

ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
# A line that is more than brackets, and not so short that it is in many places.
LONG = 6
# How much of two lines is the same where one became the other, and of how many lines
# that is looked at, multiplied.
LIKE = 0.6
MOST = 900


class _Change(NamedTuple):
    """Lines that replace others.

    Attributes:
        start: The first one that is replaced.
        end: The one after the last; the first where some are only added.
        lines: What replaces them.
        first: Where these are in the new text.
    """

    start: int
    end: int
    lines: Sequence[str]
    first: int


def _changes(old: Sequence[str], new: Sequence[str]) -> list[_Change]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [
        change
        for kind, start, end, first, after in matcher.get_opcodes()
        if kind != "equal"
        for change in _apart(old[start:end], new[first:after], start, first)
    ]


def _apart(
    old: Sequence[str], new: Sequence[str], start: int, first: int
) -> Iterator[_Change]:
    """Cut what replaces some lines where one of them is much like one of the others."""
    like = [
        (ratio, at, to)
        for at, to in itertools.product(range(len(old)), range(len(new)))
        if len(old) * len(new) <= MOST
        if (ratio := _likeness(old[at], new[to])) > LIKE
    ]
    if not like:
        if old or new:
            yield _Change(start, start + len(old), new, first)
        return
    _, at, to = max(like, key=lambda one: one[0])
    yield from _apart(old[:at], new[:to], start, first)
    yield _Change(start + at, start + at + 1, new[to : to + 1], first + to)
    below = at + 1, to + 1
    yield from _apart(old[at + 1 :], new[to + 1 :], start + below[0], first + below[1])


def _likeness(one: str, other: str) -> float:
    if len(one.strip()) <= LONG or _indentation(one) != _indentation(other):
        return 0
    return difflib.SequenceMatcher(None, one.strip(), other.strip()).ratio()


def _meet(one: _Change, other: _Change) -> bool:
    """Return whether two changes touch the same lines."""
    if one.start == one.end:
        return other.start < one.start < other.end
    if other.start == other.end:
        return one.start < other.start < one.end
    return max(one.start, other.start) < min(one.end, other.end)


@dataclass(frozen=True)
class _Merge:
    """Two changed versions of some lines, and what becomes of them.

    Attributes:
        ours: The user's version.
        lines: What both make.
        places: Where each line that the user wrote is: in theirs, and in both.
        is_twice: Whether both wrote the same line, each for themselves.
    """

    ours: Sequence[str]
    lines: Sequence[str]
    places: Sequence[tuple[int, int]]
    is_twice: bool


def _merge(base: str, ours: str, theirs: str) -> _Merge | None:
    """Merge lines, the template's before the user's; nothing where they meet."""
    old, own = lines_of(base), lines_of(ours)
    new = _changes(old, lines_of(theirs))
    same = {(one.start, one.end, tuple(one.lines)) for one in new}
    mine = [
        one
        for one in _changes(old, own)
        if (one.start, one.end, tuple(one.lines)) not in same
    ]
    if any(_meet(one, other) for one in mine for other in new):
        return None
    found: list[str] = []
    places: list[tuple[int, int]] = []
    position = 0
    ordered = [(one, False) for one in new] + [(one, True) for one in mine]
    for change, is_mine in sorted(ordered, key=lambda one: (one[0].start, one[0].end)):
        found += old[position : change.start]
        if is_mine:
            numbers = range(len(change.lines))
            places += [(change.first + at, len(found) + at) for at in numbers]
        found += change.lines
        position = max(position, change.end)
    found += old[position:]
    both = [
        {line.strip() for one in side for line in one.lines} for side in (new, mine)
    ]
    is_twice = any(len(line) > LONG for line in both[0] & both[1])
    return _Merge(own, found, places, is_twice)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _blocks(lines: Sequence[str], at: int) -> list[str]:
    """Return the lines that open the blocks which a line is in."""
    found = []
    depth = _indentation(lines[at])
    for line in reversed(lines[:at]):
        if line.strip() and _indentation(line) < depth:
            depth = _indentation(line)
            # What a function takes may change.
            found.append(line.strip().partition("(")[0])
    return found


def _odd(tree: ast.Module) -> Iterator[object]:
    """Yield what should not become more: what is defined, and what is never reached."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in node.body:
                if isinstance(inner, ast.AnnAssign):
                    yield node.name, ast.unparse(inner.target)
                elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield node.name, inner.name
        for part in ("body", "orelse", "finalbody"):
            block = getattr(node, part, None)
            for statement in block[:-1] if isinstance(block, list) else ():
                if isinstance(statement, ENDS):
                    yield "never reached"


def merged_definition(base: str, ours: str, theirs: str) -> str | None:
    """Merge a definition of a module.

    Returns:
        Its text; nothing where that takes git, or a person.
    """
    merge = _merge(base, ours, theirs)
    if merge is None or merge.is_twice:
        return None
    text = "".join(merge.lines)
    tree, others = parse(text), [parse(ours), parse(theirs)]
    if tree is None or None in others:
        return None
    known = [Counter(_odd(one)) for one in others if one]
    is_odd = Counter(_odd(tree)) - (known[0] | known[1])
    is_elsewhere = any(
        _blocks(merge.ours, was) != _blocks(merge.lines, now)
        for was, now in merge.places
        if merge.ours[was].strip()
    )
    return None if is_odd or is_elsewhere else text


def merged_list(base: str, ours: str, theirs: str) -> str | None:
    """Merge a file in which each line stands for itself.

    Returns:
        Its text; nothing where both changed the same line.
    """
    merge = _merge(base, ours, theirs)
    return None if merge is None else "".join(merge.lines)


def merged_toml(base: str, ours: str, theirs: str) -> str | None:
    """Merge a TOML file.

    Returns:
        Its text; nothing where that takes git, or a person.
    """
    merge = _merge(base, ours, theirs)
    if merge is None or merge.is_twice:
        return None
    text = "".join(merge.lines)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    is_elsewhere = any(
        _table(merge.ours, was) != _table(merge.lines, now) for was, now in merge.places
    )
    return None if is_elsewhere else text


def _table(lines: Sequence[str], at: int) -> str:
    """Return the last line above that starts a table or a list."""
    starts = (line for line in reversed(lines[:at]) if re.match(r"\[|\S+ = \[$", line))
    return next(starts, "").strip()
