"""The last step: the project's files are brought from one tree to another.

It runs in a process of its own, in a session of its own, so that neither Ctrl-C nor the
death of the command that started it stops it half-way. What it is about to do stands in a
file beside the index until it is done; where even this process was killed, the next
``patterns`` finds that file and puts the project back as it was.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from python_patterns.grow.git import GitError, Repository

NAME = "patterns-grow.json"


@dataclass(frozen=True)
class Landing:
    """What is to be done.

    Attributes:
        project: The project's directory.
        before: The tree of the last commit.
        after: The tree to come, of the whole repository.
        stages: What to tell the index of conflicts, as ``git update-index`` reads it.
    """

    project: str
    before: str
    after: str
    stages: str


def _journal(repository: Repository) -> Path:
    return repository.git_directory / NAME


def start(repository: Repository, landing: Landing) -> None:
    """Write the journal, and wait until another process has done what it says.

    Raises:
        GitError: Git refuses; nothing was changed.
    """
    journal = _journal(repository)
    written = journal.with_suffix(".new")
    written.write_text(json.dumps(asdict(landing)), encoding="utf-8")
    written.replace(journal)
    done = subprocess.Popen(
        (sys.executable, "-m", __name__, str(journal)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    _, said = done.communicate()
    if done.returncode:
        raise GitError(said.decode(errors="replace").strip().splitlines()[-1])


def land(journal: Path) -> None:
    """Do what a journal says."""
    landing = Landing(**json.loads(journal.read_text(encoding="utf-8")))
    repository = Repository(Path(landing.project), journal.parent)
    try:
        repository.run("read-tree", "-m", "-u", landing.before, landing.after)
    except GitError:
        journal.unlink()
        raise
    if landing.stages:
        repository.run(
            *("update-index", "-z", "--index-info"),
            stdin=landing.stages.encode(errors="surrogateescape"),
        )
    journal.unlink()


def recover(repository: Repository) -> list[str] | None:
    """Put a project back as it was where a run was killed while it wrote.

    A file is put back only if it is what the killed run wrote, or a part of it: what
    someone wrote since is left as it is.

    Returns:
        The files that were left; nothing where no run was killed.
    """
    journal = _journal(repository)
    if not journal.is_file():
        return None
    landing = Landing(**json.loads(journal.read_text(encoding="utf-8")))
    lock = repository.git_directory / "index.lock"
    lock.unlink(missing_ok=True)
    top = Path(repository.line("rev-parse", "--show-toplevel"))
    before, after = (
        repository.read_tree(tree) for tree in (landing.before, landing.after)
    )
    changed = [
        path
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    ]
    left, lost = [], []
    for path in sorted(changed):
        file = top / path
        is_there = file.is_symlink() or file.exists()
        if is_there and path not in before:
            written = repository.content(after[path].id)
            if file.is_symlink() or written.startswith(file.read_bytes()):
                file.unlink()
                _remove_empty(file.parent, top)
            else:
                left.append(path)
        elif path in before:
            lost.append(path)
    repository.run("read-tree", landing.before)
    if lost:
        restored = []
        for path in lost:
            file = top / path
            if file.exists() and not file.is_symlink():
                content = file.read_bytes()
                old = repository.content(before[path].id)
                new = repository.content(after[path].id) if path in after else b""
                if content != old and not new.startswith(content):
                    left.append(path)
                    continue
            restored.append(path)
        repository.run(
            *("checkout-index", "--force", "-z", "--stdin"),
            stdin="\0".join(f"{path}" for path in restored).encode(
                errors="surrogateescape"
            ),
            directory=top,
        )
    repository.run("update-index", "-q", "--refresh", codes=(0, 1))
    journal.unlink()
    return sorted(left)


def _remove_empty(directory: Path, top: Path) -> None:
    while directory != top and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent


def main() -> None:
    """Land, as the process that ``start`` begins."""
    journal = Path(sys.argv[1])
    os.chdir(journal.parent)
    try:
        land(journal)
    except GitError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
