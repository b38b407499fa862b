"""Whether the command of each gap closes it: ``python -m tools.gaps [variants]``.

A fresh project of each variant, in a repository of its own, runs the command of its
first gap, gets the variables that it names, and is committed, until no gap is left.
With ``--check``, each change of answers first runs the project's own checks, as
``patterns grow --verify`` does.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from python_patterns.git import run
from tools.cookiecutter_family import find_variants
from tools.live import PRODUCTION
from tools.template import FAMILY_ROOT, check_out

PATTERNS = (sys.executable, "-m", "python_patterns")
# How the command is run without being installed.
WRITTEN = re.compile(r"uvx --from \S+ patterns ")
NONE_LEFT = "No gap is left."
MOST_STEPS = 20
VALUES = {
    **PRODUCTION,
    "BROKER_URL": "redis://127.0.0.1:6379/0",
    "DATABASE_URL": "postgresql://shop:secret@127.0.0.1/shop",
}


def _run(project: Path, *words: str, fails: int = 0) -> str:
    """Run a command in a project, and return its output.

    Args:
        project: The project's directory.
        words: The command.
        fails: An exit code that is no failure.

    Raises:
        RuntimeError: The command failed.
    """
    variables = {name: os.environ[name] for name in os.environ.keys() - VALUES.keys()}
    done = subprocess.run(
        words,
        cwd=project,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, fails}:
        raise RuntimeError(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def _commit(directory: Path, message: str, *tag: str) -> None:
    run("add", "--all", directory=directory)
    run("commit", "--quiet", "--allow-empty", "--message", message, directory=directory)
    if tag:
        run("tag", *tag, directory=directory)


def start(variant: str, scratch: Path) -> Path:
    """Make a project of a variant, in a repository, from a template that has a version.

    Args:
        variant: Its name.
        scratch: An empty directory.

    Returns:
        The project's directory.
    """
    family, project = scratch / "family", scratch / "project"
    check_out(FAMILY_ROOT, "HEAD", family)
    run("init", "--quiet", directory=family)
    _commit(family, "Template", "v1.0.0")
    answers = FAMILY_ROOT / "variants" / f"{variant}.yml"
    words = ("new", "--defaults", "--source", str(family), "--data-file", str(answers))
    _run(scratch, *PATTERNS, *words, str(project))
    run("init", "--quiet", directory=project)
    _commit(project, "Start")
    return project


def close_all(project: Path, *, check: bool = False) -> Iterator[str]:
    """Follow what ``patterns gaps`` says first, until no gap is left.

    Args:
        project: A project in a repository, all of it committed.
        check: Whether the project's own checks run before each change of answers.

    Yields:
        The name of each gap that was closed.

    Raises:
        RuntimeError: A command failed, or left its gap open.
    """
    before = ""
    for _ in range(MOST_STEPS):
        listed = _run(project, *PATTERNS, "gaps", fails=1)
        if NONE_LEFT in listed:
            return
        name, *_ = listed.partition(":")
        if name == before:
            raise RuntimeError(f"{name} is still open:\n{listed}")
        command = listed.split("\n")[2].strip()
        if start_of := WRITTEN.match(command):
            words = command[start_of.end() :].split()
            _run(project, *PATTERNS, *words, *(["--verify"] if check else []))
        else:
            _run(project, "sh", "-c", command)  # as people paste it
        _name_variables(project, listed.split("\n")[0])
        _commit(project, name)
        yield name
        before = name
    raise RuntimeError(f"After {MOST_STEPS} steps, gaps are left:\n{listed}")


def _name_variables(project: Path, sentence: str) -> None:
    """Give the variables that a gap names, unless they are given already."""
    path = project / ".env"
    given = path.read_text("utf-8") if path.exists() else ""
    missing = [
        f"{name}={value}\n"
        for name, value in VALUES.items()
        if name in sentence and f"{name}=" not in given
    ]
    path.write_text(given + "".join(missing), "utf-8")


def main() -> int:
    """Print the table; fail where a gap stays open."""
    parser = argparse.ArgumentParser(description="Close every gap by its command.")
    parser.add_argument("variants", nargs="*", help="only these (default: all)")
    parser.add_argument("--check", action="store_true", help="run the own checks too")
    options = parser.parse_args()
    table = Table("variant", "gaps, in the order in which they were closed", "left")
    is_well = True
    every = [variant.name for variant in find_variants(FAMILY_ROOT)]
    for variant in options.variants or every:
        closed: list[str] = []
        with tempfile.TemporaryDirectory(prefix="patterns-gaps-") as name:
            try:
                project = start(variant, Path(name).resolve())
                closed.extend(close_all(project, check=options.check))
                left = NONE_LEFT
            except RuntimeError as error:
                left, is_well = str(error), False
        table.add_row(variant, ", ".join(closed), left)
    Console(width=shutil.get_terminal_size((120, 24)).columns).print(table)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
