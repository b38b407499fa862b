"""Render projects fast, in this process.

What makes copier slow when it renders hundreds of projects: Jinja compiles the same
templates each time, PyYAML parses in Python, git is asked about every file, and all
answers are put together for each part of each path. So compiled templates and answers
are remembered, PyYAML uses its C parser, the template is read from a plain copy without
a repository, and copier finds no git while it renders. The bytes are the same.

Copier changes the working directory: render in processes, never in threads.
"""

import atexit
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import copier
import jinja2
import yaml
from copier._main import Worker
from copier._user_data import DEFAULT_DATA, AnswersMap
from plumbum import local

TEMPLATE_PARTS = ("copier.yml", "questions", "includes", "template", "variants")
FAMILY_ROOT = Path(__file__).resolve().parents[2]

# What decides how a source compiles. Filters are looked up by name at run time.
SYNTAX_SETTINGS = (
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "line_statement_prefix",
    "line_comment_prefix",
    "trim_blocks",
    "lstrip_blocks",
    "newline_sequence",
    "keep_trailing_newline",
    "optimized",
    "autoescape",
    "undefined",
    "finalize",
    "sandboxed",
    "is_async",
)

_compile = jinja2.Environment.compile
_compiled: dict[tuple[object, ...], Any] = {}


def _remembering_compile(
    environment: jinja2.Environment,
    source: Any,  # noqa: ANN401
    name: str | None = None,
    filename: str | None = None,
    **options: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Compile as ``jinja2.Environment.compile`` does, each source once."""
    key = (
        source,
        name,
        filename,
        *sorted(options.items()),
        type(environment),
        *sorted(environment.extensions),
        *(getattr(environment, setting) for setting in SYNTAX_SETTINGS),
    )
    if not isinstance(source, str):  # a parsed tree
        return _compile(environment, source, name, filename, **options)
    if key in _compiled:
        # Extensions set their state here: copier's yield tag forgets the last one.
        environment.preprocess(source, name, filename)
    else:
        _compiled[key] = _compile(environment, source, name, filename, **options)
    return _compiled[key]


@contextmanager
def fast_libraries() -> Iterator[None]:
    """Let Jinja remember what it compiled, and PyYAML parse in C where it can."""
    plain = yaml.SafeLoader
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", plain)  # type: ignore[misc]
    jinja2.Environment.compile = _remembering_compile  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        jinja2.Environment.compile = _compile  # type: ignore[method-assign]
        yaml.SafeLoader = plain  # type: ignore[misc]


def _combined(answers: AnswersMap) -> dict[str, Any]:
    """Put answers together as copier does, in a tenth of the time: without ChainMap."""
    return {
        **DEFAULT_DATA,
        "_external_data": answers.external,
        **answers.user_defaults,
        **answers.last,
        **answers.metadata,
        **answers.init,
        **answers.user,
    }


@contextmanager
def _answers_put_together_once() -> Iterator[None]:
    """Let copier choose what it records once a project: all is answered by then.

    The one place that reaches into copier. ``patterns grow`` does without.
    """
    combined, choose = AnswersMap.combined, Worker._answers_to_remember  # noqa: SLF001
    known: list[Mapping[str, Any]] = []

    def remembered(worker: Worker) -> Mapping[str, Any]:
        if copier.Phase.current() is not copier.Phase.RENDER:
            return choose(worker)
        if not known:
            known.append(choose(worker))
        return known[0]

    AnswersMap.combined = property(_combined)  # type: ignore[method-assign, assignment]
    Worker._answers_to_remember = remembered  # type: ignore[method-assign, assignment]  # noqa: SLF001
    try:
        yield
    finally:
        AnswersMap.combined = combined  # type: ignore[method-assign]
        Worker._answers_to_remember = choose  # type: ignore[method-assign]  # noqa: SLF001


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


@functools.cache
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
    """Render one project.

    Its ``.copier-answers.yml`` names the plain copy as its source, so the project
    cannot be updated: it is for tests.

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
    with (
        fast_libraries(),
        _answers_put_together_once(),
        local.env(PATH=str(source)),
    ):
        copier.run_copy(
            str(source),
            destination,
            data=dict(answers),
            defaults=True,
            overwrite=True,
            quiet=True,
        )
    set_times_by_content(destination)
    return destination
