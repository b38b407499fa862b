"""What growing makes of a project: one three-way merge, prepared so that it is clean.

The two renders and the project are trees of files. What the user did not touch becomes
what the new render has. For the rest, the old render and the project's side are first
brought to where the new render has things: files are moved, imports are rewritten,
definitions follow theirs. What git then has to merge is what people changed.
"""

import itertools
import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import ruff

from python_patterns.git import (
    LINK,
    Conflict,
    Entry,
    Merged,
    Repository,
    Tree,
)
from python_patterns.grow.close import merged_list, merged_toml
from python_patterns.grow.closing import Code, new_faults
from python_patterns.grow.imports import (
    Rewriting,
    block,
    has_same_comments,
    import_line,
    merged_block,
    with_block,
)
from python_patterns.grow.kinds import is_configuration, is_list
from python_patterns.grow.links import Links, leads
from python_patterns.grow.modules import (
    Modules,
    decoded,
    defined,
    encoded,
    lines_of,
    module_of,
    parse,
)
from python_patterns.grow.moves import Moves
from python_patterns.grow.settle import Settled, Settling
from python_patterns.grow.splits import (
    Change,
    applied,
    changes,
    deleted,
    goes_apart,
    split,
)
from python_patterns.grow.waits import Turned
from python_patterns.imports import Imported, imported

# How much of a file must be the same for it to be the same file, in percent.
SIMILAR = 30
# Which stages a path in conflict has, and what that means.
WHY = {
    frozenset({1, 2, 3}): "changed here and in the template",
    frozenset({1, 2}): "changed here, gone from the template",
    frozenset({1, 3}): "deleted or moved here, changed in the template",
    frozenset({2, 3}): "added here and in the template",
}
WHY_ASIDE = "a file here, a directory there"
REGULAR = ("100644", "100755")


@dataclass
class Plan:
    """A merge that was computed and not yet written.

    Attributes:
        tree: The project's files as they will be.
        conflicts: What could not be merged, by stage.
        reasons: What to look at: by path, why.
        edited: Where files are that the user changed or brought.
        moves: Where the project's own files go, those that move.
        left: What the template has and is left to the user: by path, why.
    """

    tree: Tree
    conflicts: Sequence[Conflict]
    reasons: dict[str, str]
    edited: set[str]
    moves: Mapping[str, str]
    left: Mapping[str, str]


