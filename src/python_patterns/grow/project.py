"""The project that grows: its answers, and the two renders it lies between."""

import contextlib
import difflib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from copier.errors import CopierError, DirtyLocalWarning, ShallowCloneWarning
from packaging.version import InvalidVersion, Version
from plumbum import ProcessExecutionError

from python_patterns import git
from python_patterns import render as renderer
from python_patterns.answers import ANSWERS, clone_address, one_line, translated
from python_patterns.git import GitError, Repository
from python_patterns.grow.ground import refuse_hidden
from python_patterns.grow.report import RefusedError
from python_patterns.render import Rendered

MOVED = "if the template moved, name its new address by --source"


def check_git(repository: Repository) -> None:
    """Check that there is a git that can do it, and that the project is in it.

    Raises:
        RefusedError: It is not so.
    """
    if not git.is_new_enough():
        raise RefusedError(
            f"no git {'.'.join(map(str, git.OLDEST))} or newer is on PATH"
        )
    if not repository.project.is_dir():
        raise RefusedError(f"{repository.project} is no directory")
    try:
        inside = repository.line("rev-parse", "--is-inside-work-tree")
    except GitError:
        inside = "false"
    if inside != "true":
        raise RefusedError(
            f"{repository.project} is not in git: run"
            ' git init && git add --all && git commit -m "Start"'
        )


def check(repository: Repository) -> None:
    """Check that a project can be changed without losing anything.

    Raises:
        RefusedError: Something in it is not committed, or a merge or the like is
            going on.
    """
    try:
        repository.line("rev-parse", "--verify", "--quiet", "HEAD")
    except GitError as error:
        raise RefusedError(
            f"{repository.project} has no commit yet: make one"
        ) from error
    for name in ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge"):
        if (repository.git_directory / name).exists():
            raise RefusedError(
                f"a merge, rebase or the like is going on in {repository.project}"
                f" ({name}): finish it first"
            )
    changed = repository.run(
        "status", "--porcelain", "-z", "--untracked-files=all", "--", "."
    ).decode(errors="replace")
    names = [line[3:] for line in changed.split("\0") if line]
    if names:
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise RefusedError(
            f"{names[0]}{others} not committed: commit or stash it, so that nothing"
            " can be lost"
        )
    refuse_hidden(repository)


@contextlib.contextmanager
def _sentences(what: str, source: str) -> Iterator[None]:
    """Turn what a render may raise into one sentence."""
    try:
        yield
    except ProcessExecutionError as error:
        _refuse_shallow(source)
        said = error.stderr or error.stdout or str(error)
        lines = [line for line in str(said).splitlines() if line.strip()]
        raise RefusedError(
            f"{what}: {lines[-1] if lines else 'git failed'} ({MOVED})"
        ) from error
    except TypeError as error:  # of a question with several answers
        hint = "write several answers as name=[one,two]"
        raise RefusedError(f"{what}: {one_line(error)}; {hint}") from error
    except (CopierError, jinja2.TemplateError, ValueError, OSError) as error:
        if "revision" in str(error):
            _refuse_shallow(source)
        if "must be a directory" in str(error):
            raise RefusedError(f"{source} is no directory ({MOVED})") from error
        raise RefusedError(f"{what}: {one_line(error)}") from error


def _refuse_shallow(source: str) -> None:
    if _is_shallow(source):
        raise RefusedError(
            f"{source} is a clone without its history, which lacks the version that is"
            f" needed: run git -C {source} fetch --unshallow --tags"
        )


def render(
    answers: Mapping[str, Any],
    version: str | None,
    destination: Path,
    *,
    exclude: Sequence[str] = (),
) -> Rendered:
    """Render the template that a project came from.

    Args:
        answers: The answers, with ``_src_path``.
        version: A tag, branch or commit; without one the newest tag.
        destination: An empty or missing directory.
        exclude: Patterns of files to leave out.

    Raises:
        RefusedError: An answer is not valid, or the template cannot be had.
    """
    source = answers["_src_path"]
    data = translated(
        {key: val for key, val in answers.items() if not key.startswith("_")}
    )
    what = f"{source} at {version or 'its newest tag'} with these answers"
    with _sentences(what, source), warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)
        warnings.simplefilter("ignore", ShallowCloneWarning)
        return renderer.render(
            source, data, destination, version=version, exclude=exclude
        )


def render_answers(
    answers: Mapping[str, Any], version: str | None, destination: Path
) -> Rendered:
    """Render nothing but the answers file, which is quick; see ``render``."""
    return render(answers, version, destination, exclude=("*", f"!{ANSWERS}"))


def check_source(answers: Mapping[str, Any], source: str, scratch: Path) -> None:
    """Check that a template that moved has the version that a project is from.

    Args:
        answers: The project's answers.
        source: Where the template is now.
        scratch: An empty or missing directory.

    Raises:
        RefusedError: It has not, or there is no repository.
    """
    commit = answers["_commit"]
    try:
        git.run("ls-remote", clone_address(source), "HEAD", directory=Path())
    except GitError as error:
        raise RefusedError(f"{source} is no repository that git can read") from error
    try:
        render_answers({**answers, "_src_path": source}, commit, scratch)
    except RefusedError as error:
        _refuse_shallow(source)
        raise RefusedError(
            f"{source} does not have {commit}, the version that this project is from:"
            " name a repository with the history of the template"
        ) from error


def _is_shallow(source: str) -> bool:
    directory = Path(source.removeprefix("git+").removeprefix("file://"))
    try:
        said = git.run("rev-parse", "--is-shallow-repository", directory=directory)
    except (GitError, OSError):
        return False
    return said.strip() == b"true"


def check_answers(wanted: Mapping[str, str], rendered: Rendered) -> None:
    """Check that the answers that were asked for are in the new render.

    Raises:
        RefusedError: The template has no such question, or does not ask it here.
    """
    known = [name for name in rendered.answers if not name.startswith("_")]
    for name in wanted:
        if name not in rendered.asks:
            near = difflib.get_close_matches(name, known, n=1)
            told = f"the template has no question {name!r}"
            raise RefusedError(
                f"did you mean {near[0]}? T{told[1:]}"
                if near
                else f"{told}: take {', '.join(known)}"
            )
        if name not in known:
            raise RefusedError(f"the template does not ask {name!r} with these answers")


def check_is_newer(old: str, new: object) -> None:
    """Check that the newest version is not older than the project's own.

    Raises:
        RefusedError: It is: the project came from what is not released yet.
    """
    before, after = _order(old), _order(str(new))
    if before and after and after < before:
        raise RefusedError(
            f"the newest version is {new}, and the project is from {old} already;"
            " --ref takes any version"
        )


def _order(described: str) -> tuple[Version, int] | None:
    """Read what ``git describe`` says: the last version, and the commits since."""
    found = re.fullmatch(r"(v?\d+\..*?)(?:-(\d+)-g[0-9a-f]+)?", described)
    try:
        return (Version(found[1]), int(found[2] or 0)) if found else None
    except InvalidVersion:
        return None
