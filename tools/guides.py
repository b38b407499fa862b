"""Do what a guide of a generated project says, as somebody who reads it would.

A guide is Markdown. A block of Python or HTML is the content of the file that the line
above it names, and a block of ``diff`` the change of that file. A block of ``console``
has commands. A row of a table names a file and what to delete in it: lines that hold
the text between backticks, or whole definitions.
"""

import ast
import functools
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

# Guides of projects that change files.
GUIDES = ("add-a-feature", "remove-the-example")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w./-]+\.\w+)`")
ROW = re.compile(r"^\| `([^`|]+)` \| ([^|]+) \|$", re.MULTILINE)
QUOTED = re.compile(r"`([^`]+)`")
# What the second column of a row begins with, besides definitions by their names.
LINES, TESTS = "the lines with", "the tests that mention"


class GuideError(Exception):
    """The guide says something that cannot be done."""


@dataclass(frozen=True)
class Step:
    """Something that a guide says to do.

    Attributes:
        kind: Of its block, ``diff`` or ``console`` for example; ``row`` for a table's.
        text: The block, or the second column of the row.
        file: The file that it is about; empty for commands.
    """

    kind: str
    text: str
    file: str


def steps(text: str) -> Iterator[Step]:
    """Yield what a guide says to do, in its order.

    Args:
        text: The guide.

    Raises:
        GuideError: A block does not say which file it is about.
    """
    end = 0
    for found in BLOCK.finditer(text):
        before = text[end : found.start()]
        for name, what in ROW.findall(before):
            yield Step("row", what, name)
        files = FILE.findall(before.strip().rpartition("\n\n")[2])
        kind, block, end = found[1], found[2], found.end()
        if kind != "console" and not files:
            raise GuideError(f"Which file is this about?\n{block}")
        yield Step(kind, block, "" if kind == "console" else files[-1])
    for name, what in ROW.findall(text[end:]):
        yield Step("row", what, name)


@functools.lru_cache(maxsize=4096)
def _changed(text: str, diff: str) -> str:
    """Return a text with a change: each added line follows the line above it there."""
    lines = text.splitlines()
    place = -1
    for line in diff.splitlines():
        sign, rest = line[:1], line[1:]
        if sign == "+":
            place += 1
            lines.insert(place, rest)
            continue
        try:
            place = lines.index(rest, place + 1)
        except ValueError:
            raise GuideError(f"There is no line {rest!r}.") from None
        if sign == "-":
            del lines[place]
            place -= 1
    return "\n".join([*lines, ""])


@functools.lru_cache(maxsize=4096)
def _without(text: str, what: str) -> str:
    """Return a text without what a row says."""
    names = QUOTED.findall(what)
    lines = text.splitlines()
    if what.startswith(LINES):
        for name in names:
            if not any(name in line for line in lines):
                raise GuideError(f"No line holds {name!r}.")
        kept = [line for line in lines if not any(name in line for name in names)]
        return "\n".join([*kept, ""])
    gone = set[int]()
    known = set[str]()
    tree = ast.parse(text)
    methods = [
        each for one in tree.body if isinstance(one, ast.ClassDef) for each in one.body
    ]
    for node in (*tree.body, *methods):
        name = getattr(node, "name", "")
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        decorators = getattr(node, "decorator_list", [])
        start = min([node.lineno, *(one.lineno for one in decorators)])
        span = range(start - 1, node.end_lineno or start)
        held = "\n".join(lines[number] for number in span)
        if what.startswith(TESTS):
            found = [one for one in names if one in held and name.startswith("test_")]
        else:
            found = [one for one in names if one == name]
        known.update(found)
        if found:
            gone.update(span)
    if left := set(names) - known:
        raise GuideError(f"Nothing is called {' or '.join(sorted(left))}.")
    kept = [line for number, line in enumerate(lines) if number not in gone]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join([*kept, ""]))


def follow(
    text: str, files: MutableMapping[str, str], run: Callable[[str], object]
) -> None:
    """Do what a guide says.

    Args:
        text: The guide.
        files: The project's files by name, which are changed.
        run: Runs a command line.

    Raises:
        GuideError: Something cannot be done as it is written.
    """
    for step in steps(text):
        name = step.file
        if step.kind == "console":
            for command in step.text.splitlines():
                run(command)
        elif step.kind in {"diff", "row"}:
            if name not in files:
                raise GuideError(f"There is no file {name}.")
            change = _changed if step.kind == "diff" else _without
            try:
                files[name] = change(files[name], step.text)
            except GuideError as error:
                raise GuideError(f"{name}: {error}") from None
        else:
            if name in files:
                raise GuideError(f"{name} is there already.")
            files[name] = step.text


class Tree(MutableMapping[str, str]):
    """The files of a directory, as text."""

    def __init__(self, root: Path) -> None:
        """Take the files below a directory."""
        self.root = root

    def __contains__(self, name: object) -> bool:
        """Return whether there is such a file."""
        return (self.root / str(name)).is_file()

    def __getitem__(self, name: str) -> str:
        """Return what a file holds."""
        return (self.root / name).read_text("utf-8")

    def __setitem__(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def __delitem__(self, name: str) -> None:
        """Remove a file."""
        (self.root / name).unlink()

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all files."""
        for path in self.root.rglob("*"):
            if path.is_file():
                yield path.relative_to(self.root).as_posix()

    def __len__(self) -> int:
        """Return how many files there are."""
        return sum(1 for _ in self)


def _remove(command: str, files: MutableMapping[str, str]) -> None:
    """Do what a command does to files, as far as it removes some.

    Raises:
        GuideError: There is nothing to remove.
    """
    if not command.startswith("git rm "):
        return
    for word in command.removeprefix("git rm ").split():
        gone = [name for name in files if name == word or name.startswith(f"{word}/")]
        if not gone and not word.startswith("-"):
            raise GuideError(f"{command}: there is no {word}.")
        for name in gone:
            del files[name]


def errors(files: Mapping[str, str]) -> Iterator[str]:
    """Find what guides say and cannot be done, without running anything else.

    Args:
        files: The project's files by name; what is no text may be left out.
    """
    for guide in (f"docs/{name}.md" for name in GUIDES):
        if guide in files:
            left = dict(files)
            try:
                follow(files[guide], left, lambda command: _remove(command, left))  # noqa: B023
            except GuideError as error:
                yield f"{guide}: {error}"