@dataclass
class Merger:
    """Merges what changed in a template's output into a project.

    Attributes:
        repository: The project's.
        old: The render of the old answers.
        new: The render of the new answers.
        own: The project.
        directory: Where the new render lies on disk.
        is_own: Says whether the user wants the template to leave a path alone.
    """

    repository: Repository
    old: Tree
    new: Tree
    own: Tree
    directory: Path
    is_own: Callable[[str], bool] = field(default=lambda _: False)
    _base: dict[str, Entry] = field(default_factory=dict)
    _ours: dict[str, Entry] = field(default_factory=dict)
    _texts: dict[str, list[str | None]] = field(default_factory=dict)
    _modes: dict[str, list[str]] = field(default_factory=dict)
    _sources: dict[str, list[str]] = field(default_factory=dict)
    _carried: dict[str, list[Change]] = field(default_factory=dict)
    _unknown: dict[str, str] = field(default_factory=dict)

    # --- Reading ----------------------------------------------------------------------

    def _text(self, entry: Entry | None) -> str | None:
        """Return a file's text; nothing where it is none, or a link."""
        if entry is None or entry.mode not in REGULAR:
            return None
        return decoded(self.repository.content(entry.id))

    @cached_property
    def moves(self) -> Moves:
        """Where files go."""
        renames = self.repository.renames(
            self.repository.write_tree(self.old),
            self.repository.write_tree(self.new),
            SIMILAR,
        )
        stayed = {path: path for path in self.old if path in self.new}
        moved = {
            path: target
            for path, target in renames.items()
            # All empty files are the same file to git.
            if self.old[path].id != self.repository.empty
        }
        return Moves({**stayed, **moved}, frozenset(self.old), frozenset(self.new))

    @cached_property
    def modules(self) -> Modules:
        """Where modules go."""
        return Modules(
            self.moves,
            [*self.own, *(path for path in self.old if path not in self.own)],
            lambda path: self._text(self.old.get(path)),
            lambda path: self._text(self.new.get(path)),
        )

    @cached_property
    def rewriting(self) -> Rewriting:
        """What rewrites files."""
        return Rewriting(self.modules)

    def _is_read(self, path: str) -> bool:
        """Return whether names in a file of the project follow what they name."""
        is_code = path.endswith((".py", ".pyi"))
        return is_code or path in self.old or is_configuration(path)

    def _rewritten(self, text: str, path: str) -> str:
        if path.endswith((".py", ".pyi")):
            return self.rewriting.python(text, path)
        return self.rewriting.text(text) if self._is_read(path) else text

    # --- The two sides ----------------------------------------------------------------

    def plan(self) -> Plan:
        """Compute what becomes of the project."""
        edited = [path for path in self.own if self.own[path] != self.old.get(path)]
        gone = [path for path in self.old if path not in self.own]
        self.repository.fetch_contents(
            entry.id
            for tree, paths in (
                (self.own, edited),
                (self.old, [*edited, *gone]),
                (self.new, [path for path in self.new if path.endswith(".py")]),
            )
            for path in paths
            if (entry := tree.get(path)) and entry.mode in (*REGULAR, LINK)
            # Data may be large, and is not read.
            if entry.mode == LINK or self._is_read(path)
        )
        # What the user does not want, or has under another name, is taken out of it.
        self.new = dict(self.new)
        settled = Settling(
            *(self.repository, self.old, self.new, self.own),
            *(self.moves, self._text, self.is_own),
        ).settle()
        self.moves.new = frozenset(self.new)
        for path in self.old.keys() & self.own.keys() - set(edited):
            target = self.moves.of(path)
            if target in self.new and target not in settled.occupied:
                self._base[target] = self._ours[target] = self.new[target]
        edited = [path for path in edited if path not in settled.kept]
        apart = self._split([path for path in edited if path in self.old], settled)
        targets = {path: settled.target(path) for path in edited if path not in apart}
        for path, target in targets.items():
            self._prepare(path, target, settled)
        self._carry()
        self._keep_packages(targets)
        merged = self._merge()
        for path in settled.kept:
            entry = self.own[path]
            merged.tree[self.moves.of(path)] = (
                self.links.follow(path, entry) if entry.mode == LINK else entry
            )
        return self._finished(merged, targets, settled)

    def _split(self, paths: Iterable[str], settled: Settled) -> set[str]:
        """Split what was changed in files that have no single successor."""
        found = set()
        for path in paths:
            texts = self._text(self.old[path]), self._text(self.own[path])
            old, own = texts
            if not path.endswith(".py") or old is None or own is None:
                continue
            if parse(own) is None or not goes_apart(path, old, self.modules):
                continue
            result = split(path, old, own, self.modules)
            target = self.moves.of(path)
            is_free = target in self.new and target not in settled.occupied
            modes = [self.old[path].mode, self.own[path].mode]
            is_there = result.changes.keys() <= self.new.keys() - settled.occupied
            if result.stays or not is_there or (modes[0] != modes[1] and not is_free):
                # What was deleted does not come back in another file.
                gone = deleted(path, old, own, self.modules)
                self._send(path, {home: gone[home] for home in gone if home != target})
                continue
            found.add(path)
            if is_free:
                new = self.new[target]
                self._base[target] = Entry(modes[0], new.id)
                self._ours[target] = Entry(modes[1], new.id)
                self._modes[target] = modes
            self._send(path, result.changes)
        return found

    def _send(self, path: str, sent: Mapping[str, Iterable[Change]]) -> None:
        """Have changes of a file carried to others."""
        for home, found_changes in sent.items():
            if home not in self.new:
                continue
            self._carried.setdefault(home, []).extend(
                replace(
                    change,
                    old=self._rewritten(change.old, path),
                    own=self._rewritten(change.own, path),
                )
                for change in found_changes
            )
            self._sources.setdefault(home, []).append(path)

    def _prepare(self, path: str, target: str, settled: Settled) -> None:
        """Bring one file of the old render and of the project to its new place."""
        origin = settled.origins.get(path, path)
        old, own = self.old.get(origin), self.own[path]
        if own.mode == LINK:
            self._ours[target] = self.links.follow(path, own)
            if old:
                self._base[target] = old
            return
        there = [entry for entry in (old, own) if entry]
        is_data = old is None and not self._is_read(path)
        if not is_data and None not in map(self._text, there):
            old_text, own_text = self._text(old), self._text(own)
            self._texts[target] = [
                None if old_text is None else self._rewritten(old_text, origin),
                self._rewritten(own_text or "", path),
                self._text(self.new.get(target)),
            ]
            self._modes[target] = [entry.mode for entry in there]
            self._sources.setdefault(target, []).append(path)
            return
        if old:
            self._base[target] = old
        self._ours[target] = own

    @cached_property
    def links(self) -> Links:
        """Where the user's links lead."""
        return Links(self.repository, self.own, self.moves)

    def _carry(self) -> None:
        """Write changed definitions where the template has them now."""
        for target, carried in self._carried.items():
            new = self._text(self.new.get(target)) or ""
            base, ours, _ = self._texts.get(target, [new, new, new])
            self._texts[target] = [
                applied(base or "", carried, own=False),
                applied(ours or "", carried, own=True),
                new,
            ]
            self._modes.setdefault(target, [self.new[target].mode] * 2)

    def _keep_packages(self, targets: Mapping[str, str]) -> None:
        """Make packages of the directories that the user's own modules go to."""
        own_files = [target for target in targets.values() if target.endswith(".py")]
        known = self.new.keys() | self._ours.keys() | self._texts.keys()
        for path, target in targets.items():
            directory = PurePosixPath(target).parent
            marker = f"{directory}/__init__.py"
            above = f"{directory.parent}/__init__.py"
            was = PurePosixPath(path).parent / "__init__.py"
            if (
                path in self.own
                and target in own_files
                and marker not in known
                and above in known
                and str(was) in self.own
            ):
                self._ours[marker] = Entry("100644", self.repository.empty)

    # --- Merging ----------------------------------------------------------------------

    def _merge(self) -> Merged:
        new = dict(self.new)
        stored: list[tuple[dict[str, Entry], str, str, str]] = []
        for target, texts in self._texts.items():
            base, ours, theirs = _in_step(target, *texts)
            modes = self._modes[target]
            if base is not None:
                stored.append((self._base, target, modes[0], base))
            if ours is not None:
                stored.append((self._ours, target, modes[-1], ours))
            if theirs is not None and theirs != texts[2]:
                stored.append((new, target, new[target].mode, theirs))
        ids = self.repository.store([encoded(text) for *_, text in stored])
        for (tree, target, mode, _), name in zip(stored, ids, strict=True):
            tree[target] = Entry(mode, name)
        return self.repository.merge(self._base, self._ours, new)

    def _finished(
        self, merged: Merged, targets: Mapping[str, str], settled: Settled
    ) -> Plan:
        tree = dict(merged.tree)
        open_paths = {conflict.path for conflict in merged.conflicts}
        mended = [
            path
            for path in self._sources
            if path.endswith(".py")
            and path in tree
            and path not in open_paths
            and tree[path] != self.new.get(path)
        ]
        self._mend(tree, mended)
        for path in self._left_packages(tree):
            del tree[path]
        reasons = _reasons(merged.conflicts)
        for path, target in settled.blocked.items():
            reasons[path] = f"is {target} in the template, where you have another file"
        looked = dict(self._waits(mended))
        faults = self._faults(tree, targets, open_paths)
        for path, reason in itertools.chain(self._unknown.items(), faults):
            looked[path] = "; ".join(filter(None, [looked.get(path), reason]))
        conflicts = list(merged.conflicts)
        for path, stage in settled.aside.items():
            if path in tree:
                reasons[path] = WHY_ASIDE
                conflicts.append(Conflict(path, stage, tree[path]))
        for path, reason in looked.items():
            reasons.setdefault(path, reason)
            sides = self._base.get(path), self._ours.get(path), self.new.get(path)
            conflicts += [
                Conflict(path, stage, entry)
                for stage, entry in enumerate(sides, start=1)
                if entry and path not in open_paths
            ]
        moved = {
            path: target
            for path, target in targets.items()
            if path != target and path in self.own and target in tree
        }
        edited = {target for path, target in targets.items() if path in self.own}
        edited |= self._carried.keys()
        left = {self.moves.of(path): why for path, why in settled.kept.items()}
        left = {path: why for path, why in (left | settled.left_out).items() if why}
        return Plan(tree, conflicts, reasons, edited, moved, left)

    def _faults(
        self, tree: Tree, targets: Mapping[str, str], open_paths: set[str]
    ) -> Iterator[tuple[str, str]]:
        """Find what works no more: imports, syntax, links."""
        before, after = self._code(self.own), self._code(tree)
        sources: dict[str, list[str]] = {}
        for path in self.own:
            sources.setdefault(targets.get(path, self.moves.of(path)), []).append(path)
        for path, reasons in new_faults(before, after, sources).items():
            if path not in open_paths:
                yield path, "; ".join(reasons)
        for path, entry in tree.items():
            if entry.mode == LINK:
                says = self.links.text(entry)
                was = any(
                    leads(source, self.links.text(self.own[source]), self.own)
                    for source in sources.get(path, ())
                    if self.own[source].mode == LINK
                )
                if was and not leads(path, says, tree):
                    yield path, f"links to {says}, which is not there"

    def _code(self, tree: Tree) -> Code:
        paths = [
            path
            for path, entry in tree.items()
            if path.endswith(".py") and entry.mode in REGULAR
        ]
        self.repository.fetch_contents(tree[path].id for path in paths)
        return Code({path: self.repository.content(tree[path].id) for path in paths})

    def _left_packages(self, tree: Tree) -> list[str]:
        """Find what made a directory a package from which all modules moved away."""
        return [
            path
            for path in tree
            if path.endswith("/__init__.py")
            and path not in self.new
            and tree[path].id == self.repository.empty
            and (inside := path.removesuffix("__init__.py"))
            and any(one.startswith(inside) and one != path for one in self.own)
            and not any(one.startswith(inside) and one != path for one in tree)
        ]

    def _waits(self, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Find what the user wrote that waits differently from the template now."""
        if not paths:
            return
        turned = Turned.between(
            *(list(self._python(tree)) for tree in (self.old, self.new))
        )
        for path in paths:
            base, ours, _ = self._texts[path]
            reason = turned.reason(base or "", ours or "")
            if reason:
                yield path, reason

    def _python(self, tree: Tree) -> Iterator[str]:
        entries = [entry for path, entry in tree.items() if path.endswith(".py")]
        self.repository.fetch_contents(entry.id for entry in entries)
        return filter(None, map(self._text, entries))

    # --- Mending ----------------------------------------------------------------------

    def _mend(self, tree: Tree, paths: Sequence[str]) -> None:
        """Add missing imports, and sort and format what was rewritten."""
        if not paths:
            return
        for path in paths:
            self._write(path, self._text(tree[path]) or "")
        self._add_missing(paths)
        tidy = self._tidy(paths)
        if tidy:
            self._ruff("check", "--select", "I", "--fix", "--exit-zero", *tidy)
            self._ruff("format", *tidy)
        texts = [(self.directory / path).read_bytes() for path in paths]
        for path, name in zip(paths, self.repository.store(texts), strict=True):
            tree[path] = Entry(tree[path].mode, name)

    def _write(self, path: str, text: str) -> Path:
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(text))
        return file

    def _ruff(self, *words: str) -> str:
        done = subprocess.run(
            (ruff.find_ruff_bin(), *words[:1], "--no-cache", "--quiet", *words[1:]),
            cwd=self.directory,
            capture_output=True,
            check=False,
            text=True,
        )
        return done.stdout

    def _tidy(self, paths: Sequence[str]) -> list[str]:
        """Return the files that were formatted before they were touched here."""
        probes: dict[Path, tuple[str, bytes]] = {}
        untidy = set()
        for path in paths:
            for source in self._sources[path]:
                text = self._text(self.own.get(source))
                if text is None:
                    untidy.add(path)
                    continue
                # Beside the source: settings may differ between directories.
                name = PurePosixPath(source).with_name(f"_probe_{len(probes)}.py")
                probes[self._write(str(name), text)] = path, encoded(text)
        # All at once: starting the formatter takes longer than its work.
        if probes:
            names = [str(probe.relative_to(self.directory)) for probe in probes]
            self._ruff("format", *names)
        for probe, (path, content) in probes.items():
            if probe.read_bytes() != content:
                untidy.add(path)
            probe.unlink()
        return [path for path in paths if path not in untidy]

    def _add_missing(self, paths: Sequence[str]) -> None:
        """Import what the user's lines use and the template imports no more."""
        unknown: dict[str, list[str]] = {}
        for path, names in self._undefined(paths).items():
            found = {name: self._import_of(path, name) for name in names}
            unknown[path] = [name for name in names if not found[name]]
            text = decoded((self.directory / path).read_bytes()) or ""
            lines = lines_of(text)
            top = block(text)
            at = top.after if top else _after_docstring(text)
            lines[at:at] = [import_line(one[0], [one]) for one in found.values() if one]
            self._write(path, "".join(lines))
        self._name_unknown({path: names for path, names in unknown.items() if names})

    def _name_unknown(self, unknown: Mapping[str, Sequence[str]]) -> None:
        """Remember names that nothing defines any more, where something did before."""
        probes: dict[str, str] = {}
        for path in unknown:
            for source in self._sources[path]:
                name = PurePosixPath(source).with_name(f"_probe_{len(probes)}.py")
                self._write(str(name), self._text(self.own.get(source)) or "")
                probes[str(name)] = path
        before = self._undefined(list(probes)) if probes else {}
        known = {(probes[one], name) for one, names in before.items() for name in names}
        for probe in probes:
            (self.directory / probe).unlink()
        for path, names in unknown.items():
            lost = [name for name in names if (path, name) not in known]
            if lost:
                self._unknown[path] = f"uses {', '.join(lost)}, which is not there"

    def _undefined(self, paths: Sequence[str]) -> dict[str, list[str]]:
        """Return the names that nothing defines, by file."""
        output = self._ruff(
            *("check", "--select", "F821", "--output-format", "json", "--exit-zero"),
            *paths,
        )
        found: dict[str, dict[str, None]] = {}
        for finding in json.loads(output or "[]"):
            if finding["code"] == "F821":
                file = Path(finding["filename"]).relative_to(self.directory)
                name = finding["message"].split("`")[1]
                found.setdefault(file.as_posix(), {})[name] = None
        return {path: list(names) for path, names in found.items()}

    def _import_of(self, path: str, name: str) -> Imported | None:
        """Find how the project's file made a name known."""
        for source in self._sources[path]:
            text = self._text(self.own.get(source)) or ""
            module = parse(self._rewritten(text, source))
            for statement in module.body if module else ():
                for one in imported(statement):
                    if one.bound == name:
                        return one
            if name in defined(text):
                home = self.modules.home(source, name)
                if home and home != path:
                    return Imported(module_of(home) or "", name, None)
        return None


def _reasons(conflicts: Iterable[Conflict]) -> dict[str, str]:
    """Return why each path is in conflict: who changed or removed it."""
    sides: dict[str, set[int]] = {}
    for one in conflicts:
        sides.setdefault(one.path, set()).add(one.stage)
    return {
        path: WHY.get(frozenset(stages), WHY_ASIDE) for path, stages in sides.items()
    }


def _after_docstring(text: str) -> int:
    module = parse(text)
    return (module.body[0].end_lineno or 0) if module and module.body else 0


def _in_step(
    path: str, base: str | None, ours: str | None, theirs: str | None
) -> tuple[str | None, str | None, str | None]:
    """Remove from three versions of a file what is no conflict of people.

    Line ends that the user changed are changed on all sides, and imports are merged.
    """
    if base is None or ours is None or theirs is None:
        return base, ours, theirs
    if "\r\n" in ours and "\r\n" not in base:
        base, theirs = (text.replace("\n", "\r\n") for text in (base, theirs))
        return base, ours, theirs
    whole = merged_list if is_list(path) else merged_toml
    if is_list(path) or path.endswith(".toml"):
        merged = whole(base, ours, theirs)
        return (base, ours, theirs) if merged is None else (theirs, merged, theirs)
    found = changes(base, ours)
    blocks = [block(text) for text in (base, ours, theirs)]
    first, second, third = blocks
    if found is None:
        return base, ours, theirs
    if first and second and third and has_same_comments(first, second):
        merged = with_block(theirs, third, merged_block(first, second, third))
    elif first == second:
        merged = theirs
    else:
        return base, ours, theirs
    return applied(merged, found, own=False), applied(merged, found, own=True), merged
