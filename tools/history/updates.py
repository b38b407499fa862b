"""Projects of older commits, edited and updated."""

import shutil
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random

import copier
import yaml
from copier.errors import CopierError

from python_patterns import git, render
from python_patterns.grow.grow import grow
from python_patterns.grow.report import RefusedError, Wish
from tools.lives import edits
from tools.lives.edits import Writer
from tools.lives.life import unmerged

# What people do to a project that stays the template's.
EDITS = (
    *(edits.add_function, edits.add_method, edits.add_statement, edits.comment_line),
    *(edits.comment_above, edits.add_import, edits.add_module, edits.comment_import),
    *(edits.comment_configuration, edits.add_dependency, edits.add_data),
)
ROUNDS = 2


@dataclass(frozen=True)
class Outcome:
    """What became of a project.

    Attributes:
        lost: The lines that are neither in it nor in a conflict.
        conflicts: The paths in conflict.
        failed: Why there is no outcome.
    """

    lost: Sequence[str] = ()
    conflicts: Sequence[str] = ()
    failed: str = ""

    def __str__(self) -> str:
        return self.failed or f"{len(self.lost)} lost, {len(self.conflicts)} conflicts"


@dataclass(frozen=True)
class Row:
    """One project, updated in two ways.

    Attributes:
        commit: Where it is from.
        variant: Which project it is.
        lines: How many lines were written.
        patterns: What ``patterns update`` makes of it.
        copier: What ``copier update`` makes of it.
    """

    commit: str
    variant: str
    lines: int
    patterns: Outcome
    copier: Outcome


def _commit(directory: Path) -> None:
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "Work")):
        git.run(*words, directory=directory)


@dataclass(frozen=True)
class History:
    """The template's history.

    Attributes:
        scratch: Directory for what is only needed meanwhile.
        family: The repository.
    """

    scratch: Path
    family: Path

    @cached_property
    def source(self) -> Path:
        """A clone, which is where projects come from."""
        clone = self.scratch / "template"
        git.run(
            "clone",
            "-q",
            "--no-tags",
            str(self.family),
            str(clone),
            directory=self.scratch,
        )
        return clone

    @cached_property
    def newest(self) -> str:
        """The last commit."""
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *words: str) -> str:
        return git.run(*words, directory=self.source).decode()

    def commits(self, number: int, variants: Iterable[str]) -> list[str]:
        """Return some older commits that have all of some variants, evenly spread."""
        listed = self._git(
            "log", "--first-parent", "--reverse", "--format=%h", "HEAD~1"
        ).split()
        wanted = {f"variants/{variant}.yml" for variant in variants}
        while listed and not wanted <= set(
            self._git("ls-tree", "--name-only", listed[0], "variants/").split()
        ):
            listed.pop(0)
        return [listed[len(listed) * at // number] for at in range(number)]

    def update(self, commit: str, variant: str) -> Row | None:
        """Update a project of a commit; nothing where it had no such variant."""
        name = f"{commit}:variants/{variant}.yml"
        try:
            answers = yaml.safe_load(self._git("show", name))
        except git.GitError:
            return None
        project = self.scratch / "project"
        other = self.scratch / "other"
        for directory in (project, other):
            shutil.rmtree(directory, ignore_errors=True)
        answers.pop("preset", None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            render.render(str(self.source), answers, project, version=commit)
        # Not a secret: the same edits each time.
        writer = Writer(project, Random(f"{commit} {variant}"))  # noqa: S311
        for edit in EDITS * ROUNDS:
            edit(writer)
        writer.forget()
        _commit(project)
        shutil.copytree(project, other, symlinks=True)
        return Row(
            commit,
            variant,
            len(writer.words),
            self._by_patterns(project, writer.words),
            self._by_copier(other, writer.words),
        )

    def _by_patterns(self, project: Path, words: Iterable[str]) -> Outcome:
        scratch = self.scratch / "grow"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            grow(project, Wish({}, version=self.newest), scratch)
        except RefusedError as error:
            return Outcome(failed=str(error))
        return Outcome(_lost(project, words), sorted(unmerged(project)))

    def _by_copier(self, project: Path, words: Iterable[str]) -> Outcome:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                copier.run_update(
                    project,
                    vcs_ref=self.newest,
                    defaults=True,
                    overwrite=True,
                    quiet=True,
                    skip_tasks=True,
                )
        except (CopierError, ValueError, OSError) as error:
            return Outcome(failed=f"{type(error).__name__}: {error}")
        conflicts = [
            path.relative_to(project).as_posix()
            for path in project.rglob("*")
            if path.is_file()
            and ".git" not in path.parts
            and (
                path.suffix == ".rej" or b"<<<<<<< before updating" in path.read_bytes()
            )
        ]
        return Outcome(_lost(project, words), sorted(conflicts))


def _lost(project: Path, words: Iterable[str]) -> list[str]:
    """Return the words that are in no file, and in no side of a conflict."""
    contents = [side for sides in unmerged(project).values() for side in sides]
    contents += [
        path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and ".git" not in path.parts
    ]
    whole = b"\n".join(contents)
    return sorted(word for word in words if word.encode() not in whole)
