"""Render projects with copier, in this process.

Everything that is rendered by copier is rendered here: what ``patterns`` merges, and
the projects of the maintainers' tools and tests. Four things make copier slow when it
renders more than once: Jinja compiles the same templates each time, and PyYAML parses
in Python. So compiled templates are cached, in memory and for the next command in the
user's cache directory, and PyYAML uses its C parser. For each part of each path copier
gathers all answers and renders it, though most paths share their parts: here once. And
copier asks git about the mode of each file, for repositories that ignore modes: nothing
that is rendered here is in an index yet. The bytes are the same.

Copier changes the working directory: render in processes, never in threads.
"""

import hashlib
import marshal
import os
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import CodeType
from typing import Any

import jinja2
import yaml
from copier import _main as copier_main
from plumbum import local

from python_patterns import git
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

# A cache on disk that has grown beyond this many bytes begins anew.
LARGEST = 30_000_000

_compile = jinja2.Environment.compile
_compiled: dict[tuple[object, ...], Any] = {}


def cache_directory() -> Path:
    """Return the directory for what can be made again, as the XDG rules say."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "python-patterns"


class _Kept:
    """Compiled templates of earlier commands, in one file."""

    def __init__(self) -> None:
        self.codes: dict[bytes, CodeType] = {}
        self.is_changed = False

    @property
    def path(self) -> Path:
        # Code is of one version of Python and of Jinja.
        versions = f"{sys.implementation.cache_tag}-jinja-{jinja2.__version__}"
        return cache_directory() / f"templates-{versions}.marshal"

    def load(self) -> None:
        """Read what was kept; where there is nothing to read, all is compiled."""
        with suppress(OSError, ValueError, EOFError, TypeError, RuntimeError):
            content = self.path.read_bytes()
            found = marshal.loads(content) if len(content) < LARGEST else {}  # noqa: S302
            self.codes = found if isinstance(found, dict) else {}

    def code(self, key: object, make: Callable[[], CodeType]) -> CodeType:
        """Return the code that was kept for a key, or make it and keep it."""
        digest = hashlib.sha256(repr(key).encode("utf-8", "surrogatepass")).digest()
        if digest not in self.codes:
            self.codes[digest] = make()
            self.is_changed = True
        return self.codes[digest]

    def save(self) -> None:
        """Keep what was compiled; where that is not possible, it is compiled again."""
        if not self.is_changed:
            return
        with suppress(OSError, RuntimeError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Written aside: another command may read or write it now.
            with NamedTemporaryFile(dir=self.path.parent, delete=False) as file:
                marshal.dump(self.codes, file)
            Path(file.name).replace(self.path)


# Those of this command; none in the maintainers' tools, whose processes render much.
_kept: _Kept | None = None


@contextmanager
def kept_on_disk() -> Iterator[None]:
    """Keep what Jinja compiles for the next command."""
    global _kept  # noqa: PLW0603 - as Jinja's own compile, one for the process
    _kept = _Kept()
    _kept.load()
    try:
        yield
    finally:
        _kept.save()
        _kept = None


def _remembering_compile(
    environment: jinja2.Environment,
    source: Any,  # noqa: ANN401
    name: str | None = None,
    filename: str | None = None,
    **options: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Compile as ``jinja2.Environment.compile`` does, each source once."""
    # A template is known by its name: a clone lies in another directory each time.
    filename = name or filename
    key = (
        source,
        name,
        filename,
        *sorted(options.items()),
        f"{type(environment).__module__}.{type(environment).__qualname__}",
        *sorted(environment.extensions),
        *(getattr(environment, setting) for setting in SYNTAX_SETTINGS),
    )
    if not isinstance(source, str):  # a parsed tree
        return _compile(environment, source, name, filename, **options)
    if key not in _compiled:
        make = partial(_compile, environment, source, name, filename, **options)
        _compiled[key] = _kept.code(key, make) if _kept else make()
    # Extensions set their state here: copier's yield tag forgets the last one.
    environment.preprocess(source, name, filename)
    return _compiled[key]


@contextmanager
def fast_libraries() -> Iterator[None]:
    """Have Jinja cache what it compiled, and PyYAML parse in C where it can."""
    plain, compiles = yaml.SafeLoader, jinja2.Environment.compile
    asks_git = getattr(copier_main, "is_git_available", None)
    copier_main.is_git_available = lambda: False  # type: ignore[attr-defined]
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", plain)  # type: ignore[misc]
    jinja2.Environment.compile = _remembering_compile  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        jinja2.Environment.compile = compiles  # type: ignore[method-assign]
        copier_main.is_git_available = asks_git  # type: ignore[attr-defined, assignment]
        yaml.SafeLoader = plain  # type: ignore[misc]


@contextmanager
def _separated() -> Iterator[None]:
    """Let copier run git without the variables of a git that calls, and its hooks."""
    with local.env():
        before = local.env.getdict()
        after = git.separated(before)
        for key in before.keys() - after.keys():
            del local.env[key]
        local.env.update(after)
        yield


class _Worker(copier_main.Worker):
    """Copier's worker, which gathers its answers once for all paths and files."""

    _gathered: MutableMapping[str, Any] | None = None

    def _render_template(self) -> None:
        # From here on, no answer changes.
        self._relpath = super().answers_relpath
        self._parts: dict[str, str] = {}
        self._gathered = self._render_context()
        try:
            super()._render_template()
        finally:
            self._gathered = None

    @property
    def answers_relpath(self) -> Path:
        return self._relpath if self._gathered else super().answers_relpath

    def _render_context(self) -> MutableMapping[str, Any]:
        return self._gathered or super()._render_context()

    def _render_string(
        self, string: str, extra_context: dict[str, Any] | None = None
    ) -> str:
        # A yield tag leaves its values in the environment.
        if self._gathered is None or extra_context or "yield" in string:
            return super()._render_string(string, extra_context)
        if string not in self._parts:
            self._parts[string] = super()._render_string(string)
        return self._parts[string]


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


def render(  # noqa: PLR0913 - what copier's worker takes
    source: str,
    answers: Mapping[str, Any],
    destination: Path,
    *,
    version: str | None = None,
    exclude: Sequence[str] = (),
    clone: Path | None = None,
) -> Rendered:
    """Render one project.

    Args:
        source: A directory, or a repository as copier takes it.
        answers: Answers by question; the others take their defaults.
        destination: Directory of the project, created where it is missing. Files that
            are there already are overwritten.
        version: A tag, branch or commit of a repository; without one the newest tag.
        exclude: Patterns of files to leave out.
        clone: A clone of the repository at this version, if there is one already.

    Returns:
        The project, with what copier knows of it.

    Raises:
        ValueError: An answer is not valid.
        jinja2.TemplateError: The template has a mistake.
        copier.errors.CopierError: The template cannot be fetched or read.
    """
    with fast_libraries(), _separated():
        worker = _Worker(
            src_path=source,
            dst_path=destination,
            data=dict(answers),
            vcs_ref=version,
            defaults=True,
            overwrite=True,
            quiet=True,
            skip_tasks=True,
            exclude=exclude,
        )
        if clone:
            # Copier would clone it once more; it computes this at the first use.
            worker.template.__dict__["local_abspath"] = clone
        with worker:
            worker.run_copy()
    return Rendered(
        destination,
        worker.match_skip,
        frozenset(worker.template.questions_data),
        worker.answers.combined,
    )
