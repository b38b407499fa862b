"""What lies where files are about to be written, and is not in git.

Git has no copy of it, so nothing of it may be touched.
"""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from python_patterns.git import Repository, Tree
from python_patterns.grow.report import RefusedError


def refuse_in_the_way(repository: Repository, own: Tree, after: Tree) -> None:
    """Check that what is written replaces nothing but files that are in git.

    Args:
        repository: The project's.
        own: The project's files in git.
        after: Its files to come.

    Raises:
        RefusedError: Something is in the way.
    """
    found = sorted(set(_in_the_way(repository, own, after)))
    if found:
        others = f" and {len(found) - 3} more" if len(found) > 3 else ""  # noqa: PLR2004
        raise RefusedError(
            f"{', '.join(found[:3])}{others} would be overwritten and is not in git:"
            " move it away, or commit it"
        )


def _in_the_way(repository: Repository, own: Tree, after: Tree) -> Iterable[str]:
    directories: set[str] = set()
    for path in after:
        if path in own:
            continue
        place = repository.project / path
        if place.is_dir() and not place.is_symlink():
            yield from _untracked(repository, path, own)
        elif os.path.lexists(place):
            yield path
        directories.update(map(str, PurePosixPath(path).parents))
    for directory in directories - {"."}:
        place = repository.project / directory
        is_file = os.path.lexists(place) and (place.is_symlink() or not place.is_dir())
        if is_file and directory not in own:
            yield directory


def _untracked(repository: Repository, directory: str, own: Tree) -> Iterable[str]:
    """Yield what is in a directory and not in git."""
    for root, directories, files in os.walk(repository.project / directory):
        links = [name for name in directories if Path(root, name).is_symlink()]
        for name in [*files, *links]:
            path = os.path.relpath(f"{root}/{name}", repository.project)
            if path.replace(os.sep, "/") not in own:
                yield path.replace(os.sep, "/")


def refuse_hidden(repository: Repository) -> None:
    """Check that no file has changes that git was told not to see.

    Raises:
        RefusedError: There is one.
    """
    listed = repository.run("ls-files", "-v", "-z").decode(errors="surrogateescape")
    hidden = [
        line[2:]
        for line in listed.split("\0")
        if line and (line[0].islower() or line[0] == "S")
    ]
    own = repository.read_tree(f"HEAD:{repository.prefix}") if hidden else {}
    for path in hidden:
        file = repository.project / path
        if not file.is_file() or file.is_symlink() or path not in own:
            continue
        name = repository.line("hash-object", "--", path)
        if name != own[path].id:
            raise RefusedError(
                f"{path} has changes that git was told not to see: run git update-index"
                f" --no-assume-unchanged --no-skip-worktree {path}, and commit it"
            )
