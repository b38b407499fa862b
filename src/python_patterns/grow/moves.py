"""Where files go when the answers change, and with them files of the user's own.

Git says where the template's files went. From that follow two kinds of rules for
others: ``services/users.py`` to ``users/service.py`` says where ``services/orders.py``
goes, and ``app/main.py`` to ``src/shop/main.py`` says where ``app/clients/`` goes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

WORD = "{}"


def _with_word(path: str, word: str) -> str | None:
    """Replace a word that a path has as directory or as module by a placeholder."""
    parts = path.split("/")
    parts[-1], dot, suffix = parts[-1].partition(".")
    if word not in parts:
        return None
    return "/".join(WORD if part == word else part for part in parts) + dot + suffix


def _words(path: str) -> set[str]:
    parts = path.split("/")
    return {*parts[:-1], parts[-1].partition(".")[0]} - {""}


def _kind(path: str) -> str:
    """Return which votes count for a path: those of modules, or of other files."""
    return "py" if path.endswith(".py") else "other"


def _ancestors(old: str, new: str) -> Iterable[tuple[str, str]]:
    """Yield the directories that a move is a move of, the deepest first."""
    left, right = old.split("/"), new.split("/")
    while left and right and left[-1] == right[-1]:
        left.pop()
        right.pop()
        yield "/".join(left), "/".join(right)


def _package(paths: Iterable[str]) -> str:
    """Return where the one package of a render lies; empty where it has none."""
    packages = {
        path.removesuffix("/__init__.py")
        for path in paths
        if path.endswith("/__init__.py") and not path.startswith("tests/")
    }
    return min(packages, key=lambda package: package.count("/"), default="")


def is_test(path: str) -> bool:
    """Return whether a file is one of pytest's."""
    name = PurePosixPath(path).name
    return name.startswith("test_") or name.endswith("_test.py")


@dataclass
class Moves:
    """Where each path goes.

    Attributes:
        files: The template's files that are somewhere else in the new render, and those
            that stayed.
        old: The paths of the old render.
        new: The paths of the new render.
        places: Where single paths go that were decided on, whatever the rules say.
    """

    files: Mapping[str, str]
    old: frozenset[str]
    new: frozenset[str]
    places: dict[str, str] = field(default_factory=dict)
    _patterns: dict[str, str] = field(default_factory=dict)
    _directories: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_word: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        votes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for old, new in self.files.items():
            for word in _words(old) & _words(new):
                pairs = [(old, new), *_ancestors(old, new)]
                for before, after in pairs:
                    left, right = _with_word(before, word), _with_word(after, word)
                    if left and right:
                        by_word[word][left].add(right)
            for before, after in _ancestors(old, new):
                votes[_kind(old), before][after] += 1
        self._patterns = _agreed(by_word)
        self._directories = {
            key: counted.most_common(1)[0][0] for key, counted in votes.items()
        }
        # Whatever else moved: the package is the package, and no subpackage of it.
        old_root, new_root = _package(self.old), _package(self.new)
        if old_root != new_root:
            self._directories["py", old_root] = new_root

    def of(self, path: str) -> str:
        """Return where a path goes; a path that nothing is known about stays."""
        if path in self.places:
            return self.places[path]
        if path in self.files:
            return self.files[path]
        return self._by_pattern(path) or self._by_directory(path)

    def _by_pattern(self, path: str) -> str | None:
        for length in range(len(path.split("/")), 0, -1):
            parts = path.split("/")
            start, rest = "/".join(parts[:length]), parts[length:]
            for word in sorted(_words(start)):
                pattern = _with_word(start, word)
                if pattern in self._patterns:
                    moved = self._patterns[pattern].replace(WORD, word)
                    return "/".join([moved, *rest])
        return None

    def _by_directory(self, path: str) -> str:
        parts = path.split("/")
        for length in range(len(parts) - 1, -1, -1):
            found = self._directories.get((_kind(path), "/".join(parts[:length])))
            if found is not None:
                moved = "/".join(filter(None, [found, *parts[length:]]))
                return self._to_tests(path, moved)
        return path

    def _to_tests(self, old: str, new: str) -> str:
        """Keep a test out of the package that modules beside it went into."""
        has_tests = any(path.startswith("tests/") for path in self.new)
        if old != new and is_test(old) and has_tests and not new.startswith("tests/"):
            return f"tests/{PurePosixPath(new).name}"
        return new


def _agreed(by_word: Mapping[str, Mapping[str, set[str]]]) -> dict[str, str]:
    """Keep the rules that all names of the domain agree on.

    A name of the domain is one whose files moved in several places; ``errors`` or
    ``main`` moved once and say nothing about others.
    """
    several = 2
    found: dict[str, set[str]] = defaultdict(set)
    for patterns in by_word.values():
        files = [left for left in patterns if left.endswith(".py")]
        if len(files) >= several:
            for left, rights in patterns.items():
                found[left] |= rights
    return {
        left: next(iter(rights))
        for left, rights in found.items()
        if len(rights) == 1 and left != WORD
    }
