"""Render projects with copier, in this process.

Everything that is rendered by copier is rendered here: what ``patterns`` merges, and
the projects of the maintainers' tools and tests. Two things make copier slow when it
renders more than once: Jinja compiles the same templates each time, and PyYAML parses
in Python. So compiled templates are cached, and PyYAML uses its C parser. The bytes are
the same.

Copier changes the working directory: render in processes, never in threads.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import copier
import jinja2
import yaml

from python_patterns.answers import read_answers

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
    """Have Jinja cache what it compiled, and PyYAML parse in C where it can."""
    plain = yaml.SafeLoader
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", plain)  # type: ignore[misc]
    jinja2.Environment.compile = _remembering_compile  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        jinja2.Environment.compile = _compile  # type: ignore[method-assign]
        yaml.SafeLoader = plain  # type: ignore[misc]


@dataclass(frozen=True)
class Rendered:
    """A fresh project.

    Attributes:
        directory: Where it lies.
        skips: Whether the template leaves a path alone where it exists already.
        asks: The names of all questions of the template.
        values: All that the template computed, also what it does not ask.
    """

    directory: Path
    skips: Callable[[Path], bool]
    asks: frozenset[str]
    values: Mapping[str, Any]

    @cached_property
    def answers(self) -> Mapping[str, Any]:
        """Its answers, as its own answers file has them."""
        return read_answers(self.directory)


def render(
    source: str,
    answers: Mapping[str, Any],
    destination: Path,
    *,
    version: str | None = None,
) -> Rendered:
    """Render one project.

    Args:
        source: A directory, or a repository as copier takes it.
        answers: Answers by question; the others take their defaults.
        destination: Directory of the project, created where it is missing. Files that
            are there already are overwritten.
        version: A tag, branch or commit of a repository; without one the newest tag.

    Returns:
        The project, with what copier knows of it.

    Raises:
        ValueError: An answer is not valid.
        jinja2.TemplateError: The template has a mistake.
        copier.errors.CopierError: The template cannot be fetched or read.
    """
    with fast_libraries():
        worker = copier.run_copy(
            source,
            destination,
            data=dict(answers),
            vcs_ref=version,
            defaults=True,
            overwrite=True,
            quiet=True,
            skip_tasks=True,
        )
    return Rendered(
        destination,
        worker.match_skip,
        frozenset(worker.template.questions_data),
        worker.answers.combined,
    )
