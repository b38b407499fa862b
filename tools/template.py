"""This family's template: its directory, plain copies of it, and projects of it."""

import atexit
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from plumbum import local

from python_patterns import git
from python_patterns import render as renderer

FAMILY_ROOT = Path(__file__).resolve().parents[1]
# What copier reads; a part that is not there is left out.
TEMPLATE_PARTS = (
    "copier.yml",
    "questions",
    "computed",
    "includes",
    "template",
    "variants",
)


def copy_template(root: Path, destination: Path) -> Path:
    """Copy the parts of a template family that copier reads, without its repository.

    Args:
        root: Directory that holds ``copier.yml``.
        destination: Directory to create.

    Returns:
        ``destination``.

    Raises:
        FileExistsError: ``destination`` exists.
        FileNotFoundError: There is no ``copier.yml`` in ``root``.
    """
    destination.mkdir(parents=True)
    shutil.copy2(root / "copier.yml", destination)
    for part in TEMPLATE_PARTS:
        if (root / part).is_dir():
            shutil.copytree(root / part, destination / part)
    return destination


def check_out(root: Path, ref: str, destination: Path) -> Path:
    """Write the parts of a template family as they are in a version.

    Args:
        root: A clone of the family.
        ref: A tag, branch or commit.
        destination: Directory to write to.

    Raises:
        GitError: There is no such version, or no repository.
    """
    there = git.run("ls-tree", "--name-only", ref, directory=root).decode().splitlines()
    parts = [part for part in TEMPLATE_PARTS if part in there]
    archive = git.run("archive", "--format=tar", ref, *parts, directory=root)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(destination, filter="data")
    return destination


@cache
def family_template() -> Path:
    """Copy this family's template once for this process, and return the copy."""
    directory = tempfile.mkdtemp(prefix="python-patterns-template-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return copy_template(FAMILY_ROOT, Path(directory, "family"))


def seconds_of(content: bytes) -> int:
    """Compute a modification time, in seconds since 1970, from what a file holds.

    Args:
        content: The file's bytes.
    """
    digest = hashlib.sha256(content).digest()
    # Between 2001 and 2035: wheels cannot hold times before 1980.
    return 1_000_000_000 + int.from_bytes(digest[:4]) % 2**30


def set_times_by_content(tree: Path) -> None:
    """Give each file a modification time that is computed from its content.

    Type checkers and bytecode caches take a file of the same path, size and time for
    the same file. Projects of the matrix share paths, and are rendered within a
    second, so a clock would let one project's result pass for another's.

    Args:
        tree: The project's directory.
    """
    for path in tree.rglob("*"):
        if path.is_file() and not path.is_symlink():
            seconds = seconds_of(path.read_bytes())
            os.utime(path, (seconds, seconds))


def render(
    answers: Mapping[str, Any], destination: Path, *, template: Path | None = None
) -> Path:
    """Render one project of a plain copy, with copier.

    Its ``.copier-answers.yml`` names the copy as its source, so the project cannot be
    updated: it is for tests.

    Args:
        answers: Answers by question; the others take their defaults.
        destination: Directory of the project, created where it is missing. Files that
            are there already are overwritten.
        template: A plain copy of a family, from ``copy_template``; this family's own
            where it is missing.

    Returns:
        ``destination``.

    Raises:
        ValueError: An answer is not valid.
        jinja2.TemplateError: The template has a mistake.
    """
    source = template or family_template()
    # Without git copier does not ask it about every file: a plain copy is in none.
    with local.env(PATH=str(source)):
        renderer.render(str(source), answers, destination)
    set_times_by_content(destination)
    return destination
