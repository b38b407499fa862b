"""The last step: the project's files are brought from one tree to another.

It runs in a process and a session of its own, so that neither Ctrl-C nor the death of
the command that started it stops it half-way. What it is about to do stands in a file
beside the index until it is done; where even this process was killed, the next
``patterns`` finds that file and puts the project back as it was.

Whether it still runs is told by a lock, which every process that it starts holds too.
It keeps other gits out, as git itself would, and writes an index of its own meanwhile,
so that nobody takes the lock of another git for a left one.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from python_patterns.git import Entry, GitError, Repository
from python_patterns.grow.report import RefusedError

NAME = "patterns-grow.json"
# What the lock on the index says that this writes; git's own says nothing of the kind.
MARK = b"patterns\n"
# How many tenths of a second to wait for a step that is about to end.
PATIENCE = 10
AT_WORK = (
    "another patterns is writing to this project at this moment: wait until it is done,"
    " and see git status"
)


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


def start(repository: Repository, landing: Landing, record: Callable[[], None]) -> None:
    """Write the journal, and wait until another process has done what it says.

    Args:
        repository: The project's.
        landing: What is to be done.
        record: Records what is about to be written, when no other run can do so.

    Raises:
        RefusedError: Another one is at work.
        GitError: Git refuses; nothing was changed.
    """
    with _lock(repository) as lock:
        record()
        journal = write(repository, landing)
        done = subprocess.Popen(
            (sys.executable, "-m", __name__, str(journal), str(lock)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[lock],
        )
        said = _wait(done)
    if done.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise GitError(lines[-1] if lines else "the last step was killed")


@contextmanager
def _lock(repository: Repository) -> Iterator[int]:
    """Hold the lock that tells that a last step runs, and give its number.

    Raises:
        RefusedError: Another process holds it.
    """
    path = _journal(repository).with_suffix(".lock")
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _take(number):
            raise RefusedError(AT_WORK)
        yield number
        path.unlink(missing_ok=True)
    finally:
        os.close(number)


def _take(number: int) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl  # noqa: PLC0415 - there is none on Windows

    for _ in range(PATIENCE):
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def _wait(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for the last step, whatever Ctrl-C says: it cannot be stopped any more."""
    while True:
        try:
            return process.communicate()[1]
        except KeyboardInterrupt:
            continue


def land(journal: Path, lock: int | None = None) -> None:
    """Do what a journal says.

    Args:
        journal: The journal.
        lock: What tells that this runs; given to every git.

    Raises:
        GitError: It cannot be done; the project is as it was.
    """
    landing = Landing(**json.loads(journal.read_text(encoding="utf-8")))
    inherited = () if lock is None else (lock,)
    repository = Repository(Path(landing.project), journal.parent, inherited=inherited)
    index, own = journal.parent / "index", journal.with_suffix(".index")
    held = journal.parent / "index.lock"
    try:
        with held.open("xb") as file:
            file.write(MARK)
    except FileExistsError:
        journal.unlink()
        raise GitError(f"another git is at work: {held} exists") from None
    try:
        shutil.copyfile(index, own)
        # What was copied or restored has other times: it is the same all the same.
        repository.run("update-index", "-q", "--refresh", index=own)
        words = ("read-tree", "-m", "-u", landing.before, landing.after)
        repository.run(*words, index=own)
        if landing.stages:
            repository.run(
                *("update-index", "-z", "--index-info"),
                stdin=landing.stages.encode(errors="surrogateescape"),
                index=own,
            )
    except GitError:
        # Some files may be written already.
        _restore(repository, landing)
        raise
    own.replace(index)
    held.unlink()
    journal.unlink()


def refuse(repository: Repository) -> None:
    """Check that there is nothing to restore.

    Raises:
        RefusedError: There is.
    """
    if _journal(repository).is_file():
        raise RefusedError(
            "an earlier run was killed while it wrote: run this without --dry-run,"
            " which puts the project back as it was"
        )


def recover(repository: Repository) -> list[str] | None:
    """Restore a project if a run was killed while it wrote.

    Returns:
        The files that were left; nothing where no run was killed.

    Raises:
        RefusedError: The run is still at work, or another git is.
    """
    journal = _journal(repository)
    if not journal.is_file():
        return None
    with _lock(repository):
        if not journal.is_file():  # it has just ended
            return None
        landing = Landing(**json.loads(journal.read_text(encoding="utf-8")))
        return _restore(repository, landing)


def _restore(repository: Repository, landing: Landing) -> list[str]:
    """Put a project back as it was.

    A file is put back only if it is what it was, or what the killed run wrote, or a
    part of that: what someone wrote since is left as it is.
    """
    journal = _journal(repository)
    held = repository.git_directory / "index.lock"
    if held.is_file():
        if held.read_bytes() != MARK:
            raise RefusedError(
                f"another git is at work in this project: wait until it is done, or"
                f" remove {held} if none runs"
            )
        held.unlink()
    for name in (".index", ".index.lock"):
        journal.with_suffix(name).unlink(missing_ok=True)
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
    journal, lock = Path(sys.argv[1]), int(sys.argv[2])
    os.chdir(journal.parent)
    try:
        land(journal, lock)
    except (RefusedError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
