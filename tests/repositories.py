"""Repositories for tests."""

from pathlib import Path

from python_patterns.git import run


def git(directory: Path, *words: str) -> str:
    """Run git and return its output."""
    return run(*words, directory=directory).decode()


def commit(directory: Path, message: str = "Work", *, tag: str | None = None) -> None:
    """Commit all that is in a directory, in a new repository where it is in none."""
    if not (directory / ".git").exists():
        git(directory, "init", "-q", "--initial-branch=main")
    git(directory, "add", "--all")
    git(directory, "commit", "-q", "-m", message)
    if tag:
        git(directory, "tag", tag)
