"""A merge that was written and not yet committed: it is finished, or taken back.

What is written is recorded beside the index, with a copy of each file that is changed
or removed: git alone cannot give back line ends, permissions and times. The record is
of use until the next commit.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from python_patterns.answers import one_line
from python_patterns.git import LINK, Conflict, Entry, Repository, Tree
from python_patterns.grow.closing import Code, new_faults
from python_patterns.grow.links import leads
from python_patterns.grow.report import RefusedError

NAME = "patterns-merge"
# Lines of conflict markers: any where there was a conflict, elsewhere those of a merge
# of this program, which other files do not have by chance.
MARKER = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)
OUR_MARKER = re.compile(rb"^(<{7} this project|>{7} the template)$", re.MULTILINE)
KEPT = "patterns abort: what was changed since the merge"


@dataclass(frozen=True)
class Unfinished:
    """What was written.

    Attributes:
        head: The commit that was the last one.
        changed: Paths of the repository that were written or removed, and what they
            were before and after: mode and content, or nothing.
        conflicts: Paths of the project that were in conflict.
        moves: Where the project's own files went, those that moved.
    """

    head: str
    changed: Mapping[str, Sequence[Sequence[str] | None]]
    conflicts: Sequence[str]
    moves: Mapping[str, str]


@dataclass(frozen=True)
class Record:
    """The record of an unfinished merge.

    Attributes:
        repository: The project's.
    """

    repository: Repository

    @cached_property
    def directory(self) -> Path:
        """Where it is: one place for each project of a repository."""
        prefix = self.repository.prefix
        number = hashlib.sha256(os.fsencode(prefix)).hexdigest()[:12]
        name = f"{NAME}-{number}" if prefix else NAME
        return self.repository.git_directory / name

    @cached_property
    def top(self) -> Path:
        """The directory that the repository's paths start from."""
        return Path(self.repository.line("rev-parse", "--show-toplevel"))

    def read(self) -> Unfinished | None:
        """Read it; nothing where there is none."""
        try:
            text = (self.directory / "merge.json").read_text("utf-8")
        except FileNotFoundError:
            return None
        try:
            return Unfinished(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise RefusedError(
                f"{self.directory} is not what this version of patterns writes: remove"
                " it, if no merge waits to be finished"
            ) from error

    def write(
        self,
        before: str,
        after: str,
        conflicts: Sequence[Conflict],
        moves: Mapping[str, str],
    ) -> None:
        """Record what is about to be written.

        Args:
            before: The tree of the last commit.
            after: The tree to come.
            conflicts: What could not be merged.
            moves: Where the project's own files go.
        """
        trees = [self.repository.read_tree(tree) for tree in (before, after)]
        paths = sorted({conflict.path for conflict in conflicts})
        changed = {
            path: [_pair(tree.get(path)) for tree in trees]
            for path in sorted(trees[0].keys() | trees[1].keys())
            if trees[0].get(path) != trees[1].get(path)
        }
        for path in (f"{self.repository.prefix}{path}" for path in paths):
            changed.setdefault(path, [_pair(tree.get(path)) for tree in trees])
        head = self.repository.line("rev-parse", "HEAD")
        unfinished = Unfinished(head, changed, paths, dict(moves))
        self.forget()
        written = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(written, ignore_errors=True)
        written.mkdir()
        for path, (was, _) in changed.items():
            if was and os.path.lexists(self.top / path):
                try:
                    _copy(self.top / path, written / "files" / path)
                except OSError as error:
                    raise RefusedError(
                        f"{path} cannot be copied: {one_line(error)}"
                    ) from error
        text = json.dumps(unfinished.__dict__)
        (written / "merge.json").write_text(text, encoding="utf-8")
        written.rename(self.directory)

    def forget(self) -> None:
        """Remove it: the merge is finished, or was taken back."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def open(self, what: str) -> Unfinished:
        """Read it if the merge can still be finished or taken back.

        Args:
            what: What the user wants to do with it, in a word.

        Raises:
            RefusedError: There is none, or it was committed.
        """
        unfinished = self.read()
        if unfinished is None:
            raise RefusedError(f"there is no merge to {what}")
        if self.repository.line("rev-parse", "HEAD") != unfinished.head:
            raise RefusedError(
                f"there is no merge to {what}: it was committed, or another commit was"
                " checked out since; git revert takes a commit back"
            )
        return unfinished

    def refuse(self) -> None:
        """Check that no merge waits for the user.

        Raises:
            RefusedError: One does.
        """
        unfinished = self.read()
        if unfinished is None:
            return
        head = self.repository.run("rev-parse", "--verify", "HEAD").decode().strip()
        if head == unfinished.head and self.repository.run(
            "diff", "--cached", "--name-only", "HEAD", "--", "."
        ):
            raise RefusedError(
                "the last grow or update is not committed: finish it with patterns"
                " continue and git commit, or take it back with patterns abort"
            )


def _pair(entry: Entry | None) -> Sequence[str] | None:
    return (entry.mode, entry.id) if entry else None


def _copy(source: Path, target: Path) -> None:
    """Copy a file, with its permissions and times, or a link."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():  # a submodule
        return
    shutil.copy2(source, target, follow_symlinks=False)


# --- Taking it back -------------------------------------------------------------------


def abort(repository: Repository) -> list[str]:
    """Give a project back as it was before the last merge, to the byte.

    What the user changed since in the files that were written is put into git's stash.

    Returns:
        The paths of which something is in the stash.

    Raises:
        RefusedError: There is nothing to take back, or something is in the way.
    """
    record = Record(repository)
    unfinished = record.open("abort")
    if (repository.git_directory / "index.lock").exists():
        raise RefusedError("another git is at work in this project: wait until it ends")
    before = [path for path, (was, _) in unfinished.changed.items() if was]
    _refuse_in_the_way(record.top, before, unfinished.changed.keys())
    since = _changed_since(record, unfinished)
    if since:
        _keep(record, unfinished, since)
    for path, (was, _) in unfinished.changed.items():
        place = record.top / path
        if not was and (place.is_symlink() or not place.is_dir()):
            place.unlink(missing_ok=True)
            _remove_empty(place.parent, record.top)
    for path in before:
        copy = record.directory / "files" / path
        if os.path.lexists(copy):
            _put_back(copy, record.top / path)
    repository.run(
        *("reset", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul"),
        unfinished.head,
        stdin=_listed(f":(top,literal){path}" for path in unfinished.changed),
    )
    repository.run("update-index", "-q", "--refresh", codes=(0, 1))
    record.forget()
    return since


def _listed(paths: Iterable[str]) -> bytes:
    return "".join(f"{path}\0" for path in paths).encode(errors="surrogateescape")


def _refuse_in_the_way(top: Path, paths: Iterable[str], ours: Iterable[str]) -> None:
    """Check that nothing of the user's is where files come back."""
    known = {str(top / path) for path in ours}
    for path in paths:
        place = top / path
        if place.is_dir() and not place.is_symlink():
            for root, directories, files in os.walk(place):
                links = [one for one in directories if Path(root, one).is_symlink()]
                for name in [*files, *links]:
                    if f"{root}/{name}" not in known:
                        raise RefusedError(
                            f"{Path(root, name).relative_to(top)} is where {path} comes"
                            " back: move it away"
                        )
        for parent in place.relative_to(top).parents:
            file = top / parent
            if file.is_file() and str(file) not in known:
                raise RefusedError(
                    f"{parent} is a file where {path} comes back: move it away"
                )


def _changed_since(record: Record, unfinished: Unfinished) -> list[str]:
    """Find the files that are neither what was written nor what they were before."""
    names: list[set[str]] = []
    with tempfile.TemporaryDirectory(dir=record.repository.scratch) as directory:
        for side in (0, 1):
            index = Path(directory, str(side))
            entries = {
                path: Entry(*pair)
                for path, sides in unfinished.changed.items()
                if (pair := sides[side])
            }
            _write_index(record.repository, entries, index)
            listed = record.repository.run(
                "diff-files", "--name-only", "-z", index=index
            )
            differs = set(listed.decode(errors="surrogateescape").split("\0"))
            names.append(differs | (unfinished.changed.keys() - entries.keys()))
    return [
        path
        for path in unfinished.changed
        if path in names[0] and path in names[1] and os.path.lexists(record.top / path)
    ]


def _write_index(repository: Repository, entries: Tree, index: Path) -> None:
    lines = (f"{one.mode} {one.id}\t{path}" for path, one in entries.items())
    repository.run("read-tree", "--empty", index=index)
    repository.run(
        "update-index", "-z", "--index-info", stdin=_listed(lines), index=index
    )
    repository.run("update-index", "-q", "--refresh", codes=(0, 1), index=index)


def _keep(record: Record, unfinished: Unfinished, paths: Iterable[str]) -> None:
    """Put files into the stash, as they are now."""
    repository, head = record.repository, unfinished.head
    with tempfile.TemporaryDirectory(dir=repository.scratch) as directory:
        index = Path(directory, "index")
        repository.run("read-tree", head, index=index)
        staged = repository.line(
            "commit-tree", f"{head}^{{tree}}", "-p", head, "-m", KEPT
        )
        repository.run(
            *("update-index", "--add", "-z", "--stdin"),
            stdin=_listed(
                os.path.relpath(record.top / path, repository.project) for path in paths
            ),
            index=index,
        )
        tree = repository.run("write-tree", index=index).decode().strip()
    words = ("commit-tree", tree, "-p", head, "-p", staged, "-m", KEPT)
    repository.run("stash", "store", "--quiet", "-m", KEPT, repository.line(*words))


def _put_back(copy: Path, file: Path) -> None:
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Beside it first: a file is there as a whole, or not at all.
    written = file.with_name(".patterns-back")
    shutil.copy2(copy, written, follow_symlinks=False)
    written.replace(file)


def _remove_empty(directory: Path, top: Path) -> None:
    while directory != top and directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent


# --- Finishing it ---------------------------------------------------------------------


def check_finished(repository: Repository) -> dict[str, str]:
    """Look for what is left to do in a merge, in what git would commit now.

    Returns:
        Paths to look at, and why; nothing where the merge can be committed.

    Raises:
        RefusedError: There is no merge to finish.
    """
    unfinished = Record(repository).open("continue")
    found = dict.fromkeys(_unmerged(repository), "git add it when it is resolved")
    listed = repository.run("diff", "--name-only", "-z", "--relative", "--", ".")
    for path in filter(None, listed.decode(errors="surrogateescape").split("\0")):
        found.setdefault(path, "changed since it was added: git add it again")
    before = repository.read_tree(f"{unfinished.head}:{repository.prefix}")
    with tempfile.TemporaryDirectory(dir=repository.scratch) as directory:
        after = _staged(repository, Path(directory, "index"), found)
    known = {entry.id for entry in before.values()}
    suspects = [
        path
        for path, entry in after.items()
        if entry.id not in known and entry.mode != "160000"
    ]
    repository.fetch_contents(after[path].id for path in suspects)
    for path in suspects:
        marker = MARKER if path in unfinished.conflicts else OUR_MARKER
        if marker.search(repository.content(after[path].id)):
            found[path] = "has conflict markers"
    for path, reason in _faults(repository, before, after, unfinished.moves):
        found.setdefault(path, reason)
    return found


def _unmerged(repository: Repository) -> list[str]:
    listed = repository.run("ls-files", "--unmerged", "-z", "--", ".")
    lines = listed.decode(errors="surrogateescape").split("\0")
    return sorted({line.partition("\t")[2] for line in lines if line})


def _staged(repository: Repository, index: Path, changed: Iterable[str]) -> Tree:
    """Return what git would commit if the changed files were added."""
    shutil.copyfile(repository.git_directory / "index", index)
    repository.run(
        *("update-index", "--add", "--remove", "-z", "--stdin"),
        stdin=_listed(changed),
        index=index,
    )
    tree = repository.run("write-tree", index=index).decode().strip()
    return repository.read_tree(f"{tree}:{repository.prefix}")


def _faults(
    repository: Repository, before: Tree, after: Tree, moves: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Find what works no more: imports, syntax, links."""
    sources: dict[str, list[str]] = {}
    for path in before:
        sources.setdefault(moves.get(path, path), []).append(path)
    codes = _code(repository, before), _code(repository, after)
    for path, reasons in new_faults(*codes, sources).items():
        yield path, "; ".join(reasons)
    for path, entry in after.items():
        led = any(
            leads(source, os.fsdecode(repository.content(before[source].id)), before)
            for source in sources.get(path, ())
            if entry.mode == LINK and before[source].mode == LINK
        )
        if led and not leads(
            path, says := os.fsdecode(repository.content(entry.id)), after
        ):
            yield path, f"links to {says}, which is not there"


def _code(repository: Repository, tree: Tree) -> Code:
    paths = [
        path
        for path, entry in tree.items()
        if path.endswith(".py") and entry.mode.startswith("100")
    ]
    repository.fetch_contents(tree[path].id for path in paths)
    return Code({path: repository.content(tree[path].id) for path in paths})
