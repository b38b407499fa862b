"""Git: the one place that runs it, and a store of files and a merger of trees.

Commands run without hooks and signatures, and without the variables of a git that
calls, such as one that runs a hook: they would lead to its repository.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from python_patterns.grow.report import RefusedError

GIT = shutil.which("git") or "git"
# The user's hooks and keys are for the user's own commits.
SETTINGS = (
    *("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false"),
    *("-c", "core.fsmonitor=false", "-c", "core.quotePath=false"),
    *("-c", "gc.auto=0", "-c", "maintenance.auto=false"),
    # Files were moved before git sees them.
    *("-c", "merge.renames=false", "-c", "merge.directoryRenames=false"),
    *("-c", "merge.renameLimit=20000", "-c", "diff.renameLimit=20000"),
)
OLDEST = (2, 38)
# The mode of a symbolic link in a tree.
LINK = "120000"
# Variables with which a git tells the programs that it runs about its repository, and
# those that change what paths mean or where hooks come from.
POINTING = re.compile(
    "GIT_((IMPLICIT_)?WORK_TREE|DIR|COMMON_DIR|NAMESPACE|PREFIX|INDEX_FILE|GRAFT_FILE"
    "|SHALLOW_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|QUARANTINE_PATH"
    "|INTERNAL_.*|REPLACE_REF_BASE|NO_REPLACE_OBJECTS|INDEX_VERSION|ATTR_SOURCE"
    "|TEMPLATE_DIR|EXTERNAL_DIFF|(LITERAL|GLOB|NOGLOB|ICASE)_PATHSPECS)"
)
WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "patterns"), ("EMAIL", "patterns@localhost"))
}


class GitError(RefusedError):
    """Git refused; the message is its own."""


@dataclass(frozen=True)
class Entry:
    """One file of a tree.

    Attributes:
        mode: As git writes it: 100644, 100755, 120000 or 160000.
        id: The name of its content.
    """

    mode: str
    id: str


type Tree = dict[str, Entry]


@dataclass(frozen=True)
class Conflict:
    """One stage of a path that git could not merge.

    Attributes:
        path: The file.
        stage: 1 for the base, 2 for the project's side, 3 for the template's.
        entry: What that side has.
    """

    path: str
    stage: int
    entry: Entry


@dataclass(frozen=True)
class Merged:
    """What became of three trees.

    Attributes:
        tree: All files; those in conflict with markers, or with one side of them.
        conflicts: The stages of what could not be merged.
    """

    tree: Tree
    conflicts: Sequence[Conflict]


def _variables() -> dict[str, str]:
    """Return the environment without what would point git to another repository."""
    kept = {key: val for key, val in os.environ.items() if not POINTING.fullmatch(key)}
    return {**kept, **WHO, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}


def separated(environment: Mapping[str, str]) -> dict[str, str]:
    """Let programs that run git, such as copier, see no calling git, and no hooks.

    Args:
        environment: Variables.

    Returns:
        Those to run them with.
    """
    kept = {key: val for key, val in environment.items() if not POINTING.fullmatch(key)}
    number = int(kept.get("GIT_CONFIG_COUNT") or 0)
    return {
        **kept,
        # An empty one has no hooks.
        "GIT_TEMPLATE_DIR": "",
        # Settings from the environment come after the user's.
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": "core.hooksPath",
        f"GIT_CONFIG_VALUE_{number}": os.devnull,
    }


def run(
    *words: str,
    directory: Path,
    stdin: bytes = b"",
    codes: Iterable[int] = (0,),
    variables: Mapping[str, str] | None = None,
    inherited: Collection[int] = (),
) -> bytes:
    """Run git and return its output.

    Args:
        words: The command and its arguments.
        directory: Where it runs.
        stdin: Its standard input.
        codes: The exit codes that are no error.
        variables: Added to its environment.
        inherited: Numbers of open files that it keeps open too.

    Raises:
        GitError: It exits with another code.
    """
    done = subprocess.run(
        (GIT, *SETTINGS, *words),
        cwd=directory,
        env={**_variables(), **(variables or {})},
        input=stdin,
        capture_output=True,
        check=False,
        pass_fds=inherited,
    )
    if done.returncode not in codes:
        said = " ".join(done.stderr.decode(errors="replace").split()) or "no reason"
        raise GitError(f"git {words[0]} failed in {directory}: {said}")
    return done.stdout


@dataclass
class Repository:
    """The repository that a project lies in.

    Attributes:
        project: The project's directory.
        scratch: An empty directory for what is only needed meanwhile.
        keeps: Whether new objects are kept; if not, they go with ``scratch``.
        inherited: Numbers of open files that every git keeps open too.
    """

    project: Path
    scratch: Path
    keeps: bool = True
    inherited: Collection[int] = ()
    _contents: dict[str, bytes] = field(default_factory=dict)

    def run(
        self,
        *words: str,
        stdin: bytes = b"",
        codes: Iterable[int] = (0,),
        index: Path | None = None,
        directory: Path | None = None,
    ) -> bytes:
        """Run git in the project and return its output; see ``run``.

        Args:
            words: The command and its arguments.
            stdin: Its standard input.
            codes: The exit codes that are no error.
            index: An index other than the repository's own.
            directory: Where it runs, instead of in the project.

        Raises:
            GitError: It exits with another code.
        """
        variables = {}
        if directory:
            variables["GIT_DIR"] = str(self.git_directory)
        if index:
            variables["GIT_INDEX_FILE"] = str(index)
        if not self.keeps and words[0] != "rev-parse":
            objects = self.scratch / "objects"
            objects.mkdir(exist_ok=True)
            variables["GIT_OBJECT_DIRECTORY"] = str(objects)
            variables["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(self._objects)
        return run(
            *words,
            directory=directory or self.project,
            stdin=stdin,
            codes=codes,
            variables=variables,
            inherited=self.inherited,
        )

    def line(self, *words: str) -> str:
        """Run git and return its one line."""
        return self.run(*words).decode().rstrip("\n")

    @cached_property
    def git_directory(self) -> Path:
        """Where this work tree's index and heads are."""
        return Path(self.line("rev-parse", "--absolute-git-dir"))

    @cached_property
    def _objects(self) -> Path:
        found = Path(self.line("rev-parse", "--git-path", "objects"))
        return found if found.is_absolute() else self.project / found

    @cached_property
    def prefix(self) -> str:
        """The project's place in the repository: empty, or ending in a slash."""
        return self.line("rev-parse", "--show-prefix")

    @cached_property
    def empty(self) -> str:
        """The name of an empty file."""
        return self.run("hash-object", "--stdin").decode().strip()

    # --- Files ------------------------------------------------------------------------

    def read_tree(self, tree: str) -> Tree:
        """List the files of a tree."""
        listed = self.run("ls-tree", "-r", "-z", "--full-tree", tree).decode(
            errors="surrogateescape"
        )
        found = {}
        for line in filter(None, listed.split("\0")):
            about, _, path = line.partition("\t")
            mode, _, name = about.split(" ")
            found[path] = Entry(mode, name)
        return found

    def write_tree(self, files: Tree) -> str:
        """Store a tree and return its name."""
        lines = "".join(
            f"{entry.mode} {entry.id}\t{path}\0" for path, entry in files.items()
        )
        with tempfile.TemporaryDirectory(dir=self.scratch) as directory:
            index = Path(directory, "index")
            self.run("read-tree", "--empty", index=index)
            self.run(
                *("update-index", "-z", "--index-info"),
                stdin=lines.encode(errors="surrogateescape"),
                index=index,
            )
            return self.run("write-tree", index=index).decode().strip()

    def graft(self, tree: str) -> str:
        """Return the repository's last commit's tree with the project's part replaced.

        Args:
            tree: The project's files.
        """
        if not self.prefix:
            return tree
        with tempfile.TemporaryDirectory(dir=self.scratch) as directory:
            index = Path(directory, "index")
            self.run("read-tree", "HEAD", index=index)
            self.run("rm", "-r", "-q", "--cached", "--", ".", index=index)
            self.run("read-tree", f"--prefix={self.prefix}", tree, index=index)
            return self.run("write-tree", index=index).decode().strip()

    def fetch_contents(self, ids: Iterable[str]) -> None:
        """Read files at once that ``content`` will be asked for."""
        wanted = [name for name in dict.fromkeys(ids) if name not in self._contents]
        if not wanted:
            return
        output = self.run("cat-file", "--batch", stdin="\n".join(wanted).encode())
        position = 0
        for name in wanted:
            end = output.index(b"\n", position)
            size = int(output[position:end].split()[2])
            self._contents[name] = output[end + 1 : end + 1 + size]
            position = end + size + 2

    def content(self, name: str) -> bytes:
        """Return a file's content."""
        if name not in self._contents:
            self.fetch_contents([name])
        return self._contents[name]

    def store(self, contents: Sequence[bytes]) -> list[str]:
        """Store files as they are, without any filter, and return their names."""
        if not contents:
            return []
        with tempfile.TemporaryDirectory(dir=self.scratch) as directory:
            for number, content in enumerate(contents):
                Path(directory, str(number)).write_bytes(content)
            names = "\n".join(map(str, range(len(contents))))
            output = self.run(
                *("hash-object", "-w", "--no-filters", "--stdin-paths"),
                stdin=names.encode(),
                directory=Path(directory),
            )
        stored = output.decode().split()
        self._contents.update(zip(stored, contents, strict=True))
        return stored

    def import_directory(self, directory: Path) -> Tree:
        """Store all files of a directory and return their tree."""
        paths = sorted(
            path for path in directory.rglob("*") if path.is_symlink() or path.is_file()
        )
        contents = [
            os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            for path in paths
        ]
        return {
            path.relative_to(directory).as_posix(): Entry(_mode(path), name)
            for path, name in zip(paths, self.store(contents), strict=True)
        }

    # --- Trees ------------------------------------------------------------------------

    def renames(self, old: str, new: str, similar: int) -> dict[str, str]:
        """Find where files went from one tree to another.

        Args:
            old: A tree.
            new: A tree.
            similar: How many percent of a file must be the same.
        """
        words = self.run(
            *("diff-tree", "-r", "-z", "--name-status", f"-M{similar}%", "-l0"),
            old,
            new,
        ).decode(errors="surrogateescape")
        parts = iter(words.split("\0"))
        found = {}
        for status in parts:
            if status.startswith("R"):
                old_path, new_path = next(parts), next(parts)
                found[old_path] = new_path
            elif status:
                next(parts)
        return found

    def merge(self, base: Tree, ours: Tree, theirs: Tree) -> Merged:
        """Merge two trees that come from one.

        Args:
            base: What both come from.
            ours: The project's side.
            theirs: The template's side.
        """
        root = self._commit(base, [])
        sides = [self._commit(tree, ["-p", root]) for tree in (ours, theirs)]
        output = self.run(
            *("merge-tree", "--write-tree", "-z", "--no-messages", *sides),
            codes=(0, 1),
        ).decode(errors="surrogateescape")
        name, *stages = output.split("\0")
        tree = self.read_tree(name)
        # Git calls a file that cannot stay where it is after a commit.
        named = {
            path: f"{path[: -len(side)]}{what}"
            for side, what in zip(sides, ("project", "template"), strict=True)
            for path in tree
            if path.endswith(f"~{side}")
        }
        conflicts = []
        for stage in filter(None, stages):
            about, _, path = stage.partition("\t")
            mode, blob, number = about.split(" ")
            entry = Entry(mode, blob)
            conflicts.append(Conflict(named.get(path, path), int(number), entry))
        tree = {named.get(path, path): entry for path, entry in tree.items()}
        self._name_sides(tree, {conflict.path for conflict in conflicts}, sides)
        return Merged(tree, conflicts)

    def _commit(self, tree: Tree, parents: Sequence[str]) -> str:
        name = self.write_tree(tree)
        return self.line("commit-tree", name, *parents, "-m", "patterns grow")

    def _name_sides(
        self, tree: Tree, paths: Iterable[str], sides: Sequence[str]
    ) -> None:
        """Write in conflict markers whose side it is, in place of a commit's name."""
        marked, contents = [], []
        for path in paths:
            if path not in tree or tree[path].mode == "160000":
                continue
            before = self.content(tree[path].id)
            after = before.replace(
                f"<<<<<<< {sides[0]}".encode(), b"<<<<<<< this project"
            ).replace(f">>>>>>> {sides[1]}".encode(), b">>>>>>> the template")
            if after != before:
                marked.append(path)
                contents.append(after)
        for path, name in zip(marked, self.store(contents), strict=True):
            tree[path] = Entry(tree[path].mode, name)


def _mode(path: Path) -> str:
    if path.is_symlink():
        return LINK
    return "100755" if os.access(path, os.X_OK) else "100644"


def is_new_enough() -> bool:
    """Return whether there is a git that can merge trees."""
    try:
        said = run("--version", directory=Path()).decode()
    except (OSError, GitError):
        return False
    return tuple(map(int, re.findall(r"\d+", said)[:2])) >= OLDEST
