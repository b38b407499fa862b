"""Symbolic links of a project whose files move."""

import os
import posixpath
from dataclasses import dataclass
from pathlib import PurePosixPath

from python_patterns.git import LINK, Entry, Repository, Tree
from python_patterns.grow.moves import Moves


def aim(path: str, target: str) -> str:
    """Return the path that a link leads to.

    Args:
        path: The link.
        target: What it says.
    """
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def leads(path: str, target: str, tree: Tree) -> bool:
    """Return whether a link leads to a file or a directory of a tree."""
    found = aim(path, target)
    return found in tree or any(one.startswith(f"{found}/") for one in tree)


@dataclass
class Links:
    """Lets links lead to what they led to.

    Attributes:
        repository: Where links are stored.
        own: The project before.
        moves: Where its files go.
    """

    repository: Repository
    own: Tree
    moves: Moves

    def text(self, entry: Entry) -> str:
        """Return what a link says."""
        return os.fsdecode(self.repository.content(entry.id))

    def follow(self, path: str, entry: Entry) -> Entry:
        """Return a link as it has to be where it goes.

        Args:
            path: Where it was.
            entry: The link.
        """
        says = self.text(entry)
        if says.startswith("/"):
            return entry
        before, place = aim(path, says), self.moves.of(path)
        after = self._after(before)
        if after == before and posixpath.dirname(place) == posixpath.dirname(path):
            return entry
        # Below enough directories that ``..`` leads out of the project.
        root = "/_" * 99
        start = posixpath.join(root, posixpath.dirname(place))
        target = posixpath.relpath(posixpath.join(root, after), start)
        (name,) = self.repository.store([os.fsencode(target)])
        return Entry(LINK, name)

    def _after(self, path: str) -> str:
        """Return where a file or directory goes; one that goes apart stays."""
        if path in self.own:
            return self.moves.of(path)
        inside = [one for one in self.own if one.startswith(f"{path}/")]
        places = {
            _without(self.moves.of(one), one.removeprefix(path))
            for one in inside
            if PurePosixPath(one).name != "__init__.py"
        }
        (only,) = places if len(places) == 1 else (path,)
        return only or path


def _without(path: str, end: str) -> str | None:
    return path.removesuffix(end) if path.endswith(end) else None
