"""Where each file goes, decided before anything is merged.

The rules of ``moves`` know the template's files. What the user did to files as a whole
is respected here: files of their own that stand where a template's file goes, and
template files that they renamed, made packages of, deleted, rewrote or turned into
links.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from python_patterns.git import Entry, Repository, Tree
from python_patterns.grow.imports import Rewriting
from python_patterns.grow.kinds import is_document
from python_patterns.grow.modules import Modules, encoded
from python_patterns.grow.moves import Moves
from python_patterns.grow.splits import goes_apart

# How much of a file must be the same for it to be one that was renamed, in percent.
RENAMED = 50
# What part of a document's lines is left where it is the template's no more.
REWRITTEN = 0.2
WHY_DELETED = "deleted here"
WHY_RELATED = "belongs to what was deleted here"
WHY_REWRITTEN = "rewritten here"
WHY_OTHER_KIND = "another kind of file here"
WHY_OWN = "your own, by .patterns-own"


@dataclass
class Settled:
    """What was decided.

    Attributes:
        moves: Where files go.
        occupied: Paths of the new render where the user has a file of their own.
        blocked: Template files that were changed and have to stay, and where they would
            go: the user has a file of their own there.
        origins: The template files that files were before the user renamed them.
        kept: Files that are the user's alone, and why; no reason where the template
            has nothing else for them.
        left_out: Files of the new render that the user does not want; likewise.
        aside: Files that make room for a directory, and the stage of the side that they
            are from.
    """

    moves: Moves
    occupied: set[str] = field(default_factory=set)
    blocked: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)

    def target(self, path: str) -> str:
        """Return where a file that the user changed goes."""
        # What the template has no more is where it was, for people to look at.
        is_gone = path in self.moves.old and path not in self.moves.files
        return path if is_gone or path in self.blocked else self.moves.of(path)


def _kind(entry: Entry) -> str:
    return entry.mode[:3]


def _words(path: str) -> set[str]:
    """Return the words that a path is made of."""
    return set(re.split(r"[/_.]", path.removesuffix(".py"))) - {""}


def _beside(path: str, old: str, new: str) -> str | None:
    """Return where a file goes that is beside one that goes somewhere, or below it."""
    below = old.removesuffix(".py") + "/"
    if path.startswith(below):
        return new.removesuffix(".py") + "/" + path.removeprefix(below)
    if PurePosixPath(path).parent == PurePosixPath(old).parent:
        return str(PurePosixPath(new).with_name(PurePosixPath(path).name))
    return None


def _directories(paths: Iterable[str]) -> set[str]:
    return {str(one) for path in paths for one in PurePosixPath(path).parents} - {"."}


@dataclass
class Settling:
    """Decides where files go.

    Attributes:
        repository: The project's.
        old: The render of the old answers.
        new: The render of the new answers; what it brings is changed here.
        own: The project.
        moves: Where files go; told of what is decided.
        text: Reads a file.
        is_own: Says whether the user wants the template to leave a path alone.
    """

    repository: Repository
    old: Tree
    new: Tree
    own: Tree
    moves: Moves
    text: Callable[[Entry | None], str | None]
    is_own: Callable[[str], bool]

    def settle(self) -> Settled:
        """Decide."""
        settled = Settled(self.moves)
        gone = {path for path in self.old if path not in self.own}
        renamed = self._renamed(gone)
        packages = {
            path: source
            for source, path in renamed.items()
            if path.endswith("/__init__.py")
        }
        names = self._leave_alone(settled, gone, renamed)
        self._template(renamed)
        self._leave_out(settled, gone - renamed.keys())
        self._own(settled, renamed, packages)
        self._rename(names)
        self._make_room(settled)
        self._keep(settled)
        settled.blocked = {
            path: target
            for path in self.own.keys() & self.old.keys()
            if self.own[path] != self.old[path]
            and (target := self.moves.of(path)) in settled.occupied
        }
        return settled

    # --- What the user keeps to themselves --------------------------------------------

    def _leave_alone(
        self, settled: Settled, gone: set[str], renamed: dict[str, str]
    ) -> dict[str, str]:
        """Leave alone what the user said is theirs.

        Returns:
            The names that files of the new render have in this project.
        """
        sources = {target: path for path, target in renamed.items()}
        modules = self._modules()
        names = {}
        for path in filter(self.is_own, self.own):
            source = path if path in self.old else sources.get(path)
            if source and self._is_apart(source, modules):
                source = None
            place = self.moves.of(source) if source else path
            self.moves.places[path] = path
            if source:
                self.moves.places[source] = path
                renamed.pop(source, None)
                gone.discard(source)
            is_same = place == path and self.old.get(path) == self.new.get(path)
            settled.kept[path] = "" if is_same else WHY_OWN
            if place != path and place in self.new:
                names[place] = path
        for path in filter(self.is_own, gone - renamed.keys()):
            place = self.moves.of(path)
            if place in self.new and not self._is_apart(path, modules):
                is_same = place == path and self.old[path] == self.new[place]
                settled.left_out[place] = "" if is_same else WHY_OWN
        for path in filter(self.is_own, self.new):
            if path not in self.own:
                settled.left_out.setdefault(path, WHY_OWN)
        for path in [*filter(self.is_own, self.new), *settled.left_out]:
            self.new.pop(path, None)
        return names

    def _is_apart(self, path: str, modules: Modules) -> bool:
        """Return whether what a module defines goes to several others."""
        text = self.text(self.old[path]) if path.endswith(".py") else None
        return text is not None and goes_apart(path, text, modules)

    # --- Files of the template --------------------------------------------------------

    def _template(self, renamed: Iterable[str]) -> None:
        """Say where the template's own files go: what it has no more goes nowhere."""
        for path in self.old:
            is_module = path.endswith(".py") and not path.endswith("/__init__.py")
            if is_module and path not in self.moves.files and path not in renamed:
                self.moves.places[path] = path

    def _renamed(self, gone: set[str]) -> dict[str, str]:
        """Find the files of the template that the user renamed or made packages of."""
        if not gone:
            return {}
        found = self.repository.renames(
            self.repository.write_tree(self.old),
            self.repository.write_tree(self.own),
            RENAMED,
        )
        renamed = {
            path: target
            for path, target in found.items()
            if path in gone
            and target not in self.old
            and self.old[path].id != self.repository.empty
        }
        for path in gone:
            package = f"{path.removesuffix('.py')}/__init__.py"
            if path.endswith(".py") and package in self.own and package not in self.old:
                renamed[path] = package
        return renamed

    def _leave_out(self, settled: Settled, gone: set[str]) -> None:
        """Leave out what the user deleted, and what the template adds to it."""
        modules = self._modules()
        for path in gone:
            target = self.moves.of(path)
            is_known = path in self.moves.files or path.endswith("/__init__.py")
            if target in self.new and is_known and not self._is_apart(path, modules):
                settled.left_out[target] = WHY_DELETED
        known = {self.moves.of(path) for path in self.old}
        for word in self._dead_words(gone):
            for path in self.new.keys() - known:
                if word in _words(path):
                    settled.left_out[path] = WHY_RELATED
        for path in settled.left_out:
            self.new.pop(path, None)
        for path in [path for path in self.new if path.endswith("/__init__.py")]:
            inside = path.removesuffix("__init__.py")
            is_alone = not any(
                one.startswith(inside) and one != path for one in self.new
            )
            had = any(one.startswith(inside) for one in settled.left_out)
            if is_alone and had and path not in self.own:
                del self.new[path]
                settled.left_out[path] = WHY_RELATED

    def _modules(self) -> Modules:
        return Modules(
            self.moves,
            self.old,
            lambda path: self.text(self.old.get(path)),
            lambda path: self.text(self.new.get(path)),
        )

    def _dead_words(self, gone: set[str]) -> set[str]:
        """Find words of which the user deleted every module that is named after one."""
        files: dict[str, set[str]] = defaultdict(set)
        for path in self.old:
            if path.endswith(".py"):
                for word in _words(path):
                    files[word].add(path)
        several = 2
        dead = {
            word: paths
            for word, paths in files.items()
            if paths <= gone and len(paths) >= several
        }
        return {
            word
            for word, paths in dead.items()
            if not any(paths < others for others in dead.values())
        }

    # --- Files of the user's ----------------------------------------------------------

    def _own(
        self, settled: Settled, renamed: dict[str, str], packages: dict[str, str]
    ) -> None:
        """Say where files go that the template does not have."""
        own = [
            path
            for path in self.own
            if path not in self.old and path not in settled.kept
        ]
        rules = {path: self.moves.of(path) for path in own}
        taken = {self.moves.of(path) for path in self.old if path not in renamed}
        taken |= self.new.keys() - {self.moves.of(path) for path in renamed}
        taken |= {path for path, target in rules.items() if path == target}
        taken |= settled.kept.keys()
        sources = {target: path for path, target in renamed.items()}
        moved: dict[str, str] = {}
        for path in sorted(own, key=lambda path: (path not in sources, path)):
            target = self._place(path, rules[path], sources, packages)
            if target != path and target in taken:
                target = path
            taken.add(target)
            self.moves.places[path] = target
            if path in sources:
                place = self.moves.of(sources[path])
                self.moves.places[sources[path]] = target
                if place in self.new:
                    settled.origins[path] = sources[path]
                    if place != target:
                        moved[place] = target
            elif target in self.new:
                settled.occupied.add(target)
        self._rename(moved)

    def _make_room(self, settled: Settled) -> None:
        """Put files aside that are where a directory of the other side is."""
        places = {self.moves.of(path) for path in self.own if path not in self.old}
        inside = _directories(places)
        for path in [path for path in self.new if path in inside]:
            aside = f"{path}~template"
            self.new[aside] = self.new.pop(path)
            settled.occupied.add(path)
            settled.aside[aside] = 3
        inside |= _directories(self.new) | _directories(map(self.moves.of, self.old))
        for path in self.own:
            place = self.moves.of(path)
            if path not in self.old and place in inside:
                self.moves.places[path] = f"{place}~project"
                settled.aside[f"{place}~project"] = 2

    def _place(
        self,
        path: str,
        rule: str,
        sources: dict[str, str],
        packages: dict[str, str],
    ) -> str:
        """Return where a file goes, if there is room."""
        source = sources.get(path)
        if source is not None:
            place = self.moves.of(source)
            return path if path == place else _beside(path, source, place) or rule
        for package, origin in packages.items():
            if path.startswith(package.removesuffix("__init__.py")):
                init = self.moves.of(package)
                return init.removesuffix("__init__.py") + path.removeprefix(
                    origin.removesuffix(".py") + "/"
                )
        return rule

    def _rename(self, moved: dict[str, str]) -> None:
        """Give files of the new render the names that the user gave them."""
        if not moved:
            return
        was = dict(self.new)
        self.new.clear()
        self.new.update({moved.get(path, path): was[path] for path in was})
        places = {path: moved.get(path, path) for path in was}
        moves = Moves({}, frozenset(was), frozenset(self.new), places)
        rewriting = Rewriting(
            Modules(
                moves,
                list(was),
                lambda path: self.text(was.get(path)),
                lambda path: self.text(self.new.get(path)),
            )
        )
        for path, entry in was.items():
            text = self.text(entry)
            if text is None:
                continue
            if path.endswith(".py"):
                written = rewriting.python(text, path)
            else:
                written = rewriting.text(text)
            if written != text:
                (name,) = self.repository.store([encoded(written)])
                self.new[places[path]] = Entry(entry.mode, name)

    def _keep(self, settled: Settled) -> None:
        """Leave to the user what is the template's no more."""
        for path in self.own.keys() & self.old.keys():
            old, own = self.old[path], self.own[path]
            if own == old or path in settled.kept:
                continue
            if _kind(own) != _kind(old):
                settled.kept[path] = WHY_OTHER_KIND
            elif is_document(path) and self._is_rewritten(old, own):
                settled.kept[path] = WHY_REWRITTEN
        for path in settled.kept:
            self.new.pop(self.moves.of(path), None)

    def _is_rewritten(self, old: Entry, own: Entry) -> bool:
        before, after = (
            {line.strip() for line in (self.text(entry) or "").splitlines()} - {""}
            for entry in (old, own)
        )
        return len(before & after) < REWRITTEN * len(before)
