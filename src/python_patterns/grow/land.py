"""The last step: the project's files are brought from one tree to another.

It runs in a process and a session of its own, so that neither Ctrl-C nor the death of
the command that started it stops it half-way. What it is about to do stands in a file
beside the index until it is done; where even this process was killed, the next
``patterns`` finds that file and puts the project back as it was.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from python_patterns.git import Entry, GitError, Repository

NAME = "patterns-grow.json"
# How many tenths of a second a step may take that is not dead.
PATIENCE = 50


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


def write(repository: Repository, landing: Landing) -> Path:
    """Write the journal, all of it or nothing, and return where it is."""
    journal = _journal(repository)
    written = journal.with_suffix(".new")
    written.write_text(json.dumps(asdict(landing)), encoding="utf-8")
    written.replace(journal)
    return journal


def start(repository: Repository, landing: Landing) -> None:
    """Write the journal, and wait until another process has done what it says.

    Raises:
        GitError: Git refuses; nothing was changed.
    """
    journal = write(repository, landing)
    done = subprocess.Popen(
        (sys.executable, "-m", __name__, str(journal)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    said = _wait(done)
    if done.returncode:
        raise GitError(said.decode(errors="replace").strip().splitlines()[-1])


def _wait(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for the last step, whatever Ctrl-C says: it cannot be stopped any more."""
    while True:
        try:
            return process.communicate()[1]
        except KeyboardInterrupt:
            continue


def land(journal: Path) -> None:
    """Do what a journal says."""
    landing = Landing(**json.loads(journal.read_text(encoding="utf-8")))
    repository = Repository(Path(landing.project), journal.parent)
    try:
        # What was copied or restored has other times: it is the same all the same.
        repository.run("update-index", "-q", "--refresh")
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
    """Restore a project if a run was killed while it wrote.

    A file is put back only if it is what it was, or what the killed run wrote, or a
    part of that: what someone wrote since is left as it is.

    Returns:
        The files that were left; nothing where no run was killed.
    """
    journal = _journal(repository)
    for _ in range(PATIENCE):
        if not journal.is_file():
            return None
        # It may be at work at this moment.
        time.sleep(0.1)
    landing = Landing(**json.loads(journal.read_text(encoding="utf-8")))
    (repository.git_directory / "index.lock").unlink(missing_ok=True)
    top = Path(repository.line("rev-parse", "--show-toplevel"))
    before, after = map(repository.read_tree, (landing.before, landing.after))
    left, restored = [], []
    for path in sorted(before.keys() | after.keys()):
        entries = before.get(path), after.get(path)
        if entries[0] == entries[1]:
            continue
        if not _is_ours(repository, top / path, entries):
            left.append(path)
        elif entries[0]:
            restored.append(path)
        else:
            (top / path).unlink(missing_ok=True)
            _remove_empty((top / path).parent, top)
    repository.run("reset", "--quiet", landing.before, "--", ".")
    repository.run(
        *("checkout-index", "--force", "-z", "--stdin"),
        stdin="".join(f"{path}\0" for path in restored).encode(
            errors="surrogateescape"
        ),
        directory=top,
    )
    repository.run("update-index", "-q", "--refresh", codes=(0, 1))
    journal.unlink()
    return left


def _is_ours(
    repository: Repository, file: Path, entries: tuple[Entry | None, Entry | None]
) -> bool:
    """Return whether a file is as it was, or as the killed run left it."""
    if file.is_symlink():
        content = os.fsencode(file.readlink())
    elif file.is_file():
        content = file.read_bytes()
    else:
        return True
    before, after = (
        repository.content(entry.id).replace(b"\r\n", b"\n") if entry else None
        for entry in entries
    )
    content = content.replace(b"\r\n", b"\n")
    return content == before or (after is not None and after.startswith(content))


def _remove_empty(directory: Path, top: Path) -> None:
    while directory != top and directory.is_dir() and not any(directory.iterdir()):
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
